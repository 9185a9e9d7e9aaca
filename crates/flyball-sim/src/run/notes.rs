//! What the looks of a run led to: which changed the count, and whether it came to rest. Of more
//! changes than are kept, the first are, and the rest are counted.

use flyball_core::decision::Decision;
use flyball_core::plan::Step;

use super::{CHANGES_MAX, Change};
use crate::score::ScoreTotals;

/// Notes of one run.
#[derive(Debug)]
pub(super) struct Notes {
    count: u32,
    /// The trace ends then; what comes after is neither kept nor scored.
    end_ms: u64,
    pub(super) changes: Vec<Change>,
    pub(super) changes_dropped: usize,
    changed_ms: Option<u64>,
}

impl Notes {
    /// None yet, with `count` replicas at the beginning of a trace of `end_ms`.
    pub(super) fn new(count: u32, end_ms: u64) -> Self {
        Self { count, end_ms, changes: Vec::new(), changes_dropped: 0, changed_ms: None }
    }

    /// Notes a decision that was carried out `at_ms` after the trace began.
    pub(super) fn note(&mut self, at_ms: u64, decision: &Decision, ledger: &mut ScoreTotals) {
        let change = i64::from(decision.desired) - i64::from(self.count);
        let before = std::mem::replace(&mut self.count, decision.desired);
        if change != 0 {
            self.changed_ms = Some(at_ms);
        }
        if at_ms >= self.end_ms {
            return;
        }
        let started = decision.plan.iter().filter(|s| matches!(s, Step::Start { .. })).count();
        ledger.act(at_ms, change, u32::try_from(started).unwrap_or(u32::MAX));
        if change != 0 && self.changes.len() < CHANGES_MAX {
            let after = decision.desired;
            let reason = decision.reason();
            self.changes.push(Change { at_ms, before, after, reason });
        } else if change != 0 {
            self.changes_dropped += 1;
        }
    }

    /// Whether the count did not change any more from `from_ms` on.
    pub(super) fn at_rest_from(&self, from_ms: u64) -> bool {
        self.changed_ms.is_none_or(|at_ms| at_ms < from_ms)
    }
}
