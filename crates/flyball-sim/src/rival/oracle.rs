//! `oracle`: knows the load to come and asks a start lag ahead. It is the least count that meets
//! the demand now and until a replica asked for now would serve. No policy that serves everything
//! is cheaper on the same start lag.

use flyball_core::observation::Observation;
use flyball_core::units::Timestamp;

use super::RivalCount;

/// Whoever knows the load to come.
#[derive(Clone, Debug)]
pub struct Oracle {
    demand: Vec<u32>,
    step_ms: u64,
    ahead_ms: u64,
    begins: Timestamp,
}

impl Oracle {
    /// Knows `demand`, in replicas for each `step_ms` from `begins` on, and looks `ahead_ms` ahead.
    pub fn new(demand: Vec<u32>, step_ms: u64, ahead_ms: u64, begins: Timestamp) -> Self {
        Self { demand, step_ms: step_ms.max(1), ahead_ms, begins }
    }

    pub(super) fn recommend(&self, seen: &Observation) -> RivalCount {
        let at = |ms: u64| {
            let step = usize::try_from(ms / self.step_ms).unwrap_or(usize::MAX);
            step.min(self.demand.len().saturating_sub(1))
        };
        let now_ms = seen.at.ms_since(self.begins);
        let from = at(now_ms);
        let to = at(now_ms.saturating_add(self.ahead_ms));
        let count = self.demand.get(from..=to).into_iter().flatten().max().copied().unwrap_or(0);
        RivalCount { count, reason: format!("demand up to {} s ahead", self.ahead_ms / 1000) }
    }
}
