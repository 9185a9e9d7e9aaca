//! The last count that was decided, and the latest changes of it.

use std::collections::VecDeque;

use crate::units::Timestamp;

/// Changes older than this matter to no rule's rate or cooldown but the last one, which stays.
const CHANGES_KEPT_MS: u64 = 15_000;
/// Changes kept at most.
const CHANGES_MAX: usize = 64;

/// What `decide` remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CountMemory {
    /// The count of the last decision.
    pub(crate) desired: Option<u32>,
    changes: VecDeque<Change>,
}

/// A change of the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    at: Timestamp,
    from: u32,
    to: u32,
}

impl CountMemory {
    pub(crate) fn remember(&mut self, now: Timestamp, desired: u32) {
        let before = self.desired.replace(desired).unwrap_or(desired);
        if before != desired {
            self.changes.push_back(Change { at: now, from: before, to: desired });
        }
        while self.changes.len() > 1 && self.is_expired(now) {
            self.changes.pop_front();
        }
    }

    /// When it last changed.
    pub(crate) fn changed_at(&self) -> Option<Timestamp> {
        self.changes.back().map(|change| change.at)
    }

    /// Replicas added within the last `ms`, 15 s at most.
    pub(crate) fn added(&self, now: Timestamp, ms: u64) -> u32 {
        self.within(now, ms).map(|change| change.to.saturating_sub(change.from)).fold(0, sum)
    }

    /// Replicas removed within the last `ms`, 15 s at most.
    pub(crate) fn removed(&self, now: Timestamp, ms: u64) -> u32 {
        self.within(now, ms).map(|change| change.from.saturating_sub(change.to)).fold(0, sum)
    }

    fn within(&self, now: Timestamp, ms: u64) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| now.ms_since(change.at) < ms)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        let oldest = self.changes.front();
        oldest.is_some_and(|change| now.ms_since(change.at) > CHANGES_KEPT_MS)
            || self.changes.len() > CHANGES_MAX
    }
}

fn sum(sum: u32, count: u32) -> u32 {
    sum.saturating_add(count)
}
