//! One Swarm service as its engine remembers it, and the report made from that. An answer older
//! than flyball's latest change does not set the count. A task keeps its address after Swarm forgot
//! it.

mod notices;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use flyball_agent::Agents;
use flyball_core::nodes;
use flyball_core::observation::{EngineCount, EngineReport, Exit, Leaving, Phase, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::Exits;

use super::answers::ServiceAnswer;
use super::busy::busy;
use super::nodes::{Node, Nodes};
use super::removals::predict_removals;
use super::settings::{SwarmReach, SwarmSettings};
use super::tasks::{Stage, Task, serves};
use crate::container::at_wall;

pub(super) use notices::AgentsSeen;

/// What is known of one service.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What the latest answer said; `None` before the first one.
    told: Option<Told>,
    tasks: BTreeMap<String, Known>,
    exits: Exits,
    /// The version that flyball's latest change was made to, and its count.
    changed: Option<(u64, u32)>,
    /// Whether its tasks were ever listed.
    known: bool,
}

/// A service as its managers gave it.
#[derive(Clone, Debug)]
struct Told {
    id: String,
    /// `None` where its mode has no count.
    wanted: Option<u32>,
    /// What Swarm calls its mode, where that has no count.
    mode: &'static str,
    busy: Option<String>,
    limit_cores: Option<f64>,
    /// Whether its tasks have addresses of their own to be reached at.
    addressed: bool,
}

/// A task, and what only flyball knows of it.
#[derive(Debug)]
struct Known {
    task: Task,
    replica: ReplicaId,
    stage: Stage,
    asked_at: Timestamp,
    ready_at: Option<Timestamp>,
    /// The machine that it is on.
    node: Option<Node>,
    /// That is not heard of.
    lost: bool,
    /// The last address that Swarm reported; it forgets it before the task ends.
    address: Option<SocketAddr>,
}

impl State {
    /// The service's id, once it was seen.
    pub(super) fn id(&self) -> Option<&str> {
        self.told.as_ref().map(|told| told.id.as_str())
    }

    /// The last known count of the service.
    pub(super) fn wanted(&self) -> Option<u32> {
        self.told.as_ref()?.wanted
    }

    /// Flyball has set the count `to` on version `version` of the service.
    pub(super) fn tell(&mut self, version: u64, to: u32) {
        self.changed = Some((version, to));
        if let Some(told) = &mut self.told {
            told.wanted = Some(to);
        }
    }

    /// The service is not there (any more).
    pub(super) fn gone(&mut self) {
        self.told = None;
        self.tasks.clear();
    }

