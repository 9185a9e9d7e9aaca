//! Whether a started replica is ready.
//!
//! Does not know when a replica is given up (the plan does) nor what becomes of a ready one.
//! Invariant: a replica that no longer starts, or starts elsewhere, is no longer asked there.

mod attempt;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flyball_config::Ready;
use flyball_core::observation::{EngineReport, Phase, ReplicaReport};
use flyball_core::units::ReplicaId;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

pub(crate) use attempt::{Outcome, Question};

/// A process may serve 1 ms after it was started, so the first attempts come close together...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ...and those of one that takes minutes do not disturb it.
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// Answers not yet taken in; more than replicas start at once, and a full queue only waits.
const ANSWERS_MAX: usize = 64;

/// Asks the starting replicas of one service.
pub(crate) struct Prober {
    ready: Ready,
    asking: BTreeMap<ReplicaId, Asking>,
    answers: (mpsc::Sender<ReplicaId>, mpsc::Receiver<ReplicaId>),
}

/// One replica that is asked, or was until it was ready.
struct Asking {
    address: SocketAddr,
    /// What came of the last attempt; `None` before the first has ended.
    last: Arc<Mutex<Option<Outcome>>>,
    task: AbortHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    pub(crate) fn new(ready: Ready) -> Self {
        Self { ready, asking: BTreeMap::new(), answers: mpsc::channel(ANSWERS_MAX) }
    }

    /// Asks exactly the replicas that start and can be reached.
    pub(crate) fn watch(&mut self, report: &EngineReport) {
        let starting: BTreeMap<&ReplicaId, SocketAddr> =
            starting(report).filter_map(|r| Some((&r.id, r.address?))).collect();
        // A container that is started anew comes back with the same name and another port.
        self.asking.retain(|id, asking| starting.get(id) == Some(&asking.address));
        for (id, address) in starting {
            if !self.asking.contains_key(id) {
                tracing::debug!("{id} runs at {address} and is asked whether it is ready");
                self.asking.insert(id.clone(), self.ask(id.clone(), address));
            }
        }
    }

    /// What the check of each starting replica was last answered, as a sentence.
    pub(crate) fn not_ready(&self, report: &EngineReport) -> BTreeMap<ReplicaId, String> {
        let told = |replica: &ReplicaReport| Some((replica.id.clone(), self.tell(replica)?));
        starting(report).filter_map(told).collect()
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
        let last = &self.asking.get(replica)?.last;
        last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ask(&self, replica: ReplicaId, address: SocketAddr) -> Asking {
        let last = Arc::default();
        let (ready, told, ended) = (self.ready.clone(), Arc::clone(&last), self.answers.0.clone());
        let asked = ask_until_ready(ready, replica, address, told, ended);
        Asking { address, last, task: tokio::spawn(asked).abort_handle() }
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

fn starting(report: &EngineReport) -> impl Iterator<Item = &ReplicaReport> {
    report.replicas.iter().filter(|replica| replica.phase == Phase::Starting)
}

async fn ask_until_ready(
    ready: Ready,
    replica: ReplicaId,
    address: SocketAddr,
    last: Arc<Mutex<Option<Outcome>>>,
    answers: mpsc::Sender<ReplicaId>,
) {
    let question = Question { ready: &ready, address };
    let mut pause = PAUSE_FIRST;
    loop {
        let outcome = question.ask().await;
        let met = question.is_met_by(&outcome);
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        if met {
            break;
        }
        sleep(pause).await;
        pause = pause.mul_f64(1.25).min(PAUSE_LAST);
    }
    tracing::debug!("{replica} is ready");
    // A closed channel means that nobody waits any more.
    let _closed = answers.send(replica).await;
}

#[cfg(test)]
mod tests {
    use flyball_core::units::Timestamp;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    fn report(address: Option<SocketAddr>) -> EngineReport {
        let replica = ReplicaReport {
            id: ReplicaId::new("web-1"),
            phase: Phase::Starting,
            asked_at: Timestamp::from_ms(0),
            ready_at: None,
            address,
            cpu: None,
            throttled: None,
            cpu_limit_cores: 1.0,
            protected: false,
        };
        EngineReport { replicas: vec![replica], ..EngineReport::default() }
    }

    #[tokio::test]
    async fn a_replica_that_comes_back_at_another_address_is_asked_there() {
        let mut prober = Prober::new(Ready::Tcp);
        let id = ReplicaId::new("web-1");
        let nowhere = report(None);
        prober.watch(&nowhere);
        assert_eq!(prober.not_ready(&nowhere)[&id], "its address is not known yet");
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            report(Some(listener.local_addr().unwrap()))
        };
        prober.watch(&closed);
        while prober.last(&id).is_none() {
            tokio::task::yield_now().await;
        }
        assert!(prober.not_ready(&closed)[&id].ends_with("nothing listens there"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let moved = report(Some(listener.local_addr().unwrap()));
        prober.watch(&moved);
        let ready = timeout(Duration::from_secs(20), prober.next_ready()).await.unwrap();
        assert_eq!((ready, prober.last(&id)), (id.clone(), Some(Outcome::Connected)));
        let said = &prober.not_ready(&moved)[&id];
        assert!(said.ends_with("is accepted, but its own health check has not passed yet"));
    }
}
