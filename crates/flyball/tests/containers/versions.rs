//! Callers who ask which version answers, at a steady rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::load::get;

const CALLERS: u32 = 20;

/// One request: each on a connection of its own.
struct Answer {
    sent: Instant,
    got: Instant,
    version: Result<u32, String>,
}

/// One deploy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roll {
    pub(crate) version: u32,
    pub(crate) began: Instant,
    /// When the last old replica was gone.
    pub(crate) done: Instant,
}

/// The callers. They end with [`Self::finish`] or with the test.
pub(crate) struct Versions {
    over: Arc<AtomicBool>,
    began: Instant,
    per_s: u32,
    callers: Vec<JoinHandle<Vec<Answer>>>,
}

/// What they were told.
pub(crate) struct Told {
    answers: Vec<Answer>,
    due: u128,
    pub(crate) p99: Duration,
}

impl Versions {
    /// `per_s` requests in each second. Replicas answer with `vNUMBER`.
    pub(crate) fn start(target: SocketAddr, per_s: u32) -> Self {
        let (over, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let every = Duration::from_secs(1) * CALLERS / per_s;
        let call = |number| {
            let over = Arc::clone(&over);
            let first = began + every * number / CALLERS;
            std::thread::spawn(move || call_until(target, first, every, &over))
        };
        let callers = (0..CALLERS).map(call).collect();
        Self { over, began, per_s, callers }
    }

    pub(crate) fn finish(self) -> Told {
        self.over.store(true, Ordering::Relaxed);
        let due = u128::from(self.per_s) * self.began.elapsed().as_millis() / 1_000;
        let told = self.callers.into_iter().map(|caller| caller.join().unwrap());
        let answers: Vec<Answer> = told.flatten().collect();
        let mut took: Vec<Duration> = answers.iter().map(|it| it.got - it.sent).collect();
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        Told { answers, due, p99 }
    }
}

fn call_until(
    target: SocketAddr,
    first: Instant,
    every: Duration,
    over: &AtomicBool,
) -> Vec<Answer> {
    let (mut answers, mut due) = (Vec::new(), first);
    while !over.load(Ordering::Relaxed) {
        sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        let version = get(target, "/version").and_then(|said| {
            let number = said.strip_prefix('v').and_then(|number| number.parse().ok());
            number.ok_or_else(|| format!("no version: {said:?}"))
        });
        answers.push(Answer { sent, got: Instant::now(), version });
        due += every;
    }
    answers
}

impl Told {
    pub(crate) fn requests(&self) -> usize {
        self.answers.len()
    }

    pub(crate) fn failures(&self) -> Vec<&str> {
        self.answers.iter().filter_map(|it| it.version.as_ref().err()).map(String::as_str).collect()
    }

    /// Nothing failed, and it was the load that was asked for.
    #[track_caller]
    pub(crate) fn assert_none_failed(&self) {
        let failures = self.failures();
        assert!(failures.is_empty(), "{} failed: {:?}", failures.len(), failures.first());
        let sent = self.answers.len();
        assert!(sent as u128 * 5 > self.due * 4, "{sent} of {} requests", self.due);
    }

    /// No version was seen before its deploy began, and none again after it was replaced for good.
    #[track_caller]
    pub(crate) fn assert_in_order(&self, rolls: &[Roll]) {
        for Answer { sent, got, version } in &self.answers {
            let Ok(version) = *version else { continue };
            let done = rolls.iter().filter(|roll| roll.done <= *sent);
            let oldest = done.map(|roll| roll.version).max().unwrap_or(0);
            let begun = rolls.iter().filter(|roll| roll.began <= *got);
            let newest = begun.map(|roll| roll.version).max().unwrap_or(0);
            assert!(
                (oldest..=newest).contains(&version),
                "v{version} was seen where v{oldest} to v{newest} may be"
            );
        }
        let seen = |roll: &Roll| self.answers.iter().any(|it| it.version == Ok(roll.version));
        assert!(rolls.iter().all(seen), "a version that nobody was served");
    }
}
