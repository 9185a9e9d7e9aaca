//! How many replicas have fallen sick since flyball began, by who said so.

use std::collections::BTreeSet;

use flyball_core::decision::Decision;
use flyball_core::health::Cause;
use flyball_core::units::ReplicaId;

/// Who was sick at the last look: a replica that stays sick has fallen sick once.
#[derive(Default)]
pub(crate) struct SickCounts {
    sick: BTreeSet<ReplicaId>,
}

impl SickCounts {
    /// Who says so of each replica that has fallen sick since the last look.
    pub(crate) fn fallen(&mut self, decision: &Decision) -> Vec<Cause> {
        let now = decision.sick.iter().map(|one| one.replica.clone()).collect();
        let before = std::mem::replace(&mut self.sick, now);
        let fallen = decision.sick.iter().filter(|one| !before.contains(&one.replica));
        fallen.map(|one| one.cause).collect()
    }
}
