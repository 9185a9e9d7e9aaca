//! A scripted engine and balancer for tests of the control loop. They wait for nothing outside the
//! test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flyball_core::generation::Generation;
use flyball_core::observation::{
    BalancerReport, EngineReport, Exit, FailureCounts, Phase, Reading, ReplicaReport, Route,
    ServerHealth, ServerReport,
};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::GenerationInfo;
use tokio::sync::Notify;

use crate::clock;

/// What becomes of started replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    /// They run, and are asked at this address whether they are ready.
    Run(SocketAddr),
    /// They end at once, with other words each time.
    Crash,
}

/// An engine whose replicas do as [`Starts`] says.
pub(crate) struct ScriptedEngine {
    starts: Starts,
    /// What becomes of those of a generation, where that is something else.
    by_generation: Mutex<BTreeMap<Generation, Starts>>,
    generations: Mutex<Vec<GenerationInfo>>,
    /// From when on it says nothing.
    silent_from: Option<Timestamp>,
    state: Mutex<EngineReport>,
    changed: Notify,
}

impl ScriptedEngine {
    pub(crate) fn new(starts: Starts) -> Self {
        Self {
            starts,
            by_generation: Mutex::default(),
            generations: Mutex::default(),
            silent_from: None,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The same with a first generation.
    pub(crate) fn with_generations(self) -> Self {
        self.deploy();
        self
    }

    /// From now on replicas of another generation are made.
    pub(crate) fn deploy(&self) -> Generation {
        let mut all = self.generations.lock().unwrap();
        let generation = Generation::of_digest((all.len() as u64 + 1) << 32);
        let (what, since) = (format!("version {}", all.len() + 1), clock::now());
        all.push(GenerationInfo { generation, what, since, served: true });
        self.state().generation = Some(generation);
        self.changed.notify_one();
        generation
    }

    /// The next generation does as `starts` says.
    pub(crate) fn spoil_next(&self, starts: Starts) {
        let next = self.generations.lock().unwrap().len() as u64 + 1;
        let generation = Generation::of_digest(next << 32);
        self.by_generation.lock().unwrap().insert(generation, starts);
    }

    pub(crate) fn generations(&self) -> Vec<GenerationInfo> {
        self.generations.lock().unwrap().clone()
    }

    /// The same until `silent_from`; then it is away.
    pub(crate) fn until(self, silent_from: Timestamp) -> Self {
        Self { silent_from: Some(silent_from), ..self }
    }

    fn state(&self) -> MutexGuard<'_, EngineReport> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observe(&self) -> Reading<EngineReport> {
        let now = clock::now();
        if let Some(since) = self.silent_from.filter(|from| now >= *from) {
            return Reading::Missing { since, why: "docker is not running".to_owned() };
        }
        Reading::Taken { at: now, value: self.state().clone() }
    }

    pub(crate) fn start(&self, replica: &ReplicaId, generation: Option<Generation>) {
        let now = clock::now();
        let mut state = self.state();
        let by_generation = self.by_generation.lock().unwrap();
        let starts = generation.and_then(|generation| by_generation.get(&generation).copied());
        match starts.unwrap_or(self.starts) {
            Starts::Run(address) => {
                state.replicas.push(ReplicaReport { generation, ..started(replica, now, address) });
            }
            Starts::Crash => {
                let reason =
                    format!("exit status 3: {} [{}] no database", now.as_ms(), now.as_ms() % 97);
                state.exits.push(Exit {
                    replica: replica.clone(),
                    at: now,
                    ready_ms: None,
                    reason,
                });
                let surplus = state.exits.len().saturating_sub(20);
                state.exits.drain(..surplus);
            }
        }
        self.changed.notify_one();
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        let now = clock::now();
        for known in self.state().replicas.iter_mut().filter(|known| known.id == *replica) {
            (known.phase, known.ready_at) = (Phase::Ready, Some(now));
        }
    }

    pub(crate) fn stop(&self, replica: &ReplicaId) {
        self.state().replicas.retain(|known| known.id != *replica);
        self.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) async fn shutdown(&self) {}
}

fn started(id: &ReplicaId, now: Timestamp, address: SocketAddr) -> ReplicaReport {
    ReplicaReport { address: Some(address), ..ReplicaReport::new(id.clone(), Phase::Starting, now) }
}

/// What a balancer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// Requests per second.
    pub(crate) per_s: u64,
    /// How many of them wait, at any time.
    pub(crate) waiting: u32,
    /// How many of a hundred fail.
    pub(crate) failed_percent: u64,
    /// What is wrong with its servers.
    pub(crate) trouble: Option<String>,
    /// Why it does not answer.
    pub(crate) away: Option<String>,
}

/// A balancer under a [`Load`] that never changes.
pub(crate) struct ScriptedBalancer {
    load: Load,
    since: Timestamp,
    routes: Mutex<BTreeMap<ReplicaId, Route>>,
}

impl ScriptedBalancer {
    pub(crate) fn new(load: Load) -> Self {
        Self { load, since: clock::now(), routes: Mutex::default() }
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observe(&self) -> Reading<BalancerReport> {
        if let Some(why) = &self.load.away {
            return Reading::Missing { since: self.since, why: why.clone() };
        }
        let now = clock::now();
        let arrivals = now.ms_since(self.since) * self.load.per_s / 1000;
        let errors = arrivals * self.load.failed_percent / 100;
        let servers =
            self.routes().iter().map(|(id, route)| (id.clone(), server(*route))).collect();
        let value = BalancerReport {
            epoch: 1,
            arrivals,
            errors,
            failures: FailureCounts { by_replicas: errors, ..FailureCounts::default() },
            waiting: self.load.waiting,
            servers,
            latency: None,
            late: None,
            wakeful: None,
            trouble: self.load.trouble.clone(),
        };
        Reading::Taken { at: now, value }
    }

    pub(crate) fn route(&self, replica: &ReplicaId) {
        self.routes().insert(replica.clone(), Route::Routed);
    }

    pub(crate) fn drain(&self, replica: &ReplicaId) {
        self.routes().remove(replica);
    }
}

fn server(route: Route) -> ServerReport {
    let health = ServerHealth::Up;
    ServerReport { route, in_flight: 0, served: 0, first_served_at: None, health }
}
