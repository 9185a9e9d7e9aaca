//! One Marathon app as its engine remembers it, and the report made from that. An answer older than
//! flyball's own latest change is ignored, and a task that flyball is stopping never becomes ready
//! again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use flyball_core::observation::{EngineCount, EngineReport, Exit, Leaving, Phase, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::Exits;

use super::app::{App, HOLD, Way};
use super::rollouts::{Deployments, Own};
use super::settings::AppSettings;
use super::task::{Stage, Task, UNREACHABLE};
use crate::nodes::Placed;
use crate::task::{COUNTER_MS_MAX, Used};

/// A task that was asked to end and is still there this long after its grace is being kept
/// externally: ten times what a Mesos agent needs to end a container.
const ENDING_MS: u64 = 60_000;
/// How long a change may come to be made after flyball gave up on its answer.
const DOUBT_MS: u64 = 30_000;

/// What is known of one app.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What the latest answer said; `None` before the first one, and where there is no such app.
    app: Option<App>,
    busy: Option<String>,
    /// Why tasks do not come.
    pending: Option<String>,
    tasks: BTreeMap<String, Known>,
    exits: Exits,
    failed_last: Option<String>,
    pub(super) own: Own,
    /// Until when a scale deployment of unknown origin is taken for flyball's own; `None` before
    /// the first look, which finds those of an earlier run.
    doubt_until: Option<Timestamp>,
    /// When flyball last changed the count.
    set_at: Option<Timestamp>,
}

/// A task, and what only flyball knows of it.
#[derive(Debug)]
struct Known {
    task: Task,
    replica: ReplicaId,
    asked_at: Timestamp,
    ready_at: Option<Timestamp>,
    /// When flyball had it ended.
    ended_at: Option<Timestamp>,
    /// The last address that Marathon reported.
    address: Option<SocketAddr>,
    used: Option<Used>,
}

/// One answer about an app.
pub(super) struct Answer<'a> {
    pub(super) app: App,
    pub(super) tasks: Vec<Task>,
    pub(super) deployments: &'a Deployments,
    pub(super) pending: Option<String>,
    pub(super) asked_at: Timestamp,
}

impl State {
    /// The last known count of the app.
    pub(super) fn wanted(&self) -> Option<u32> {
        Some(self.app.as_ref()?.instances)
    }

    /// The ids of the tasks that are called `replicas`; `None` if one of them is not there.
    pub(super) fn tasks_of(&self, replicas: &[ReplicaId]) -> Option<Vec<String>> {
        let named = |replica: &ReplicaId| {
            let known = self.tasks.values().find(|known| known.replica == *replica)?;
            Some(known.task.id.clone())
        };
        replicas.iter().map(named).collect()
    }

