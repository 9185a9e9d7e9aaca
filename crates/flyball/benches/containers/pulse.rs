//! A load that records who answered first, and when. Requests go out evenly at a rate that may
//! change at any moment, each on a connection of its own and whatever became of those before it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use flyball_testkit::haproxy;

pub(crate) struct Pulse {
    rate: Arc<AtomicU32>,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    first: Mutex<BTreeMap<String, Timestamp>>,
    sent: AtomicU64,
    failed: Mutex<Vec<String>>,
}

impl Pulse {
    pub(crate) fn start(runtime: &Runtime, target: SocketAddr, per_s: u32) -> Self {
        let (rate, seen) = (Arc::new(AtomicU32::new(per_s)), Arc::<Seen>::default());
        let task = runtime.spawn(send(target, Arc::clone(&rate), Arc::clone(&seen)));
        Self { rate, seen, task }
    }

    /// From now on `per_s` requests a second.
    pub(crate) fn set(&self, per_s: u32) {
        self.rate.store(per_s, Relaxed);
    }

    /// When a replica answered for the first time.
    pub(crate) fn first(&self, replica: &str) -> Option<Timestamp> {
        self.seen.first.lock().unwrap().get(replica).copied()
    }

    /// Those that have answered so far.
    pub(crate) fn known(&self) -> Vec<String> {
        self.seen.first.lock().unwrap().keys().cloned().collect()
    }

    /// Requests sent, and what failed.
    pub(crate) fn counts(&self) -> (u64, Vec<String>) {
        (self.seen.sent.load(Relaxed), self.seen.failed.lock().unwrap().clone())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(target: SocketAddr, rate: Arc<AtomicU32>, seen: Arc<Seen>) {
    let mut last = Instant::now();
    loop {
        // In small pieces, so that a new rate counts from its moment and not from the next request.
        let due = last + Duration::from_secs(1) / rate.load(Relaxed);
        if due > Instant::now() {
            sleep_until(due.min(Instant::now() + Duration::from_millis(1))).await;
            continue;
        }
        last = due;
        seen.sent.fetch_add(1, Relaxed);
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            match haproxy::get(target).await {
                Ok(body) => {
                    let replica = body.trim_end().to_owned();
                    seen.first.lock().unwrap().entry(replica).or_insert_with(Timestamp::now);
                }
                Err(why) => seen.failed.lock().unwrap().push(why),
            }
        });
    }
}
