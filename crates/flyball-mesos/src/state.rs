//! The state of the framework: wanted replicas, offers and tasks. Every call follows from this
//! state, so a lost call is made again. Nothing is reported until the master has listed everything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use flyball_core::observation::{EngineReport, Exit, Reading};
use flyball_core::units::{ReplicaId, Timestamp};

use crate::agents::Agent;
use crate::call::{self, Call};
use crate::event::{Event, TaskState, Update};
use crate::listing::{ListedTask, Listing};
use crate::nodes::Placed;
use crate::offer::Offer;
use crate::placing::{OfferSet, Place};
use crate::service_tasks::ServiceTasks;
use crate::task::{Stage, Task, Used};

/// What does not fit now may in some seconds. Mesos's own default; whatever is newly asked for
/// revives offers at once.
const REFUSE_S: u32 = 5;
/// With nothing to start, offers are of no use here.
const REFUSE_IDLE_S: u32 = 3_600;
/// A kill that nothing followed is repeated.
const KILL_AGAIN_MS: u64 = 5_000;
/// A task that was sent and is never mentioned is asked about.
const ASK_AGAIN_MS: u64 = 10_000;
/// Tasks in one question.
const ASK_MAX: usize = 500;

/// The framework.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) framework: Option<String>,
    pub(crate) pools: BTreeMap<String, ServiceTasks>,
    /// By their ids.
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) agents: BTreeMap<String, Agent>,
    offers: BTreeMap<String, Offer>,
    last_ports: BTreeMap<IpAddr, u16>,
    outbox: Vec<Call>,
    /// When the master last spoke.
    spoke_at: Timestamp,
    /// Why it cannot be asked, while it cannot.
    down: Option<String>,
    /// Whether everything was listed since the connection was made.
    whole: bool,
    /// Something was asked for since offers were last revived.
    revive: bool,
    suppressed: bool,
    /// Something was said of a task that is not known, or of agents: everything is to be listed.
    pub(crate) relist: bool,
    launches: u64,
}

impl State {
    pub(crate) fn new(framework: Option<String>, now: Timestamp) -> Self {
        Self {
            framework,
            pools: BTreeMap::new(),
            tasks: BTreeMap::new(),
            agents: BTreeMap::new(),
            offers: BTreeMap::new(),
            last_ports: BTreeMap::new(),
            outbox: Vec::new(),
            spoke_at: now,
            down: Some("mesos has not been reached yet".into()),
            whole: false,
            revive: false,
            suppressed: false,
            relist: false,
            launches: 0,
        }
    }

    /// All that is known of a service now.
    pub(crate) fn observe(&self, service: &str, now: Timestamp) -> Reading<EngineReport> {
        let Some(pool) = self.pools.get(service) else {
            return Reading::Missing { since: now, why: "the service is unknown".into() };
        };
        if let Some(why) = self.silence() {
            return Reading::Missing { since: self.spoke_at.max(pool.made_at), why };
        }
        let tasks = self.tasks.values().filter(|t| t.service == service && t.is_reported());
        let mut replicas: Vec<_> =
            tasks.map(|task| task.report(now)).chain(pool.waiting()).collect();
        replicas.sort_by(|a, b| a.id.cmp(&b.id));
        let (exits, pending) = (pool.exits(), pool.pending(now));
        let value = EngineReport { replicas, exits, pending, ..EngineReport::default() };
        Reading::Taken { at: self.spoke_at, value }
    }