    /// The running tasks, each with its agent.
    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        let running = self.tasks.values().filter(|known| known.task.stage == Stage::Running);
        running.filter_map(|known| known.task.agent.as_deref())
    }

    /// Where the replicas are that have an agent.
    pub(super) fn placed(&self) -> Vec<Placed<'_>> {
        let placed = self.tasks.values().filter_map(|known| {
            Some(Placed {
                replica: &known.replica,
                agent: known.task.agent.as_deref()?,
                host: known.task.host.as_deref(),
                // Other losses say nothing about the agent.
                lost: known.task.state == UNREACHABLE,
            })
        });
        placed.collect()
    }

    /// What an agent counted; false if it is no task of this app.
    pub(super) fn counted(&mut self, task: &str, used: Used) -> bool {
        let known = self.tasks.get_mut(task);
        known.map(|known| known.used = Some(used)).is_some()
    }

    /// Flyball has set the count `to` with `deployment`, which ends `tasks`.
    pub(super) fn count_set(
        &mut self,
        to: u32,
        deployment: Option<String>,
        tasks: &[String],
        now: Timestamp,
    ) {
        self.set_at = Some(now);
        match deployment {
            Some(deployment) => self.own.add(deployment),
            None => self.doubt(now),
        }
        if let Some(app) = &mut self.app {
            app.instances = to;
        }
        for id in tasks {
            if let Some(known) = self.tasks.get_mut(id) {
                known.ended_at = Some(now);
            }
        }
    }

    /// A change may have been made, or may still be, whose answer was lost.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        self.doubt_until = Some(now.plus_ms(DOUBT_MS));
    }

    /// The app is not there (any more).
    pub(super) fn gone(&mut self) {
        self.app = None;
        self.tasks.clear();
    }

    /// Takes in one answer; false if it is from before flyball's own latest change.
    pub(super) fn learn(
        &mut self,
        answer: Answer<'_>,
        settings: &AppSettings,
        now: Timestamp,
    ) -> bool {
        if self.set_at.is_some_and(|set_at| answer.asked_at <= set_at) {
            return false;
        }
        let first = self.app.is_none();
        let Answer { app, tasks, deployments, pending, .. } = answer;
        self.notice_others(&app, &settings.service);
        self.doubt_until.get_or_insert(now);
        self.busy = self.busy_with(&app, deployments, now);
        let nowhere = match &app.way {
            Way::Nowhere(why) if settings.balanced => {
                Some(format!("tasks cannot be reached: {why}"))
            }
            _ => None,
        };
        self.pending = pending.or(nowhere);
        let fails = app.failure.clone().filter(|(task, _)| {
            let new = self.failed_last.as_deref() != Some(task);
            self.failed_last = Some(task.clone());
            new && !first
        });
        let unasked = matches!(app.way, Way::Nowhere(_)) && !settings.balanced;
        let grace_ms = app.grace_ms;
        self.app = Some(app);
        let before = std::mem::take(&mut self.tasks);
        self.see(tasks, before, &settings.service, (now, first), fails);
        for known in self.tasks.values_mut() {
            let over = |at: &mut Timestamp| now.ms_since(*at) > grace_ms + ENDING_MS;
            known.ended_at.take_if(over);
            if unasked && known.task.stage == Stage::Running {
                known.ready_at.get_or_insert(now);
            }
        }
        true
    }

    /// Logs once that the count was changed externally.
    fn notice_others(&self, app: &App, service: &str) {
        let before = self.wanted().filter(|before| *before != app.instances);
        if let Some(before) = before {
            let now = app.instances;
            tracing::info!("{service}: instances were set externally to {now}, from {before}");
        }
    }

    /// Why the app must not be changed.
    fn busy_with(&mut self, app: &App, all: &Deployments, now: Timestamp) -> Option<String> {
        if app.held {
            return Some(format!("its label {HOLD}=true"));
        }
        let doubted = self.doubt_until.is_some_and(|until| now <= until);
        for id in app.deployments.iter().filter(|id| !id.is_empty()) {
            let deployment = all.get(id);
            if self.own.has(id) {
                continue;
            }
            if doubted && deployment.is_some_and(|deployment| deployment.only_scales(&app.id)) {
                self.own.add(id.clone());
                continue;
            }
            let words = deployment.map_or_else(String::new, |d| format!(" ({})", d.words(&app.id)));
            return Some(format!("external deployment {id} is in progress{words}"));
        }
        None
    }

    fn see(
        &mut self,
        tasks: Vec<Task>,
        mut before: BTreeMap<String, Known>,
        service: &str,
        (now, first): (Timestamp, bool),
        mut fails: Option<(String, String)>,
    ) {
        let mut names: std::collections::BTreeSet<ReplicaId> =
            before.values().map(|known| known.replica.clone()).collect();
        for task in tasks {
            // What is still there has not failed for good, whatever was said of it.
            fails.take_if(|(failed, _)| *failed == task.id && task.stage != Stage::Over);
            match (task.stage, before.remove(&task.id)) {
                (Stage::Over, None) => {}
                (Stage::Over, Some(known)) => {
                    let said = fails.take_if(|(failed, _)| *failed == task.id);
                    let reason = said.map_or_else(|| task.state.clone(), |(_, reason)| reason);
                    self.record_exit(&task, Some(&known), service, reason, now);
                }
                (_, Some(known)) => drop(self.tasks.insert(task.id.clone(), known.with(task))),
                (_, None) => {
                    let mut replica = task.replica(service);
                    if !names.insert(replica.clone()) {
                        replica = ReplicaId::new(task.id.clone());
                    }
                    let asked_at = if first { at_wall(task.staged_wall_ms, now) } else { now };
                    self.tasks.insert(task.id.clone(), Known::new(task, replica, asked_at));
                }
            }
        }
        if let Some((id, reason)) = fails {
            let known = before.remove(&id);
            let task = known.as_ref().map(|known| known.task.clone());
            let task = task.unwrap_or_else(|| Task::lost(id));
            self.record_exit(&task, known.as_ref(), service, reason, now);
        }
    }

    /// A task that was wanted ended by itself.
    fn record_exit(
        &mut self,
        task: &Task,
        known: Option<&Known>,
        service: &str,
        reason: String,
        now: Timestamp,
    ) {
        if known.is_some_and(Known::is_leaving) {
            return;
        }
        let replica = known.map_or_else(|| task.replica(service), |known| known.replica.clone());
        let ready_ms = known.and_then(|known| known.ready_at).map(|at| now.ms_since(at));
        self.exits.push(Exit { replica, at: now, ready_ms, reason });
    }

    /// A replica passed its readiness probe; false for one that is unknown or does not run.
    pub(super) fn set_ready(&mut self, replica: &ReplicaId, now: Timestamp) -> bool {
        let known = self.tasks.values_mut().find(|known| known.replica == *replica);
        let Some(known) = known.filter(|known| known.task.stage == Stage::Running) else {
            return false;
        };
        known.ready_at.get_or_insert(now);
        true
    }

    /// The report for a look.
    pub(super) fn report(&self, settings: &AppSettings, now: Timestamp) -> EngineReport {
        let exits = self.exits.to_vec();
        let Some(app) = &self.app else {
            let busy = format!("marathon has no app {}", settings.app);
            return EngineReport { exits, busy: Some(busy), ..EngineReport::default() };
        };
        let mut replicas: Vec<_> =
            self.tasks.values().map(|known| known.report(app.cpus, now)).collect();
        replicas.sort_by(|a, b| a.id.cmp(&b.id));
        EngineReport {
            replicas,
            exits,
            busy: self.busy.clone(),
            pending: self.pending.clone(),
            count: Some(EngineCount { wanted: app.instances, leaving: Leaving::Chosen }),
            ..EngineReport::default()
        }
    }
}

