//! Says in the log which replicas have fallen sick and which are well again, each once.
//!
//! Decides nothing. Invariant: what lasts is said when it begins and when it ends, not at every look.

use std::collections::BTreeMap;

use flyball_core::decision::Decision;
use flyball_core::health::{Cause, Sick};
use flyball_core::observation::EngineReport;
use flyball_core::units::ReplicaId;

/// What was said of one service.
#[derive(Default)]
pub(crate) struct SickLog {
    sick: BTreeMap<ReplicaId, Sick>,
    shared: bool,
}

impl SickLog {
    /// Says what changed; gives who says so of each that has fallen sick.
    pub(crate) fn tell(
        &mut self,
        decision: &Decision,
        engine: Option<&EngineReport>,
    ) -> Vec<Cause> {
        // Without the engine nobody knows who is gone.
        let Some(engine) = engine else { return Vec::new() };
        let service = &decision.service;
        let before = std::mem::take(&mut self.sick);
        let now = decision.sick.iter().map(|one| (one.replica.clone(), one.clone()));
        self.sick = now.collect();
        let fallen = decision.sick.iter().filter(|one| !before.contains_key(&one.replica));
        let fallen: Vec<Cause> = fallen
            .map(|one| {
                tracing::warn!(
                    "{service}: {} is sick: {}; it {}",
                    one.replica,
                    one.why,
                    one.standing
                );
                one.cause
            })
            .collect();
        for id in before.keys().filter(|id| !self.sick.contains_key(*id)) {
            let there = engine.replicas.iter().any(|replica| replica.id == *id);
            let end = if there { "is well again" } else { "was sick and is gone" };
            tracing::info!("{service}: {id} {end}");
        }
        let shared = decision.shared_fault.is_some();
        match (std::mem::replace(&mut self.shared, shared), &decision.shared_fault) {
            (false, Some(fault)) => tracing::warn!("{service}: {fault}"),
            (true, None) => {
                tracing::info!("{service}: no fault is shared by all replicas any more")
            }
            _ => {}
        }
        fallen
    }
}