    /// Where the replicas of a service are that have an agent.
    pub(crate) fn placed(&self, service: &str) -> Vec<Placed<'_>> {
        let tasks = self.tasks.values().filter(|t| t.service == service && t.is_reported());
        let placed = tasks.map(|task| Placed {
            replica: &task.replica,
            agent: &task.agent,
            host: None,
            lost: task.stage == Stage::Unreachable,
        });
        placed.collect()
    }

    fn silence(&self) -> Option<String> {
        let unlisted = || (!self.whole).then(|| "mesos has not listed its tasks yet".to_owned());
        self.down.clone().or_else(unlisted)
    }

    /// Takes in an order to start a replica; false if there is one, or nothing is started any more.
    pub(crate) fn order(&mut self, service: &str, replica: &ReplicaId, now: Timestamp) -> bool {
        let known = |task: &Task| task.service == service && task.replica == *replica;
        let Some(pool) = self.pools.get_mut(service).filter(|pool| !pool.closed) else {
            return false;
        };
        if pool.orders.contains_key(replica) || self.tasks.values().any(known) {
            return false;
        }
        pool.orders.insert(replica.clone(), now);
        self.revive = true;
        true
    }

    /// Takes in an order to end a replica.
    pub(crate) fn order_end(&mut self, service: &str, replica: &ReplicaId) {
        if let Some(pool) = self.pools.get_mut(service) {
            pool.orders.remove(replica);
        }
        for task in self.tasks.values_mut() {
            if task.service == service && task.replica == *replica {
                task.ending = true;
            }
        }
    }

    pub(crate) fn set_ready(&mut self, service: &str, replica: &ReplicaId, now: Timestamp) {
        let named = |t: &&mut Task| t.service == service && t.replica == *replica;
        let running = self.tasks.values_mut().filter(|task| task.stage == Stage::Running);
        for task in running.filter(named) {
            task.ready_at.get_or_insert(now);
        }
    }

    /// What an agent counted for a task.
    pub(crate) fn counted(&mut self, task: &str, used: Used) {
        if let Some(task) = self.tasks.get_mut(task) {
            task.used = Some(used);
        }
    }

    fn notify(&self, service: &str) {
        if let Some(pool) = self.pools.get(service) {
            pool.changed.notify_one();
        }
    }

    fn notify_all(&self) {
        self.pools.values().for_each(|pool| pool.changed.notify_one());
    }
}

/// What the master says.
impl State {
    /// There is a stream: what happened before it is listed first.
    pub(crate) fn subscribed(&mut self, framework: String, now: Timestamp) {
        self.framework = Some(framework);
        self.spoke(now);
        (self.down, self.whole, self.relist) = (None, false, true);
        (self.suppressed, self.revive) = (false, false);
    }

    /// It has just said something.
    pub(crate) fn spoke(&mut self, now: Timestamp) {
        self.spoke_at = now;
    }

    /// The connection is lost, or could not be had; false if that was known.
    pub(crate) fn lost(&mut self, why: String) -> bool {
        // Offers end with the connection they came through.
        self.offers.clear();
        self.outbox.clear();
        self.whole = false;
        let new = self.down.as_ref() != Some(&why);
        self.down = Some(why);
        self.notify_all();
        new
    }

