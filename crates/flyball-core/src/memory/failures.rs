//! Starts that failed one after another, and when the next one is tried.
//!
//! Decides what counts as a failed start. Does not know how many are wanted. Invariant: replicas
//! that were started together and fail together fail once.

use serde::{Deserialize, Serialize};

use crate::observation::{EngineReport, Phase};
use crate::units::{ReplicaId, Timestamp};

/// A replica that ends by itself sooner than this after it became ready counts as a failed start.
const STEADY_MS: u64 = 10_000;
/// From the third failure on the next start is tried after 1 s, 2 s, 4 s, up to 5 min, so that a
/// broken image neither burns a core nor stays down long once mended.
const WAIT_MAX_MS: u64 = 300_000;

/// Starts that failed one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Failures {
    /// So many may fail before the next is put off: a kill, a full disk and bad luck.
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
            self.count = 0;
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
            self.fail(now, &exit.replica, next_number, why);
        }
        self.newest_exit = engine.exits.iter().map(|e| e.at).max().max(newest);
    }

    /// Takes `replica` for a failed start, unless it was started together with one that failed
    /// before; `next_number` will be the next name's.
    pub(super) fn fail(
        &mut self,
        now: Timestamp,
        replica: &ReplicaId,
        next_number: u64,
        why: String,
    ) {
        if self.is_later(replica) {
            self.add(now, why);
            self.before_number = next_number;
        }
    }

    fn is_later(&self, replica: &ReplicaId) -> bool {
        replica.number().is_none_or(|number| number >= self.before_number)
    }

    fn add(&mut self, now: Timestamp, why: String) {
        self.count = self.count.saturating_add(1);
        self.failed_at = now;
        self.why = why;
        if self.count >= Self::FREE {
            let doublings = (self.count - Self::FREE).min(16);
            self.retry_at = now.plus_ms((1_000 << doublings).min(WAIT_MAX_MS));
        }
    }
}
