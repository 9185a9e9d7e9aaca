//! The containers of one service, and the report made from them. Until everything has been listed
//! once, and while the host is unreachable, the report is missing rather than empty.

mod action;
mod asleep;
mod generations;
mod heard;
mod notices;
mod seat;
mod state;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use flyball_core::generation::Generation;
use flyball_core::observation::{EngineReport, Exit, Phase, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::DockerSettings;
use crate::client::Client;
use crate::container::Ending;
use crate::cpu::Counters;
use crate::facts::State as ContainerState;
use crate::images::Images;
use crate::networks::BalancerPlace;
use crate::owner::Owner;
use crate::settings::Publish;
use crate::standing::Members;

pub(crate) use action::Action;
pub(crate) use heard::Taken;
pub(crate) use notices::NO_CGROUPS;
use seat::Seat;
use state::{Order, State};

/// About 10 s.
const UNCLEAR_MAX: u32 = 3;

/// One service on one host.
pub(crate) struct Service {
    pub(crate) client: Arc<Client>,
    name: String,
    settings: RwLock<Arc<DockerSettings>>,
    pub(crate) changed: Notify,
    /// Starts, stops and burials under way.
    pub(crate) tasks: TaskTracker,
    made_at: Timestamp,
    state: Mutex<State>,
    /// Listings in a row in which it was not known of a container whether it is a replica.
    unclear: AtomicU32,
    seat: Mutex<Seat>,
    images: Mutex<Images>,
}

impl Service {
    pub(crate) fn new(client: Arc<Client>, settings: DockerSettings) -> Self {
        Self {
            made_at: client.now(),
            client,
            name: settings.service.clone(),
            settings: RwLock::new(Arc::new(settings)),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            state: Mutex::default(),
            unclear: AtomicU32::new(0),
            seat: Mutex::default(),
            images: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How its replicas are made from now on.
    pub(crate) fn settings(&self) -> Arc<DockerSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_settings(&self, settings: DockerSettings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Whether a listing is not taken for whole, because it is `unclear` whether some container in
    /// it is a replica. For some listings only: a client that keeps the daemon from reporting a
    /// container does not keep the service from its replicas for ever.
    pub(crate) fn waits(&self, unclear: bool) -> bool {
        if !unclear || self.settings().members == Members::Started {
            self.unclear.store(0, Relaxed);
            return false;
        }
        self.unclear.fetch_add(1, Relaxed) < UNCLEAR_MAX
    }

    /// All that is known now, as old as the daemon's latest sign of life.
    pub(crate) fn observe(&self) -> Reading<EngineReport> {
        let heard = self.client.heard();
        let notices = self.notices();
        let of_image = self.images().current().map(|image| image.generation);
        let mut state = self.state();
        if heard.down.is_some() || !state.whole {
            let why = heard.down.unwrap_or_else(|| "containers are not listed yet".into());
            return Reading::Missing { since: heard.at.max(self.made_at), why };
        }
        let generation = match self.settings().image {
            Some(_) => of_image,
            None => state.generation(),
        };
        let report = state.report(self.client.settings.clock);
        drop(state);
        if self.settings().image.is_some() {
            let mut images = self.images();
            let ready = report.replicas.iter().filter(|replica| replica.phase == Phase::Ready);
            ready.filter_map(|replica| replica.generation).for_each(|made| images.serve(made));
        }
        Reading::Taken { at: heard.at, value: EngineReport { notices, generation, ..report } }
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
    pub(crate) fn order(&self, replica: &ReplicaId, generation: Option<Generation>) -> bool {
        let asked_at = self.client.now();
        let mut state = self.state();
        let known =
            state.containers.values().any(|c| c.facts.replica == *replica && c.counts(asked_at));
        if state.closed || known || state.orders.contains_key(replica) {
            return false;
        }
        let order = Order { asked_at, cancelled: false, number: None, generation };
        state.orders.insert(replica.clone(), order);
        true
    }

    /// Whether a replica that does not run yet is still wanted.
    pub(crate) fn wanted(&self, replica: &ReplicaId) -> bool {
        let state = self.state();
        !state.closed && state.orders.get(replica).is_some_and(|order| !order.cancelled)
    }

    /// The order was carried out, or was given up without a failure. Gives what is to be done.
    pub(crate) fn ordered_done(&self, replica: &ReplicaId) -> Vec<Action> {
        let (mut state, mut actions) = (self.state(), Vec::new());
        let order = state.orders.remove(replica);
        let create_and_start = state.containers.values_mut().find(|c| c.facts.replica == *replica);
        if let (Some(order), Some(container)) = (order, create_and_start) {
            container.asked_at = order.asked_at;
            container.noted = true;
            let id = container.facts.id.clone();
            if order.cancelled && !container.facts.protected && container.end() {
                actions.push(Action::Stop(id.clone()));
            }
            state.pending = None;
            // It may have ended before it was seen running.
            actions.extend(state.end_if_dead(&id, false));
        }
        drop(state);
        self.changed.notify_one();
        actions
    }

    /// The order could not be carried out.
    pub(crate) fn failed(&self, replica: &ReplicaId, reason: String) {
        let at = self.client.now();
        let mut state = self.state();
        let order = state.orders.remove(replica);
        if order.is_some_and(|order| !order.cancelled) && !state.closed {
            state.pending = Some(reason.clone());
            state.exits.push(Exit { replica: replica.clone(), at, ready_ms: None, reason });
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Host ports that another container has, whatever it does.
    pub(crate) fn ports_taken(&self) -> BTreeSet<u16> {
        match self.settings().publish {
            Publish::HostNetwork => {
                let state = self.state();
                let addresses = state.containers.values().filter_map(|c| c.facts.address);
                addresses.map(|address| address.port()).collect()
            }
            Publish::Address(_) | Publish::ContainerAddress { .. } => BTreeSet::new(),
        }
    }

    /// Gives the order for `replica` a unique number within its Compose service: several starts at
    /// once would work out the same one. `refused` is a number whose name an external container
    /// has.
    pub(crate) fn reserve_number(&self, replica: &ReplicaId, refused: Option<u64>) -> Option<u64> {
        let mut state = self.state();
        state.numbers_refused.extend(refused);
        let number = state.free_number(replica)?;
        state.orders.get_mut(replica)?.number = Some(number);
        Some(number)
    }

    /// How long a container gets from its stop signal to `SIGKILL`, in seconds: as the settings say
    /// or, with `None` for them, as it says itself.
    pub(crate) fn stop_timeout(&self, id: &str) -> (Option<i32>, Option<i64>) {
        let own = self.state().containers.get(id).and_then(|c| c.facts.stop_timeout_s);
        (self.settings().grace_s(), own)
    }

    /// Where requests come from.
    pub(crate) fn balancer(&self) -> BalancerPlace {
        self.seat().place.clone()
    }

    pub(crate) fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a container is in more than one network.
    pub(crate) fn has_several_networks(&self) -> bool {
        self.state().containers.values().any(|container| container.facts.networks > 1)
    }

    /// What its replicas are made from, where that is an image.
    pub(crate) fn images(&self) -> MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its image has to be looked up from now on; true once.
    pub(crate) fn follows_image(&self) -> bool {
        let asked = &mut self.images().followed;
        self.settings().image.is_some() && !std::mem::replace(asked, true)
    }

    /// The id of the container that a replica of `generation` is best copied from.
    pub(crate) fn model_of(&self, generation: Generation) -> Option<String> {
        self.state().model_of(generation)
    }

    /// What copies are made as now; `None` while there is nothing to copy.
    pub(crate) fn generation_of_copies(&self) -> Option<Generation> {
        self.state().generation()
    }

    pub(crate) fn has_containers(&self) -> bool {
        !self.state().containers.is_empty()
    }

    /// Whether nothing is started any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Has every container inspected again, since what follows from an inspection has changed.
    pub(crate) fn reread(&self) {
        self.state().containers.values_mut().for_each(|container| container.stale = true);
        self.client.relist.notify_one();
    }

    /// Whose container is copied: the one that was first, among `owners`, the oldest first, as long
    /// as it is there.
    pub(crate) fn original_of(&self, owners: &[Owner]) -> Option<Owner> {
        self.state().original_of(owners)
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        let now = self.client.now();
        let mut state = self.state();
        let found = state.containers.values_mut().find(|c| c.facts.replica == *replica);
        if let Some(container) = found {
            container.probed(now);
        }
    }

    /// Takes in an order to stop `replica`; gives what is to be done, if anything.
    pub(crate) fn order_end(&self, replica: &ReplicaId) -> Option<Action> {
        let mut state = self.state();
        let found = state.containers.values_mut().find(|c| c.facts.replica == *replica);
        if found.as_ref().is_some_and(|c| c.facts.protected && c.sleep.is_none()) {
            tracing::debug!(%replica, "a protected container is not stopped");
            return None;
        }
        let id = found.map(|container| container.facts.id.clone());
        if let Some(order) = state.orders.get_mut(replica) {
            order.cancelled = true;
            return None;
        }
        let container = state.containers.get_mut(&id?)?;
        let id = container.facts.id.clone();
        let action = match container.sleep {
            Some(mode) => Action::PutToSleep(id, mode),
            None => Action::Stop(id),
        };
        container.end().then_some(action)
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

    /// It ended by itself, with this log tail.
    pub(crate) fn tell_exit(&self, id: &str, log_tail: &str) {
        let now = self.client.now();
        let mut state = self.state();
        let found = state.containers.get_mut(id);
        let exit = found.and_then(|container| {
            let exit = container.exit(now, log_tail);
            container.ending = Ending::Told;
            exit
        });
        if let Some(exit) = exit {
            tracing::debug!(replica = %exit.replica, reason = exit.reason, "a replica ended by itself");
            state.exits.push(exit);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing is started any more. What runs stays, also where its start has not been reported to
    /// be over: it may serve already.
    pub(crate) fn close(&self) {
        self.state().closed = true;
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
    pub(crate) fn counted(&self, id: &str, counters: Option<Counters>) {
        let now = self.client.now();
        if let Some(container) = self.state().containers.get_mut(id) {
            container.counted(now, counters);
        }
    }

    /// What a container that is restarted again and again wrote last.
    pub(crate) fn keep_log_tail(&self, id: &str, tail: String) {
        if let Some(container) = self.state().containers.get_mut(id) {
            container.log_tail = tail;
        }
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("settings", &self.settings()).finish_non_exhaustive()
    }
}
