//! The targets, each with a queue and a task of its own: a target that hangs fills its own queue,
//! and what does not fit is dropped, which is logged.

use std::sync::Arc;
use std::time::Duration;

use flyball_net::WarningLimit;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::notification::Notification;
use crate::pace::Pace;
use crate::target::Target;

/// Notifications that may wait for one target.
const QUEUE_MAX: usize = 64;
/// The waits before the second and the third try.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// How long the end of flyball waits for what is still queued.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// All targets.
#[derive(Debug, Default)]
pub struct Notifier {
    queues: Vec<Queue>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Queue {
    target: Arc<Target>,
    sender: Sender<Notification>,
    pace: Pace,
    full: WarningLimit,
}

impl Notifier {
    /// Starts a task for each of `targets`. Must be called within a runtime.
    pub fn start(targets: Vec<Target>) -> Self {
        let mut notifier = Self::default();
        for target in targets {
            let (sender, receiver) = mpsc::channel(QUEUE_MAX);
            let target = Arc::new(target);
            notifier.tasks.spawn(serve(Arc::clone(&target), receiver));
            let (pace, full) = (Pace::default(), WarningLimit::default());
            notifier.queues.push(Queue { target, sender, pace, full });
        }
        notifier
    }

    /// Hands `told` to every target that wants it, and returns at once. `now_ms` is of a clock that never runs backwards.
    pub fn tell(&mut self, told: &Notification, now_ms: u64) {
        for queue in &mut self.queues {
            let settings = &queue.target.settings;
            let wanted = settings.events.contains(&told.event);
            if wanted && queue.pace.allows(told, now_ms, settings.every_ms) {
                queue.put(told.clone());
            }
        }
    }

    /// Sends what is queued, for 3 s at most, and ends.
    pub async fn stop(mut self) {
        self.queues.clear();
        let ended = timeout(STOP_LIMIT, async { while self.tasks.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!("not all notifications were sent within {} s", STOP_LIMIT.as_secs());
        }
    }
}

impl Queue {
    fn put(&mut self, told: Notification) {
        if self.sender.try_send(told).is_err() {
            let name = &self.target.name;
            self.full
                .warn(|| format!("notify.{name}: {QUEUE_MAX} notifications wait, one is dropped"));
        }
    }
}

async fn serve(target: Arc<Target>, mut queue: Receiver<Notification>) {
    while let Some(told) = queue.recv().await {
        deliver(&target, &told).await;
    }
}

/// Tries three times.
async fn deliver(target: &Target, told: &Notification) {
    let mut waits = WAITS.into_iter();
    loop {
        let Err(error) = target.tell(told).await else { return };
        let name = &target.name;
        match waits.next().filter(|_| error.is_passing()) {
            Some(wait) => {
                tracing::debug!("notify.{name}: {error}; trying again in {} s", wait.as_secs());
                sleep(wait).await;
            }
            None => {
                tracing::warn!("notify.{name}: not told that {told}: {error}");
                return;
            }
        }
    }
}
