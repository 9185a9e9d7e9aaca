//! Starts that failed one after another, and when the next one is tried. Replicas that were started
//! together and fail together count as one failure.

use crate::observation::{EngineReport, Phase};
use crate::units::{ReplicaId, Timestamp};

/// A replica that ends by itself sooner than this after it became ready counts as a failed start.
const STEADY_MS: u64 = 10_000;
/// From the third failure on the next start is tried after 1 s, 2 s, 4 s, up to 5 min, so that a
/// broken image neither burns a core nor stays down long once mended.
const WAIT_MAX_MS: u64 = 300_000;

/// Before the start after one that was given up: this part of the time that it took, doubled with
/// each that follows, up to the same 5 min. A crash is over at once, so that a few more cost
/// nothing; one that never gets ready has cost its whole start limit already.
const GIVEN_UP_PARTS: u64 = 16;

/// Starts that failed one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many looks saw one, without a replica having stayed in between.
    pub count: u32,
    /// When the next start is tried.
    pub retry_at: Timestamp,
    /// What the last one said.
    pub why: String,
    /// When the last one was seen to fail.
    failed_at: Timestamp,
    /// Replicas with smaller numbers were started before that.
    before_number: u64,
    newest_exit: Option<Timestamp>,
    /// Whether the last one was given up: it did not end, it never got ready.
    given_up: bool,
}

impl Failures {
    /// So many may fail before the next start is delayed: a kill, a full disk and bad luck.
    pub const FREE: u32 = 3;

    /// Counts looks that saw a failed start; a replica that was started since and stays ends the
    /// series. Older ones say nothing: a broken image fails beside replicas of the one before.
    pub(super) fn see(&mut self, now: Timestamp, engine: &EngineReport, next_number: u64) {
        let failed_at = self.failed_at;
        let stayed = engine.replicas.iter().any(|r| {
            let steady = r.ready_at.is_some_and(|at| now.ms_since(at) >= STEADY_MS);
            r.phase == Phase::Ready && steady && r.asked_at >= failed_at
        });
        if stayed {
            self.forgive(now);
        }
        // One after another: those that were started together and fail together fail once.
        let newest = self.newest_exit;
        let failed = engine.exits.iter().rfind(|exit| {
            newest.is_none_or(|newest| exit.at > newest)
                && exit.ready_ms.is_none_or(|ms| ms < STEADY_MS)
                && self.is_later(&exit.replica)
        });
        if let Some(exit) = failed {
            let why = format!("{}: {}", exit.replica, exit.reason);
            self.fail(now, next_number, why);
            self.given_up = false;
            if self.count >= Self::FREE {
                let doublings = (self.count - Self::FREE).min(16);
                self.put_off(now, 1_000 << doublings);
            }
        }
        self.newest_exit = engine.exits.iter().map(|e| e.at).max().max(newest);
    }

    /// Takes `replica`, which did not get ready within `took_ms`, for a failed start, unless it was
    /// started together with one that failed before; `next_number` will be the next name's.
    pub(super) fn give_up(
        &mut self,
        now: Timestamp,
        replica: &ReplicaId,
        next_number: u64,
        took_ms: u64,
        why: String,
    ) {
        if self.is_later(replica) {
            self.fail(now, next_number, why);
            self.given_up = true;
            let doublings = (self.count - 1).min(16);
            self.put_off(now, (took_ms / GIVEN_UP_PARTS).saturating_mul(1 << doublings));
        }
    }

    /// Ends the series: what failed is not tried again.
    pub(super) fn forgive(&mut self, now: Timestamp) {
        self.count = 0;
        self.given_up = false;
        self.retry_at = now;
    }

    /// Whether people should know: more failed than may by chance, or one was given up.
    pub(super) fn shows(&self) -> bool {
        self.count >= Self::FREE || self.count > 0 && self.given_up
    }

    fn is_later(&self, replica: &ReplicaId) -> bool {
        replica.number().is_none_or(|number| number >= self.before_number)
    }

    fn fail(&mut self, now: Timestamp, next_number: u64, why: String) {
        self.count = self.count.saturating_add(1);
        self.failed_at = now;
        self.before_number = next_number;
        self.why = why;
    }

    fn put_off(&mut self, now: Timestamp, wait_ms: u64) {
        self.retry_at = now.plus_ms(wait_ms.min(WAIT_MAX_MS));
    }
}