    /// The framework is no more, and with it all of its tasks.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.framework = None;
        for (_, task) in std::mem::take(&mut self.tasks) {
            self.record_exit(&task, "mesos removed the framework".into(), now);
        }
    }

    pub(crate) fn take(&mut self, event: Event, now: Timestamp) {
        self.spoke(now);
        match event {
            Event::Offers(offers) => {
                let offers = offers.into_iter().map(|offer| (offer.id.clone(), offer));
                self.offers.extend(offers);
            }
            Event::Rescind(offer) => drop(self.offers.remove(&offer)),
            Event::Update(update) => {
                self.outbox.extend(Call::acknowledge(&update));
                self.update(&update, now);
            }
            Event::Failure => self.relist = true,
            // The first and the last of a stream are its reader's.
            Event::Subscribed { .. } | Event::Error(_) | Event::Other => {}
        }
    }

    fn update(&mut self, update: &Update, now: Timestamp) {
        if update.state.is_over() {
            if let Some(task) = self.tasks.remove(&update.task) {
                self.end(task, update, now);
            }
            return;
        }
        let Some(task) = self.tasks.get_mut(&update.task) else {
            // Of an earlier run; a listing says which replica it is.
            self.relist = true;
            return;
        };
        task.heard_at = now;
        task.stage = match update.state {
            TaskState::Running => Stage::Running,
            TaskState::Killing => Stage::Killing,
            TaskState::Unreachable => Stage::Unreachable,
            _ => Stage::Staging,
        };
        let service = task.service.clone();
        self.notify(&service);
    }

    /// A task is no more. One that never came to an agent is put on another offer.
    fn end(&mut self, task: Task, update: &Update, now: Timestamp) {
        let never_came = match update.state {
            TaskState::Dropped => true,
            TaskState::Gone => task.stage == Stage::Sent,
            _ => false,
        };
        let words = match update.state {
            TaskState::Ended(word) => word,
            _ => "lost by mesos",
        };
        if never_came && !task.ending {
            if let Some(pool) = self.pools.get_mut(&task.service).filter(|pool| !pool.closed) {
                tracing::debug!(replica = %task.replica, why = update.message, "placed again");
                pool.orders.insert(task.replica.clone(), task.asked_at);
                self.revive = true;
            }
        } else {
            let said = update.message.trim();
            let reason = if said.is_empty() { words.into() } else { format!("{words}: {said}") };
            self.record_exit(&task, reason, now);
        }
        self.notify(&task.service);
    }

    fn record_exit(&mut self, task: &Task, reason: String, now: Timestamp) {
        let Some(pool) = self.pools.get_mut(&task.service).filter(|_| !task.ending) else { return };
        let ready_ms = task.ready_at.map(|ready_at| now.ms_since(ready_at));
        pool.record_exit(Exit { replica: task.replica.clone(), at: now, ready_ms, reason });
        pool.changed.notify_one();
    }

    /// Everything there is. What is not in it may have come since; it is asked after.
    pub(crate) fn listed(&mut self, listing: Listing, now: Timestamp) {
        self.spoke(now);
        self.agents = listing.agents;
        let listed: BTreeSet<&String> = listing.tasks.iter().map(|task| &task.id).collect();
        let missing: Vec<(String, Option<String>)> = self
            .tasks
            .iter()
            .filter(|(id, task)| !listed.contains(id) && (!self.whole || task.stage != Stage::Sent))
            .map(|(id, task)| (id.clone(), Some(task.agent.clone())))
            .collect();
        self.outbox.extend(missing.chunks(ASK_MAX).map(|tasks| Call::Reconcile(tasks.to_vec())));
        let name = |task: &Task| (task.service.clone(), task.replica.clone());
        let mut names: BTreeSet<(String, ReplicaId)> = self.tasks.values().map(name).collect();
        for task in listing.tasks {
            self.adopt(task, &mut names, now);
        }
        if !std::mem::replace(&mut self.whole, true) {
            self.revive = self.pools.values().any(|pool| !pool.orders.is_empty());
            self.notify_all();
        }
    }

    /// A task of an earlier run, or one that Mesos found again.
    fn adopt(
        &mut self,
        listed: ListedTask,
        names: &mut BTreeSet<(String, ReplicaId)>,
        now: Timestamp,
    ) {
        let ListedTask { id, service, replica, agent, state, cpus, port, age } = listed;
        let place = self.agents.get(&agent).zip(port).map(|(agent, port)| agent.address(port));
        if let Some(known) = self.tasks.get_mut(&id) {
            known.address = known.address.or(place);
            return;
        }
        let Some(pool) = self.pools.get_mut(&service) else { return };
        let stage = match state {
            TaskState::Running => Stage::Running,
            TaskState::Killing => Stage::Killing,
            TaskState::Unreachable => Stage::Unreachable,
            _ => Stage::Staging,
        };
        // It was not started by this run, whatever the clocks of the cluster say.
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let born = now.as_ms().saturating_sub(age_ms).min(pool.made_at.as_ms().saturating_sub(1));
        let mut replica = ReplicaId::new(replica);
        pool.orders.remove(&replica);
        pool.changed.notify_one();
        // Of two with one name the later known is called by its task and ends: it was given up for
        // lost and placed again.
        let double = !names.insert((service.clone(), replica.clone()));
        if double {
            replica = ReplicaId::new(id.clone());
        }
        let task = Task {
            service,
            replica,
            agent,
            cpus,
            asked_at: Timestamp::from_ms(born),
            address: place,
            stage,
            ready_at: None,
            ending: double,
            killed_at: None,
            heard_at: now,
            used: None,
        };
        self.tasks.insert(id, task);
    }
}

/// What is sent to the master.
impl State {
    /// All that is to be said now, in order; `wall_ms` makes ids that never were before.
    pub(crate) fn calls(&mut self, now: Timestamp, wall_ms: u64) -> Vec<Call> {
        let mut calls = std::mem::take(&mut self.outbox);
        if self.down.is_some() || !self.whole {
            // Acknowledgements and questions; offers are kept until it is known what is missing.
            return calls;
        }
        self.accept(now, wall_ms, &mut calls);
        let waiting = self.pools.values().any(|pool| !pool.orders.is_empty());
        if !self.offers.is_empty() {
            let offers = std::mem::take(&mut self.offers).into_keys().collect();
            let refuse_s = if waiting { REFUSE_S } else { REFUSE_IDLE_S };
            calls.push(Call::Decline { offers, refuse_s });
        }
        if waiting && (self.revive || self.suppressed) {
            calls.push(Call::Revive);
            self.suppressed = false;
        } else if !waiting && !self.suppressed {
            calls.push(Call::Suppress);
            self.suppressed = true;
        }
        self.revive = false;
        self.kill(now, &mut calls);
        self.ask_after(now, &mut calls);
        calls
    }

