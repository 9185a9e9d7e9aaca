//! The replicas of one service as the engine and their tasks share them, and the report made from
//! them. A replica is listed from its order until its last process has ended.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flyball_cgroup::ProcessStat;
use flyball_core::generation::Generation;
use flyball_core::observation::{CpuCounter, EngineReport, Exit, Phase, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::{Exits, GenerationInfo};
use tokio::sync::{Notify, oneshot, watch};

use crate::meter::Meter;
use crate::version::{Version, Versions};
use crate::{Launcher, ProcessError, ProcessSettings};

/// What the engine and the tasks of its replicas have in common.
pub(crate) struct Shared {
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) service: String,
    clock: fn() -> Timestamp,
    pub(crate) changed: Notify,
    /// How many replicas there are.
    pub(crate) population: watch::Sender<usize>,
    state: Mutex<State>,
}

/// A replica that is to be started.
pub(crate) struct Ordered {
    pub(crate) version: Arc<Version>,
    /// Tells when its end is wanted.
    pub(crate) stopped: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct State {
    versions: Versions,
    replicas: BTreeMap<ReplicaId, Replica>,
    exits: Exits,
    /// Why the latest start failed, until one succeeds.
    pending: Option<String>,
    closed: bool,
}

#[derive(Debug)]
struct Replica {
    /// What it is made of.
    version: Arc<Version>,
    phase: Phase,
    asked_at: Timestamp,
    ready_at: Option<Timestamp>,
    left_at: Option<Timestamp>,
    address: Option<SocketAddr>,
    meter: Option<Meter>,
    cpu: Option<CpuCounter>,
    /// Gone once it was used: the replica's end is wanted.
    stop: Option<oneshot::Sender<()>>,
}

/// What the engine asks for.
impl Shared {
    pub(crate) fn new(
        launcher: Arc<Launcher>,
        settings: ProcessSettings,
        clock: fn() -> Timestamp,
    ) -> Result<Self, ProcessError> {
        let service = settings.service.clone();
        let state = State {
            versions: Versions::new(settings, clock())?,
            replicas: BTreeMap::new(),
            exits: Exits::default(),
            pending: None,
            closed: false,
        };
        Ok(Self {
            launcher,
            service,
            clock,
            changed: Notify::new(),
            population: watch::Sender::new(0),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn report(&self) -> EngineReport {
        let mut state = self.state();
        EngineReport {
            replicas: state
                .replicas
                .iter_mut()
                .map(|(id, replica)| replica.report(id, self.clock))
                .collect(),
            exits: state.exits.to_vec(),
            busy: None,
            pending: state.pending.clone(),
            generation: Some(state.versions.current().generation),
            ..EngineReport::default()
        }
    }

    /// Takes in an order to start a replica of `generation`, and gives what it is made of and what
    /// will tell its task to stop; `None` if there is one of that name, or nothing is started any
    /// more.
    pub(crate) fn order(
        &self,
        replica: &ReplicaId,
        generation: Option<Generation>,
    ) -> Option<Ordered> {
        let mut state = self.state();
        if state.closed || state.replicas.contains_key(replica) {
            return None;
        }
        let (stop, stopped) = oneshot::channel();
        let version = Arc::clone(state.versions.of(generation));
        let asked = Replica::asked(Arc::clone(&version), (self.clock)(), stop);
        state.replicas.insert(replica.clone(), asked);
        self.population.send_replace(state.replicas.len());
        Some(Ordered { version, stopped })
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        let State { replicas, versions, .. } = &mut *self.state();
        if let Some(replica) = replicas.get_mut(replica)
            && replica.phase == Phase::Starting
            && replica.address.is_some()
        {
            replica.phase = Phase::Ready;
            replica.ready_at = Some((self.clock)());
            versions.note_served(replica.version.generation);
        }
    }

    pub(crate) fn stop(&self, replica: &ReplicaId) {
        if let Some(replica) = self.state().replicas.get_mut(replica) {
            replica.ask_to_stop();
        }
    }

    /// Replicas are to be made of `settings` from now on; `None`: of the same ones anew.
    pub(crate) fn change(
        &self,
        settings: Option<ProcessSettings>,
    ) -> Result<Generation, ProcessError> {
        let now = (self.clock)();
        let State { replicas, versions, .. } = &mut *self.state();
        let runs = |of| replicas.values().any(|replica| replica.version.generation == of);
        let changed = match settings {
            Some(settings) => versions.change(settings, now, runs),
            None => versions.restart(now, runs),
        };
        self.changed.notify_one();
        changed
    }

    pub(crate) fn generations(&self) -> Vec<GenerationInfo> {
        self.state().versions.info()
    }

    /// The longest time from `SIGTERM` to `SIGKILL` that any replica is given.
    pub(crate) fn grace_max_ms(&self) -> u64 {
        let state = self.state();
        let running = state.replicas.values().map(|replica| replica.version.settings.grace_ms);
        running.max().unwrap_or(state.versions.current().settings.grace_ms)
    }

    /// Nothing is started any more, and everything is asked to end.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.replicas.values_mut().for_each(Replica::ask_to_stop);
    }
}

/// What the task of a replica reports.
impl Shared {
    /// It has a process.
    pub(crate) fn started(&self, id: &ReplicaId, address: SocketAddr, meter: Option<Meter>) {
        let mut state = self.state();
        state.pending = None;
        if let Some(replica) = state.replicas.get_mut(id) {
            replica.address = Some(address);
            replica.meter = meter;
        }
        self.changed.notify_one();
    }

    /// Its processes, as far as they are known, after a fresh look for more of them.
    pub(crate) fn descendants(&self, id: &ReplicaId) -> Vec<ProcessStat> {
        let mut state = self.state();
        let Some(meter) = state.replicas.get_mut(id).and_then(|replica| replica.meter.as_mut())
        else {
            return Vec::new();
        };
        // Only what the reading finds on its way is wanted.
        let _ = meter.used_ns();
        meter.members()
    }

    /// Its first process has died, or will be killed now.
    pub(crate) fn leaving(&self, id: &ReplicaId) {
        let now = (self.clock)();
        if let Some(replica) = self.state().replicas.get_mut(id) {
            replica.phase = Phase::Stopping;
            replica.left_at = Some(now);
            replica.meter = None;
        }
        self.changed.notify_one();
    }

    /// Nothing of it is left.
    pub(crate) fn ended(&self, id: &ReplicaId, reason: String) {
        self.remove(&mut self.state(), id, reason);
    }

    /// It never had a process.
    pub(crate) fn failed_to_start(&self, id: &ReplicaId, version: &Version, error: &io::Error) {
        let reason = format!("cannot start {}: {error}", version.program.display());
        let mut state = self.state();
        state.pending = Some(reason.clone());
        self.remove(&mut state, id, reason);
    }

    /// Forgets a replica; its exit is reported unless it was asked to end.
    fn remove(&self, state: &mut State, id: &ReplicaId, reason: String) {
        let Some(replica) = state.replicas.remove(id) else { return };
        let at = replica.left_at.unwrap_or_else(self.clock);
        if replica.stop.is_some() {
            tracing::debug!(replica = %id, reason, "a replica ended by itself");
            let ready_ms = replica.ready_at.map(|ready_at| at.ms_since(ready_at));
            state.exits.push(Exit { replica: id.clone(), at, ready_ms, reason });
        }
        self.population.send_replace(state.replicas.len());
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Replica {
    fn asked(version: Arc<Version>, asked_at: Timestamp, stop: oneshot::Sender<()>) -> Self {
        Self {
            version,
            phase: Phase::Starting,
            asked_at,
            ready_at: None,
            left_at: None,
            address: None,
            meter: None,
            cpu: None,
            stop: Some(stop),
        }
    }

    fn ask_to_stop(&mut self) {
        self.phase = Phase::Stopping;
        if let Some(stop) = self.stop.take() {
            // Its task may just be ending; then there is nothing to stop.
            let _ = stop.send(());
        }
    }

    fn report(&mut self, id: &ReplicaId, clock: fn() -> Timestamp) -> ReplicaReport {
        if let Some(Ok(used_ns)) = self.meter.as_mut().map(Meter::used_ns) {
            self.cpu = Some(CpuCounter { at: clock(), used_ns });
        }
        ReplicaReport {
            id: id.clone(),
            phase: self.phase,
            asked_at: self.asked_at,
            ready_at: self.ready_at,
            address: self.address,
            cpu: self.cpu,
            throttled: None,
            cpu_limit_cores: self.version.settings.cpu_limit_cores,
            protected: false,
            may_sleep: false,
            generation: Some(self.version.generation),
        }
    }
}
