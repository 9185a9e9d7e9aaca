//! The containers of one service, and what is reported of them.
//!
//! Decides which containers are replicas and how far each one is, from what the host said and what
//! was asked of it. Asks the host nothing itself.
//! Invariant: before everything was listed once, and while the host cannot be reached, nothing is
//! reported, rather than a service without replicas.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use flyball_core::observation::{EngineReport, Exit, Phase, Reading, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::container::{Container, Ending};
use crate::facts::{Facts, State as ContainerState, Way};
use crate::host::Core;
use crate::labels::name_of;
use crate::owner::Owner;
use crate::settings::Publish;
use crate::standing::{Members, Standing};
use crate::told::Told;
use crate::{DockerSettings, end};

/// As many as an engine's report may hold.
const EXITS_KEPT: usize = 20;

/// About 10 s.
const UNCLEAR_MAX: u32 = 3;

/// One service on one host.
pub(crate) struct Service {
    pub(crate) core: Arc<Core>,
    pub(crate) settings: DockerSettings,
    pub(crate) changed: Notify,
    /// Starts, stops and burials under way.
    pub(crate) tasks: TaskTracker,
    made_at: Timestamp,
    state: Mutex<State>,
    /// Listings in a row in which it was not known of a container whether it is a replica.
    unclear: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    /// Whether `containers` is all there is.
    whole: bool,
    closed: bool,
    /// By their ids.
    containers: BTreeMap<String, Container>,
    /// Starts under way.
    orders: BTreeMap<ReplicaId, Order>,
    exits: VecDeque<Exit>,
    /// Why the latest start or stop failed, until one succeeds.
    pending: Option<String>,
    told: Told,
    /// Whom the container belongs to that is copied, where more than one owner may be a replica.
    original: Option<Owner>,
}

#[derive(Debug)]
struct Order {
    asked_at: Timestamp,
    cancelled: bool,
}

/// Whether an inspection told something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// The container has changed since it was asked for.
    Overtaken,
}

impl Service {
    pub(crate) fn new(core: Arc<Core>, settings: DockerSettings) -> Self {
        let made_at = core.now();
        let (changed, tasks) = (Notify::new(), TaskTracker::new());
        let (state, unclear) = (Mutex::default(), AtomicU32::new(0));
        Self { core, settings, changed, tasks, made_at, state, unclear }
    }

    pub(crate) fn name(&self) -> &str {
        &self.settings.service
    }

    /// Whether a listing is not taken for whole, because it is `unclear` whether some container in it
    /// is a replica. For some listings only: whoever keeps the daemon from telling of a container
    /// does not keep the service from its replicas for ever.
    pub(crate) fn waits(&self, unclear: bool) -> bool {
        if !unclear || self.settings.members == Members::Started {
            self.unclear.store(0, Relaxed);
            return false;
        }
        self.unclear.fetch_add(1, Relaxed) < UNCLEAR_MAX
    }

    /// All that is known now, as old as the daemon's latest sign of life.
    pub(crate) fn observe(&self) -> Reading<EngineReport> {
        let heard = self.core.heard();
        let mut state = self.state();
        if heard.down.is_some() || !state.whole {
            let why = heard.down.unwrap_or_else(|| "containers are not listed yet".into());
            return Reading::Missing { since: heard.at.max(self.made_at), why };
        }
        Reading::Taken { at: heard.at, value: state.report(self.core.settings.clock) }
    }

    /// The running containers that nothing limits.
    pub(crate) fn unlimited(&self) -> BTreeSet<String> {
        let state = self.state();
        let free = state
            .containers
            .values()
            .filter(|c| c.facts.state == ContainerState::Running && c.facts.limit_cores.is_none());
        free.map(|c| c.facts.name.clone()).collect()
    }

    /// Takes in an order to start `replica`; false if there is one, or nothing is started any more.
    pub(crate) fn order(&self, replica: &ReplicaId) -> bool {
        let asked_at = self.core.now();
        let mut state = self.state();
        let known = state.containers.values().any(|c| c.facts.replica == *replica && c.counts());
        if state.closed || known || state.orders.contains_key(replica) {
            return false;
        }
        state.orders.insert(replica.clone(), Order { asked_at, cancelled: false });
        true
    }

