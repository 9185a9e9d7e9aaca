//! Whether replicas are ready, and whether they stay so.
//!
//! Decides by asking: an HTTP request or a TCP connection, close together while a replica starts,
//! at a slow pace from then on. Does not know what becomes of one that fails (the core does).
//! Invariant: a replica that is gone is no longer asked; each attempt has a deadline.

mod ask;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyball_config::Ready;
use flyball_core::observation::{EngineReport, Phase, ProbeFailure};
use flyball_core::units::ReplicaId;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// A process may serve 1 ms after it was started, so the first attempts come close together...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ...and those of one that takes minutes do not disturb it.
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// A ready replica that fails so many probes in a row fails: as many as Kubernetes' failureThreshold
/// and HAProxy's `fall`.
const FAILURES: u32 = 3;
/// Between the probes of a replica that has begun to fail, if the pace is slower: what is the
/// matter should be known soon.
const PAUSE_FAILING: Duration = Duration::from_secs(1);
/// Answers not yet taken in; more than replicas start at once, and a full queue only waits.
const ANSWERS_MAX: usize = 64;

/// Asks the replicas of one service.
pub(crate) struct Prober {
    ready: Ready,
    /// Time between two probes of a ready replica; zero: it is not asked.
    pace: Duration,
    asking: BTreeMap<ReplicaId, Asking>,
    answers: (mpsc::Sender<ReplicaId>, mpsc::Receiver<ReplicaId>),
    failing: Failing,
}

/// Replicas that were ready and fail, and how.
#[derive(Clone, Default)]
struct Failing(Arc<Mutex<BTreeMap<ReplicaId, ProbeFailure>>>);

/// A task that asks one replica.
struct Asking {
    task: AbortHandle,
    target: Target,
}

/// What is asked of a replica, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Target {
    address: SocketAddr,
    /// Whether it was ready already.
    was_ready: bool,
}

impl Prober {
    pub(crate) fn new(ready: Ready, liveness_ms: u64) -> Self {
        Self {
            ready,
            pace: Duration::from_millis(liveness_ms),
            asking: BTreeMap::new(),
            answers: mpsc::channel(ANSWERS_MAX),
            failing: Failing::default(),
        }
    }

    /// Asks exactly the replicas that start or serve and can be reached.
    pub(crate) fn watch(&mut self, report: &EngineReport) {
        let targets: BTreeMap<&ReplicaId, Target> = report
            .replicas
            .iter()
            .filter_map(|r| Some((&r.id, self.target(r.phase, r.address)?)))
            .collect();
        let failing = &self.failing;
        self.asking.retain(|id, asking| {
            let stays = targets.get(id) == Some(&asking.target);
            if !stays {
                asking.task.abort();
                failing.lock().remove(id);
            }
            stays
        });
        for (id, target) in targets {
            if !self.asking.contains_key(id) {
                self.asking.insert(id.clone(), Asking { task: self.ask(id, target), target });
            }
        }
    }

    fn target(&self, phase: Phase, address: Option<SocketAddr>) -> Option<Target> {
        let was_ready = match phase {
            Phase::Starting => false,
            Phase::Ready | Phase::Unhealthy if !self.pace.is_zero() => true,
            Phase::Ready | Phase::Unhealthy | Phase::Stopping => return None,
        };
        Some(Target { address: address?, was_ready })
    }

    fn ask(&self, id: &ReplicaId, Target { address, was_ready }: Target) -> AbortHandle {
        let (ready, id) = (self.ready.clone(), id.clone());
        if was_ready {
            let (pace, failing) = (self.pace, self.failing.clone());
            return tokio::spawn(ask_on(ready, id, address, pace, failing)).abort_handle();
        }
        tracing::debug!("{id} runs at {address} and is asked whether it is ready");
        tokio::spawn(ask_until_ready(ready, id, address, self.answers.0.clone())).abort_handle()
    }

    /// The next replica that answered.
    pub(crate) async fn next_ready(&mut self) -> ReplicaId {
        match self.answers.1.recv().await {
            Some(replica) => replica,
            // The sender lives in self, so the channel does not close.
            None => std::future::pending().await,
        }
    }

    /// Replicas that were ready and do not pass their probe any more.
    pub(crate) fn failing(&self) -> BTreeMap<ReplicaId, ProbeFailure> {
        let mut failing = self.failing.lock();
        // A task that was just ended may have had the last word.
        failing.retain(|id, _| self.asking.contains_key(id));
        failing.clone()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        for asking in self.asking.values() {
            asking.task.abort();
        }
    }
}

impl Failing {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, ProbeFailure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask_until_ready(
    ready: Ready,
    replica: ReplicaId,
    address: SocketAddr,
    answers: mpsc::Sender<ReplicaId>,
) {
    let mut pause = PAUSE_FIRST;
    while ask::probe(&ready, address).await.is_err() {
        sleep(pause).await;
        pause = pause.mul_f64(1.25).min(PAUSE_LAST);
    }
    tracing::debug!("{replica} is ready");
    // A closed channel means that nobody waits any more.
    let _closed = answers.send(replica).await;
}

/// Asks a ready replica for as long as it is there.
async fn ask_on(
    ready: Ready,
    replica: ReplicaId,
    address: SocketAddr,
    pace: Duration,
    failing: Failing,
) {
    sleep(pace.mul_f64(part_of(&replica))).await;
    let mut failures = 0;
    loop {
        match ask::probe(&ready, address).await {
            Ok(()) => {
                failures = 0;
                failing.lock().remove(&replica);
            }
            Err(failure) => {
                failures += 1;
                tracing::debug!("{replica} fails its probe, {failures} in a row: {}", failure.why);
                if failures >= FAILURES {
                    failing.lock().insert(replica.clone(), failure);
                }
            }
        }
        sleep(if failures > 0 { pace.min(PAUSE_FAILING) } else { pace }).await;
    }
}

/// Where in the pace a replica's turn is, 0..1: those that became ready together are not all asked
/// at one moment.
fn part_of(replica: &ReplicaId) -> f64 {
    let sum = replica
        .as_str()
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    f64::from(sum % 97) / 97.0
}

#[cfg(test)]
mod tests;