    /// Takes in what a manager said of the service; false if it had not seen flyball's own latest
    /// change yet. `named` is what Swarm calls it.
    pub(super) fn learn(&mut self, answer: &ServiceAnswer, settings: &SwarmSettings) -> bool {
        let version = answer.version.index;
        if self.changed.is_some_and(|(before, _)| version <= before) {
            return false;
        }
        let replicated = answer.spec.mode.replicated.as_ref();
        let wanted = replicated.map(|mode| mode.replicas.unwrap_or(1));
        self.notice_others(wanted, &settings.service);
        let update = answer.update_status.as_ref();
        let state = update.and_then(|update| update.state.as_deref());
        let message = update.and_then(|update| update.message.as_deref());
        let nano = answer.spec.task_template.resources.limits.nano_cpus.filter(|nano| *nano > 0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a node has far less than 2^52 ns of CPU a second"
        )]
        let limit = nano.map(|nano| nano as f64 / 1e9);
        let ports = &answer.spec.endpoint_spec.ports;
        self.told = Some(Told {
            id: answer.id.clone(),
            wanted,
            mode: if answer.spec.mode.global.is_some() { "global" } else { "job" },
            busy: busy(state, message, &answer.spec.labels, settings.obeys_hold),
            limit_cores: limit.or(settings.cpus),
            addressed: match settings.reach {
                SwarmReach::Node => ports.iter().any(|port| serves(port, settings.port)),
                SwarmReach::Network(_) => true,
            },
        });
        true
    }

    /// Logs once that the count was changed externally.
    fn notice_others(&mut self, wanted: Option<u32>, service: &str) {
        let Some((before, now)) = self.wanted().zip(wanted).filter(|(a, b)| a != b) else { return };
        self.changed = None;
        if now < before {
            tracing::warn!(
                "{service}: replicas were set externally to {now}, down from {before}; hint: \
                 docker stack deploy does this: see docs/guide/swarm.md"
            );
        } else {
            tracing::info!("{service}: replicas were set externally to {now}, up from {before}");
        }
    }

    /// Takes in all tasks of the service, history too.
    pub(super) fn see(&mut self, tasks: Vec<Task>, nodes: &Nodes, service: &str, now: Timestamp) {
        let first = !std::mem::replace(&mut self.known, true);
        let mut before = std::mem::take(&mut self.tasks);
        for task in tasks {
            let stage = task.stage();
            let known = before.remove(&task.id);
            match (stage, known) {
                (Stage::Past, _) | (Stage::Failed, None) => {}
                (Stage::Failed, Some(known)) => self.record_exit(&known, &task, now),
                (_, known) => {
                    let known = known.unwrap_or_else(|| {
                        let created = task.created_wall_ms.filter(|_| first);
                        let asked_at = if first { at_wall(created, now) } else { now };
                        Known::new(&task, service, asked_at)
                    });
                    self.tasks.insert(task.id.clone(), known.with(task, stage, nodes));
                }
            }
        }
        self.ignore_minority_view();
    }

    /// A manager that hears of few nodes is more likely cut off than they are: where more than half
    /// of what runs would be lost at once, nothing is. (Requests may well reach it.)
    fn ignore_minority_view(&mut self) {
        let running = self.tasks.values().filter(|known| known.stage == Stage::Running);
        let (mut all, mut lost) = (0_usize, 0_usize);
        for known in running {
            all += 1;
            lost += usize::from(known.lost);
        }
        if lost * 2 > all {
            self.tasks.values_mut().for_each(|known| known.lost = false);
        }
    }

    /// A task that was wanted ended by itself.
    fn record_exit(&mut self, known: &Known, task: &Task, now: Timestamp) {
        if known.stage == Stage::Leaving {
            return;
        }
        let reason = task.complaint.clone().unwrap_or_else(|| format!("it is {}", task.state));
        let ready_ms = known.ready_at.map(|ready_at| now.ms_since(ready_at));
        self.exits.push(Exit { replica: known.replica.clone(), at: now, ready_ms, reason });
    }

    /// Which machines the replicas are on.
    pub(super) fn spread(&self, agents: Option<&Agents>) -> Vec<nodes::Node> {
        let placed = self.tasks.values().filter_map(|known| {
            Some((known.task.node.as_deref()?, known.node.as_ref()?, &known.replica))
        });
        nodes::spread(placed, |id, node: &Node| nodes::Node {
            name: node.name.clone(),
            up: node.up,
            silence: agents.and_then(|agents| agents.silence(id)),
            replicas: Vec::new(),
        })
    }

    /// A replica passed its readiness probe; false for one that is unknown or does not run.
    pub(super) fn set_ready(&mut self, replica: &ReplicaId, now: Timestamp) -> bool {
        let known = self.tasks.values_mut().find(|known| known.replica == *replica);
        let Some(known) = known.filter(|known| known.stage == Stage::Running) else { return false };
        known.ready_at.get_or_insert(now);
        true
    }

    /// The report for a look, with the CPU usage that `agents` read.
    pub(super) fn report(&self, settings: &SwarmSettings, agents: Option<&Agents>) -> EngineReport {
        let exits = self.exits.to_vec();
        let Some(told) = &self.told else {
            let busy = format!("swarm service {} does not exist", settings.swarm_service);
            return EngineReport { exits, busy: Some(busy), ..EngineReport::default() };
        };
        let cores = told.limit_cores.unwrap_or(1.0);
        let tasks = self.tasks.values();
        let mut replicas: Vec<_> = tasks.map(|known| known.report(cores, agents)).collect();
        replicas.sort_by(|a, b| a.id.cmp(&b.id));
        let stays = |known: &&Known| known.stage != Stage::Leaving;
        let present = self.tasks.values().filter(stays);
        let predicted = predict_removals(present.map(|known| &known.task)).into_iter();
        let leaving = predicted.map(|task| self.tasks[&task.id].replica.clone()).collect();
        let mode = "its mode has no replica count";
        EngineReport {
            replicas,
            exits,
            busy: told.busy.clone().or(told.wanted.is_none().then(|| mode.to_owned())),
            pending: self.pending(told, settings),
            count: told
                .wanted
                .map(|wanted| EngineCount { wanted, leaving: Leaving::Predicted(leaving) }),
            ..EngineReport::default()
        }
    }

    /// Why replicas do not come, in Swarm's words or ours.
    fn pending(&self, told: &Told, settings: &SwarmSettings) -> Option<String> {
        let coming = self.tasks.values().filter(|known| known.stage == Stage::Coming);
        let complaint = coming.filter_map(|known| known.task.complaint.clone()).next();
        complaint.or_else(|| {
            let unreachable = settings.balanced && !told.addressed;
            unreachable.then(|| {
                format!(
                    "port {} is not published in host mode: tasks cannot be reached",
                    settings.port
                )
            })
        })
    }

    /// Whether a running task is ready without a probe: only Swarm's mesh can reach it.
    pub(super) fn ready_unasked(&mut self, settings: &SwarmSettings, now: Timestamp) {
        let addressed = self.told.as_ref().is_none_or(|told| told.addressed);
        if addressed || settings.balanced {
            return;
        }
        for known in self.tasks.values_mut().filter(|known| known.stage == Stage::Running) {
            known.ready_at.get_or_insert(now);
        }
    }
}

