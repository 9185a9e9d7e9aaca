//! Whether a started replica is ready.
//!
//! Decides by asking it: an HTTP request or a TCP connection, again and again until it answers.
//! Does not know when a replica is given up (the plan does) nor what becomes of a ready one.
//! Invariant: a replica that no longer starts is no longer asked; each attempt has a deadline.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use flyball_config::Ready;
use flyball_core::observation::{EngineReport, Phase};
use flyball_core::units::ReplicaId;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::http;

/// A process may serve 1 ms after it was started, so the first attempts come close together...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ...and those of one that takes minutes do not disturb it.
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// An attempt that takes longer says that it is not ready.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);
/// Answers not yet taken in; more than replicas start at once, and a full queue only waits.
const ANSWERS_MAX: usize = 64;

/// Asks the starting replicas of one service.
pub(crate) struct Prober {
    ready: Ready,
    asking: BTreeMap<ReplicaId, AbortHandle>,
    answers: (mpsc::Sender<ReplicaId>, mpsc::Receiver<ReplicaId>),
}

impl Prober {
    pub(crate) fn new(ready: Ready) -> Self {
        Self { ready, asking: BTreeMap::new(), answers: mpsc::channel(ANSWERS_MAX) }
    }

    /// Asks exactly the replicas that start and can be reached.
    pub(crate) fn watch(&mut self, report: &EngineReport) {
        let starting: BTreeMap<&ReplicaId, SocketAddr> = report
            .replicas
            .iter()
            .filter(|r| r.phase == Phase::Starting)
            .filter_map(|r| Some((&r.id, r.address?)))
            .collect();
        self.asking.retain(|id, task| {
            let stays = starting.contains_key(id);
            if !stays {
                task.abort();
            }
            stays
        });
        for (id, address) in starting {
            if !self.asking.contains_key(id) {
                tracing::debug!("{id} runs at {address} and is asked whether it is ready");
                let asked = ask_until_ready(
                    self.ready.clone(),
                    id.clone(),
                    address,
                    self.answers.0.clone(),
                );
                self.asking.insert(id.clone(), tokio::spawn(asked).abort_handle());
            }
        }
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

impl Drop for Prober {
    fn drop(&mut self) {
        for task in self.asking.values() {
            task.abort();
        }
    }
}

async fn ask_until_ready(
    ready: Ready,
    replica: ReplicaId,
    address: SocketAddr,
    answers: mpsc::Sender<ReplicaId>,
) {
    let mut pause = PAUSE_FIRST;
    while !timeout(ATTEMPT_LIMIT, is_ready(&ready, address)).await.unwrap_or(false) {
        sleep(pause).await;
        pause = pause.mul_f64(1.25).min(PAUSE_LAST);
    }
    tracing::debug!("{replica} is ready");
    // A closed channel means that nobody waits any more.
    let _closed = answers.send(replica).await;
}

async fn is_ready(ready: &Ready, address: SocketAddr) -> bool {
    match ready {
        Ready::Tcp => TcpStream::connect(address).await.is_ok(),
        Ready::Http { path, any_status } => match http::get(address, path).await {
            Ok(answer) => *any_status || answer.status < 400,
            Err(_) => false,
        },
    }
}
