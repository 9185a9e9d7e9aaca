//! Settings of a service: how its count is recommended, and within which bounds. Whoever builds a
//! policy validates it (see `flyball-config`).

use serde::{Deserialize, Serialize};

pub use crate::bounds::Bounds;
pub use crate::rollout::{RolloutPolicy, Surge, Update};
pub use crate::rules::{Advised, BUSY_CAP, Governor, Objective, Rule, StepRule, Target};
pub use crate::sleep::SleepPolicy;
pub use crate::timing::{Timing, Windows};

/// All that deciding needs to know of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The service's name; new replicas are called after it.
    pub service: String,
    /// The minimum and maximum number of replicas.
    pub bounds: Bounds,
    /// How a count is recommended.
    pub rule: Rule,
    /// Times that the plan and the guards keep.
    pub timing: Timing,
    /// How replicas of a new generation take the place of others.
    #[serde(default)]
    pub rollout: RolloutPolicy,
    /// When it sleeps; `None`: its rule alone decides whether it has no replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<SleepPolicy>,
}

impl Policy {
    /// The rule's windows for a start lag.
    pub fn windows(&self, start_lag_ms: u64) -> Windows {
        Windows::new(start_lag_ms, self.rule.hold_ms(), self.rule.cpu_window_ms())
    }
}