impl Known {
    fn new(task: Task, replica: ReplicaId, asked_at: Timestamp) -> Self {
        let address = task.address;
        Self { task, replica, asked_at, ready_at: None, ended_at: None, address, used: None }
    }

    fn with(self, task: Task) -> Self {
        let address = task.address.or(self.address);
        Self { task, address, ..self }
    }

    fn is_leaving(&self) -> bool {
        self.ended_at.is_some() || self.task.stage == Stage::Killing
    }

    fn phase(&self) -> Phase {
        match self.task.stage {
            _ if self.is_leaving() => Phase::Stopping,
            Stage::Running if self.ready_at.is_some() => Phase::Ready,
            // It was ready: it fails a check, or its agent is not heard of.
            Stage::Coming | Stage::Unreachable if self.ready_at.is_some() => Phase::Unhealthy,
            Stage::Coming | Stage::Unreachable | Stage::Running => Phase::Starting,
            Stage::Killing | Stage::Over => Phase::Stopping,
        }
    }

    fn report(&self, cores: f64, now: Timestamp) -> ReplicaReport {
        let used = self.used.filter(|used| now.ms_since(used.heard_at) <= COUNTER_MS_MAX);
        let reached = self.task.stage == Stage::Running || self.ready_at.is_some();
        ReplicaReport {
            id: self.replica.clone(),
            phase: self.phase(),
            asked_at: self.asked_at,
            ready_at: self.ready_at,
            // Before it runs, another task may still answer there.
            address: self.address.filter(|_| reached),
            cpu: used.map(|used| used.cpu),
            throttled: used.and_then(|used| used.throttled),
            cpu_limit_cores: cores,
            protected: false,
            may_sleep: false,
            generation: None,
        }
    }
}

/// When something was, by a clock of the cluster; now, if that is ahead of this machine's.
fn at_wall(wall_ms: Option<i64>, now: Timestamp) -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let wall_now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let age_ms =
        wall_ms.map_or(0, |then| u64::try_from(wall_now.saturating_sub(then)).unwrap_or(0));
    Timestamp::from_ms(now.as_ms().saturating_sub(age_ms))
}

#[cfg(test)]
mod tests;