    /// Whether a replica being started is still wanted.
    pub(crate) fn wanted(&self, replica: &ReplicaId) -> bool {
        self.state().orders.get(replica).is_some_and(|order| !order.cancelled)
    }

    /// The order was carried out, or was given up without a failure.
    pub(crate) fn ordered_done(self: &Arc<Self>, replica: &ReplicaId) {
        let mut state = self.state();
        let order = state.orders.remove(replica);
        let born = state.containers.values_mut().find(|c| c.facts.replica == *replica);
        if let (Some(order), Some(container)) = (order, born) {
            container.asked_at = order.asked_at;
            container.noted = true;
            let id = container.facts.id.clone();
            if order.cancelled && !container.facts.protected && container.end() {
                self.tasks.spawn(end::stop(Arc::clone(self), id.clone()));
            }
            state.pending = None;
            // It may have ended before it was seen running.
            self.bury_if_dead(&mut state, &id, false);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The order could not be carried out.
    pub(crate) fn failed(&self, replica: &ReplicaId, reason: String) {
        let at = self.core.now();
        let mut state = self.state();
        let order = state.orders.remove(replica);
        if order.is_some_and(|order| !order.cancelled) {
            state.pending = Some(reason.clone());
            state.tell(Exit { replica: replica.clone(), at, ready_ms: None, reason });
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Numbers and host ports that another container has, whatever it does.
    pub(crate) fn taken(&self) -> (BTreeSet<u64>, BTreeSet<u16>) {
        let state = self.state();
        let facts = || state.containers.values().map(|c| &c.facts);
        let numbers = facts().filter_map(|facts| facts.compose_number).collect();
        let ports = match self.settings.publish {
            Publish::HostNetwork => facts().filter_map(|f| Some(f.address?.port())).collect(),
            _ => BTreeSet::new(),
        };
        (numbers, ports)
    }

    /// Whose container is copied: the one that was first, among `owners`, the oldest first, as long
    /// as it is there.
    pub(crate) fn original_of(&self, owners: &[Owner]) -> Option<Owner> {
        let mut state = self.state();
        let kept = state.original.take().filter(|owner| owners.contains(owner));
        state.original = kept.or_else(|| owners.first().cloned());
        state.original.clone()
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        let now = self.core.now();
        let mut state = self.state();
        let found = state.containers.values_mut().find(|c| c.facts.replica == *replica);
        if let Some(container) = found {
            container.probed(now);
        }
    }

    /// Takes in an order to stop `replica`; gives the container that is to end, if there is one.
    pub(crate) fn order_end(&self, replica: &ReplicaId) -> Option<String> {
        let mut state = self.state();
        let found = state.containers.values_mut().find(|c| c.facts.replica == *replica);
        if found.as_ref().is_some_and(|container| container.facts.protected) {
            tracing::warn!(%replica, "a protected container is not stopped");
            return None;
        }
        let id = found.map(|container| container.facts.id.clone());
        if let Some(order) = state.orders.get_mut(replica) {
            order.cancelled = true;
            return None;
        }
        let container = state.containers.get_mut(&id?)?;
        container.end().then(|| container.facts.id.clone())
    }

    /// It could not be ended: it is what it was, until it is asked to end again.
    pub(crate) fn end_failed(&self, id: &str, reason: String) {
        let mut state = self.state();
        if let Some(container) = state.containers.get_mut(id) {
            container.ending = Ending::Failed;
        }
        state.pending = Some(reason);
        drop(state);
        self.changed.notify_one();
    }

    /// It ended by itself, with these last words.
    pub(crate) fn tell_exit(&self, id: &str, last_words: &str) {
        let now = self.core.now();
        let mut state = self.state();
        let found = state.containers.get_mut(id);
        let exit = found.and_then(|container| {
            let exit = container.exit(now, last_words);
            container.ending = Ending::Told;
            exit
        });
        if let Some(exit) = exit {
            tracing::debug!(replica = %exit.replica, reason = exit.reason, "a replica ended by itself");
            state.tell(exit);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing is started any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.orders.values_mut().for_each(|order| order.cancelled = true);
    }

    /// Containers whose CPU time is not in any file that can be read.
    pub(crate) fn unmetered(&self) -> Vec<String> {
        let mut state = self.state();
        let due = state.containers.values_mut().filter(|c| c.wants_counter());
        due.map(|container| {
            container.asking = true;
            container.facts.id.clone()
        })
        .collect()
    }

    /// What the daemon said of a container's CPU time, if it said anything.
    pub(crate) fn counted(&self, id: &str, used_ns: Option<u64>) {
        let now = self.core.now();
        if let Some(container) = self.state().containers.get_mut(id) {
            container.counted(now, used_ns);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the host says.
impl Service {
    /// Everything there was when `asked`; gives those of which more must be known.
    pub(crate) fn listed(&self, all: &[&ContainerSummary], asked: Instant) -> Vec<String> {
        let mut state = self.state();
        let ids: BTreeSet<&str> = all.iter().filter_map(|c| c.id.as_deref()).collect();
        let before = state.containers.len();
        state.containers.retain(|id, c| ids.contains(id.as_str()) || c.as_of > asked);
        let unclear = all.iter().filter_map(|summary| {
            let id = summary.id.as_deref()?;
            let same = |c: &Container| c.as_of > asked || agrees(c, summary);
            (!state.containers.get(id).is_some_and(same)).then(|| id.to_owned())
        });
        let unclear = unclear.collect();
        if state.containers.len() != before {
            self.changed.notify_one();
        }
        unclear
    }

    /// Everything that was listed is known.
    pub(crate) fn complete(self: &Arc<Self>) {
        let mut state = self.state();
        let first = !std::mem::replace(&mut state.whole, true);
        // Left by a flyball that died between creating and starting them, or not removed so far.
        let orders: BTreeSet<ReplicaId> = state.orders.keys().cloned().collect();
        let orphan = |c: &mut Container| {
            let left = match c.facts.state {
                ContainerState::Created => !orders.contains(&c.facts.replica),
                ContainerState::Exited { .. } => c.ending == Ending::Failed,
                _ => false,
            };
            (c.facts.managed && left && c.end()).then(|| c.facts.id.clone())
        };
        let orphans: Vec<String> = state.containers.values_mut().filter_map(orphan).collect();
        drop(state);
        for id in orphans {
            self.tasks.spawn(end::remove(Arc::clone(self), id));
        }
        if first {
            self.changed.notify_one();
        }
    }

    /// What an inspection said that began at `asked`.
    pub(crate) fn take(
        self: &Arc<Self>,
        answer: &ContainerInspectResponse,
        standing: &Standing,
        asked: Instant,
    ) -> Taken {
        let publish = &self.settings.publish;
        let way = Way { publish, port: self.settings.port, machine: self.core.machine };
        let Some(facts) = Facts::of(answer, standing, way) else { return Taken::Yes };
        let id = facts.id.clone();
        let mut state = self.state();
        let ordered = state.orders.contains_key(&facts.replica);
        let container = match state.containers.remove(&id) {
            Some(known) if known.as_of > asked => {
                state.containers.insert(id, known);
                return Taken::Overtaken;
            }
            Some(mut known) => {
                known.learn(facts, asked, &self.core);
                known
            }
            None => {
                let replica = facts.replica.clone();
                let asked_at = state.orders.get(&replica).map(|order| order.asked_at);
                let mut facts = facts;
                state.keep_apart(&mut facts);
                Container::new(facts, asked, asked_at, &self.core)
            }
        };
        if !container.facts.managed && container.facts.state == ContainerState::Running {
            state.told.serves(&id);
        }
        state.containers.insert(id.clone(), container);
        self.bury_if_dead(&mut state, &id, ordered);
        drop(state);
        self.changed.notify_one();
        Taken::Yes
    }

    /// A container's process has ended; why is asked for next.
    pub(crate) fn died(self: &Arc<Self>, id: &str, code: Option<i64>) {
        let now = self.core.now();
        let mut state = self.state();
        let Some(container) = state.containers.get_mut(id) else { return };
        container.died(now, code);
        let replica = container.facts.replica.clone();
        let ordered = state.orders.contains_key(&replica);
        self.bury_if_dead(&mut state, id, ordered);
        drop(state);
        self.changed.notify_one();
    }

    /// Somebody sent `signal` to a container. What stops the ones that replicas are copied from may
    /// be about to stop them all, and takes what is started meanwhile amiss.
    pub(crate) fn signalled(&self, id: &str, signal: &str) {
        if self.settings.image.is_some() {
            return;
        }
        let mut state = self.state();
        let State { containers, told, orders, .. } = &mut *state;
        if containers.get(id).is_none_or(|c| c.ending != Ending::None) {
            return;
        }
        let lives = |c: &&Container| {
            let ordered = orders.contains_key(&c.facts.replica);
            c.facts.state == ContainerState::Running && c.ending == Ending::None && !ordered
        };
        let living = containers.values().filter(lives).map(|c| &c.facts.id);
        if told.hear(id, signal, living, Instant::now()) {
            orders.values_mut().for_each(|order| order.cancelled = true);
            tracing::info!(
                "{}: all its containers were stopped by somebody else: none is started until one \
                 runs that flyball did not start",
                self.name()
            );
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A container was started.
    pub(crate) fn risen(&self, id: &str) {
        self.state().told.risen(id);
    }

    /// A container is no more.
    pub(crate) fn gone(&self, id: &str) {
        if self.state().containers.remove(id).is_some() {
            self.changed.notify_one();
        }
    }

    /// The host cannot be reached: what happens there is not seen.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.whole = false;
        state.told.forget();
        drop(state);
        self.changed.notify_one();
    }

    /// What flyball started and what ended by itself is cleared away; while its start is still
    /// under way, that sees to it.
    fn bury_if_dead(self: &Arc<Self>, state: &mut State, id: &str, ordered: bool) {
        let Some(container) = state.containers.get_mut(id).filter(|_| !ordered) else { return };
        let dead = matches!(container.facts.state, ContainerState::Exited { .. });
        if dead && container.facts.managed && container.ending == Ending::None {
            container.ending = Ending::Died;
            self.tasks.spawn(end::bury(Arc::clone(self), id.to_owned()));
        }
    }
}

impl State {
    fn report(&mut self, clock: fn() -> Timestamp) -> EngineReport {
        let mut replicas: BTreeMap<ReplicaId, ReplicaReport> = BTreeMap::new();
        for container in self.containers.values_mut() {
            let order = self.orders.get(&container.facts.replica);
            if let Some(mut report) = container.report(order.is_some(), clock) {
                if let Some(order) = order {
                    report.asked_at = order.asked_at;
                    report.phase = if order.cancelled { Phase::Stopping } else { report.phase };
                }
                replicas.insert(report.id.clone(), report);
            }
        }
        for (id, order) in &self.orders {
            replicas.entry(id.clone()).or_insert_with(|| order.report(id));
        }
        EngineReport {
            replicas: replicas.into_values().collect(),
            exits: self.exits.iter().cloned().collect(),
            busy: self.told.hold(Instant::now()).map(str::to_owned),
            pending: self.pending.clone(),
            count: None,
        }
    }

    /// Each one later than the one before, so that nobody who remembers a time misses one.
    fn tell(&mut self, mut exit: Exit) {
        let after = self.exits.back().map(|last| last.at.plus_ms(1));
        exit.at = after.map_or(exit.at, |after| exit.at.max(after));
        self.exits.push_back(exit);
        let surplus = self.exits.len().saturating_sub(EXITS_KEPT);
        self.exits.drain(..surplus);
    }

    /// No two replicas have one name: of two, the later known is called by its container's id.
    fn keep_apart(&self, facts: &mut Facts) {
        if self.containers.values().any(|c| c.facts.replica == facts.replica) {
            let short = facts.id.get(..12).unwrap_or(&facts.id);
            facts.replica = ReplicaId::new(format!("{}.{short}", facts.name));
        }
    }
}

impl Order {
    fn report(&self, id: &ReplicaId) -> ReplicaReport {
        ReplicaReport {
            id: id.clone(),
            phase: if self.cancelled { Phase::Stopping } else { Phase::Starting },
            asked_at: self.asked_at,
            ready_at: None,
            address: None,
            cpu: None,
            throttled: None,
            cpu_limit_cores: 1.0,
            protected: false,
        }
    }
}

/// Whether a line of a listing says what is known already.
fn agrees(known: &Container, summary: &ContainerSummary) -> bool {
    let listed = summary.state.map(|state| state.to_string()).unwrap_or_default();
    let health = summary.status.as_deref().unwrap_or_default();
    known.facts.state.word() == ContainerState::word_of_listing(&listed)
        && known.facts.name == name_of(summary)
        && known.is_healthy() == health.contains("(healthy)")
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("settings", &self.settings).finish_non_exhaustive()
    }
}