impl Known {
    fn new(task: &Task, service: &str, asked_at: Timestamp) -> Self {
        Self {
            replica: task.replica(service),
            task: task.clone(),
            stage: Stage::Coming,
            asked_at,
            ready_at: None,
            node: None,
            lost: false,
            address: None,
        }
    }

    fn with(mut self, task: Task, stage: Stage, nodes: &Nodes) -> Self {
        self.node = task.node.as_deref().and_then(|id| nodes.get(id)).cloned();
        self.lost = stage == Stage::Running && self.node.as_ref().is_some_and(|node| !node.up);
        self.address = task.address.or(self.address);
        Self { task, stage, ..self }
    }

    fn report(&self, cores: f64, agents: Option<&Agents>) -> ReplicaReport {
        let (node, container) = (self.task.node.as_deref(), self.task.container.as_deref());
        let metered = agents.and_then(|agents| agents.reading(node?, container?));
        let phase = match self.stage {
            Stage::Running if self.ready_at.is_some() && self.lost => Phase::Unhealthy,
            Stage::Running if self.ready_at.is_some() => Phase::Ready,
            Stage::Running | Stage::Coming => Phase::Starting,
            Stage::Leaving | Stage::Failed | Stage::Past => Phase::Stopping,
        };
        ReplicaReport {
            id: self.replica.clone(),
            phase,
            asked_at: self.asked_at,
            ready_at: self.ready_at,
            // Before it runs, another task may still answer there.
            address: self.address.filter(|_| self.stage != Stage::Coming),
            cpu: metered.map(|metered| metered.cpu),
            throttled: metered.and_then(|metered| metered.throttled),
            cpu_limit_cores: cores,
            protected: false,
            may_sleep: false,
            generation: None,
        }
    }
}
