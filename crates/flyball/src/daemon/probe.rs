//! Readiness and liveness probes: frequent while a replica starts, slow afterwards. The core
//! decides what happens to a replica that fails.

mod attempt;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyball_config::Ready;
use flyball_core::observation::{EngineReport, Phase, ProbeFailure, ReplicaReport};
use flyball_core::units::ReplicaId;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

pub(crate) use attempt::{Outcome, Question};

/// A process may serve 1 ms after it was started, so the first attempts come close together...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ...and those of one that takes minutes do not disturb it.
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// A ready replica that fails this many probes in a row fails: as many as Kubernetes'
/// failureThreshold and HAProxy's `fall`.
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
}

/// What is asked of a replica, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Target {
    address: SocketAddr,
    /// Whether it was ready already.
    was_ready: bool,
}

/// One replica that is asked, or was until it was ready.
struct Asking {
    target: Target,
    probed: Probed,
    task: AbortHandle,
}

/// What came of the attempts at one replica.
#[derive(Clone, Default)]
struct Probed(Arc<Mutex<Attempts>>);

#[derive(Default)]
struct Attempts {
    /// `None` before the first has ended.
    last: Option<Outcome>,
    /// Attempts that failed, since the last that did not.
    failures: u32,
}

impl Probed {
    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an attempt; gives the failures in a row.
    fn take(&self, outcome: Outcome, met: bool) -> u32 {
        let mut attempts = self.lock();
        attempts.last = Some(outcome);
        attempts.failures = if met { 0 } else { attempts.failures.saturating_add(1) };
        attempts.failures
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    pub(crate) fn new(ready: Ready, liveness_ms: u64) -> Self {
        Self {
            ready,
            pace: Duration::from_millis(liveness_ms),
            asking: BTreeMap::new(),
            answers: mpsc::channel(ANSWERS_MAX),
        }
    }

    /// Asks something else from now on, or at another pace. What was asked before counts no more.
    pub(crate) fn change(&mut self, ready: &Ready, liveness_ms: u64) {
        let pace = Duration::from_millis(liveness_ms);
        if self.ready != *ready || self.pace != pace {
            (self.ready, self.pace) = (ready.clone(), pace);
            self.asking.clear();
        }
    }

    /// Asks exactly the replicas that start or serve and can be reached.
    pub(crate) fn watch(&mut self, report: &EngineReport) {
        let targets: BTreeMap<&ReplicaId, Target> = report
            .replicas
            .iter()
            .filter_map(|r| Some((&r.id, self.target(r.phase, r.address)?)))
            .collect();
        // A restarted container comes back with the same name and another port.
        self.asking.retain(|id, asking| targets.get(id) == Some(&asking.target));
        for (id, target) in targets {
            if !self.asking.contains_key(id) {
                self.asking.insert(id.clone(), self.ask(id.clone(), target));
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

    fn ask(&self, id: ReplicaId, target: Target) -> Asking {
        let (ready, address, probed) = (self.ready.clone(), target.address, Probed::default());
        let told = probed.clone();
        let task = if target.was_ready {
            tokio::spawn(ask_on(ready, id, address, self.pace, told))
        } else {
            tracing::debug!("{id} runs at {address}; probing it until it is ready");
            tokio::spawn(ask_until_ready(ready, id, address, told, self.answers.0.clone()))
        };
        Asking { target, probed, task: task.abort_handle() }
    }

    /// What the check of each starting replica was last answered, as a sentence.
    pub(crate) fn not_ready(&self, report: &EngineReport) -> BTreeMap<ReplicaId, String> {
        let starting = report.replicas.iter().filter(|replica| replica.phase == Phase::Starting);
        let told = |replica: &ReplicaReport| Some((replica.id.clone(), self.tell(replica)?));
        starting.filter_map(told).collect()
    }

    fn tell(&self, replica: &ReplicaReport) -> Option<String> {
        let Some(address) = replica.address else {
            return Some("its address is not known yet".to_owned());
        };
        let question = Question { ready: &self.ready, address };
        let last = self.last(&replica.id)?;
        let met = question.is_met_by(&last);
        let more = if met { ", but its own health check has not passed yet" } else { "" };
        Some(format!("{question}{last}{more}"))
    }

    /// What came of the last attempt at `replica`; `None` before the first has ended, and for one
    /// that is not asked.
    pub(crate) fn last(&self, replica: &ReplicaId) -> Option<Outcome> {
        self.asking.get(replica)?.probed.lock().last.clone()
    }

    /// Replicas that were ready and do not pass their probe any more.
    pub(crate) fn failing(&self) -> BTreeMap<ReplicaId, ProbeFailure> {
        let ready = self.asking.iter().filter(|(_, asking)| asking.target.was_ready);
        let failing = |(id, asking): (&ReplicaId, &Asking)| {
            let attempts = asking.probed.lock();
            let last = attempts.last.as_ref().filter(|_| attempts.failures >= FAILURES)?;
            let question = Question { ready: &self.ready, address: asking.target.address };
            let why = format!("{question}{last}");
            Some((id.clone(), ProbeFailure { silent: !last.is_an_answer(), why }))
        };
        ready.filter_map(failing).collect()
    }

    /// The next replica that answered.
    pub(crate) async fn next_ready(&mut self) -> ReplicaId {
        match self.answers.1.recv().await {
            Some(replica) => replica,
            // The sender lives in self, so the channel does not close.
            None => std::future::pending().await,
        }
    }
}

async fn ask_until_ready(
    ready: Ready,
    replica: ReplicaId,
    address: SocketAddr,
    probed: Probed,
    answers: mpsc::Sender<ReplicaId>,
) {
    let question = Question { ready: &ready, address };
    let mut pause = PAUSE_FIRST;
    loop {
        let outcome = question.ask().await;
        let met = question.is_met_by(&outcome);
        if probed.take(outcome, met) == 0 {
            break;
        }
        sleep(pause).await;
        pause = pause.mul_f64(1.25).min(PAUSE_LAST);
    }
    tracing::debug!("{replica} is ready");
    // A closed channel means that the prober is gone.
    let _closed = answers.send(replica).await;
}

/// Asks a ready replica for as long as it is there.
async fn ask_on(
    ready: Ready,
    replica: ReplicaId,
    address: SocketAddr,
    pace: Duration,
    probed: Probed,
) {
    let question = Question { ready: &ready, address };
    sleep(pace.mul_f64(part_of(&replica))).await;
    loop {
        let outcome = question.ask().await;
        let met = question.is_met_by(&outcome);
        let words = (!met).then(|| outcome.to_string());
        let failures = probed.take(outcome, met);
        if let Some(words) = words {
            tracing::debug!(
                "{replica} failed its probe {failures} times in a row: \
                             {question}{words}"
            );
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