    /// Puts what was asked for on what is offered.
    fn accept(&mut self, now: Timestamp, wall_ms: u64, calls: &mut Vec<Call>) {
        if self.offers.is_empty() {
            return;
        }
        let mut offers = self.offers();
        let mut launched: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
        let Self { pools, tasks, agents, launches, revive, .. } = self;
        for pool in pools.values_mut() {
            let needs = pool.needs();
            while let Some((replica, asked_at)) = pool.orders.pop_first() {
                let Some(place) = offers.place(&pool.settings.service, needs) else {
                    pool.orders.insert(replica, asked_at);
                    pool.short = Some((now, offers.why_not(needs)));
                    break;
                };
                *launches += 1;
                let id = format!("{replica}.{wall_ms:x}-{launches:x}");
                let task = sent(pool, (replica, asked_at), &place, now);
                agents.entry(place.agent_id.clone()).or_insert(place.agent);
                let name = task.replica.as_str();
                let info = call::task(&pool.settings, (&id, name), &place.agent_id, place.taken);
                launched.entry(place.offer).or_default().push(info);
                tasks.insert(id, task);
            }
            if pool.orders.is_empty() {
                pool.short = None;
            }
        }
        // What was offered has been looked at: no need to ask for it again.
        *revive = false;
        self.last_ports = offers.last_ports;
        let refuse_s = REFUSE_S;
        for (offer, tasks) in launched {
            self.offers.remove(&offer);
            calls.push(Call::Accept { offer, tasks, refuse_s });
        }
    }

    fn offers(&self) -> OfferSet {
        let mut offers = OfferSet {
            offers: self.offers.values().cloned().collect(),
            last_ports: self.last_ports.clone(),
            ..OfferSet::default()
        };
        for task in self.tasks.values() {
            offers.taken.extend(task.address);
            let key = (task.service.clone(), task.agent.clone());
            *offers.tasks_per_agent.entry(key).or_default() += usize::from(!task.ending);
        }
        offers
    }

    fn kill(&mut self, now: Timestamp, calls: &mut Vec<Call>) {
        let due = |task: &Task| {
            let said = |at: Timestamp| now.ms_since(at) < KILL_AGAIN_MS;
            task.ending && task.stage != Stage::Killing && !task.killed_at.is_some_and(said)
        };
        for (id, task) in self.tasks.iter_mut().filter(|(_, task)| due(task)) {
            task.killed_at = Some(now);
            let grace_ms = self.pools.get(&task.service).map_or(0, |pool| pool.settings.grace_ms);
            calls.push(Call::Kill { task: id.clone(), agent: Some(task.agent.clone()), grace_ms });
        }
    }

    fn ask_after(&mut self, now: Timestamp, calls: &mut Vec<Call>) {
        let due = |task: &Task| {
            let settled = task.stage == Stage::Running && !task.ending;
            !settled && now.ms_since(task.heard_at) >= ASK_AGAIN_MS
        };
        let mut unclear = Vec::new();
        for (id, task) in self.tasks.iter_mut().filter(|(_, task)| due(task)) {
            task.heard_at = now;
            unclear.push((id.clone(), Some(task.agent.clone())));
        }
        calls.extend(unclear.chunks(ASK_MAX).map(|tasks| Call::Reconcile(tasks.to_vec())));
    }
}

/// The task that an order becomes once it has a place.
fn sent(pool: &ServiceTasks, order: (ReplicaId, Timestamp), place: &Place, now: Timestamp) -> Task {
    Task {
        service: pool.settings.service.clone(),
        replica: order.0,
        agent: place.agent_id.clone(),
        cpus: pool.settings.cpus,
        asked_at: order.1,
        address: Some(place.agent.address(place.taken.port)),
        stage: Stage::Sent,
        ready_at: None,
        ending: false,
        killed_at: None,
        heard_at: now,
        used: None,
    }
}

#[cfg(test)]
mod tests;
