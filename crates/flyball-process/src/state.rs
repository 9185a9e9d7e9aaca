//! The replicas of one service as the engine and their tasks share them, and the report made from
//! them. A replica is listed from its order until its last process has ended.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flyball_cgroup::ProcessStat;
use flyball_core::observation::{CpuCounter, EngineReport, Exit, Phase, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::Exits;
use tokio::sync::{Notify, oneshot, watch};

use crate::meter::Meter;
use crate::{Launcher, ProcessSettings};

/// What the engine and the tasks of its replicas have in common.
pub(crate) struct Shared {
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) settings: ProcessSettings,
    pub(crate) program: PathBuf,
    clock: fn() -> Timestamp,
    pub(crate) changed: Notify,
    /// How many replicas there are.
    pub(crate) population: watch::Sender<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    replicas: BTreeMap<ReplicaId, Replica>,
    exits: Exits,
    /// Why the latest start failed, until one succeeds.
    pending: Option<String>,
    closed: bool,
}

#[derive(Debug)]
struct Replica {
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
        program: PathBuf,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            launcher,
            settings,
            program,
            clock,
            changed: Notify::new(),
            population: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }

    pub(crate) fn report(&self) -> EngineReport {
        let mut state = self.state();
        let limit = self.settings.cpu_limit_cores;
        EngineReport {
            replicas: state
                .replicas
                .iter_mut()
                .map(|(id, replica)| replica.report(id, limit, self.clock))
                .collect(),
            exits: state.exits.to_vec(),
            busy: None,
            pending: state.pending.clone(),
            ..EngineReport::default()
        }
    }

    /// Takes in an order to start a replica, and gives what will tell its task to stop; `None` if
    /// there is one of that name, or nothing is started any more.
    pub(crate) fn order(&self, replica: &ReplicaId) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.closed || state.replicas.contains_key(replica) {
            return None;
        }
        let (stop, stopped) = oneshot::channel();
        state.replicas.insert(replica.clone(), Replica::asked((self.clock)(), stop));
        self.population.send_replace(state.replicas.len());
        Some(stopped)
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        if let Some(replica) = self.state().replicas.get_mut(replica)
            && replica.phase == Phase::Starting
            && replica.address.is_some()
        {
            replica.phase = Phase::Ready;
            replica.ready_at = Some((self.clock)());
        }
    }

    pub(crate) fn stop(&self, replica: &ReplicaId) {
        if let Some(replica) = self.state().replicas.get_mut(replica) {
            replica.ask_to_stop();
        }
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
    pub(crate) fn failed_to_start(&self, id: &ReplicaId, error: &io::Error) {
        let reason = format!("cannot start {}: {error}", self.program.display());
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
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Replica {
    fn asked(asked_at: Timestamp, stop: oneshot::Sender<()>) -> Self {
        Self {
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

    fn report(&mut self, id: &ReplicaId, limit: f64, clock: fn() -> Timestamp) -> ReplicaReport {
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
            cpu_limit_cores: limit,
            protected: false,
            generation: None,
        }
    }
}
