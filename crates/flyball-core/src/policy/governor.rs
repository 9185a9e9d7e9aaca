//! Settings of the default rule.

use serde::{Deserialize, Serialize};

/// Settings of the governor: how busy replicas may be, and how long a surplus is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Governor {
    /// The largest share of its time that a replica should be busy, in (0, 1].
    pub busy_cap: f64,
    /// Requests one replica works on at once, where its owner declared it.
    pub slots: Option<u32>,
    /// How long a surplus must last before it is removed; `None`: three start lags, within 10 s and
    /// 5 min.
    pub hold_ms: Option<u64>,
    /// The time that 99 of 100 requests should keep, waiting included; `None`: none is measured by
    /// it.
    #[serde(default)]
    pub slo_ms: Option<u64>,
}

impl Default for Governor {
    fn default() -> Self {
        // 0.85: the middle of the range in which simulated cost and late requests balanced (0.80
        // safe .. 0.90 lean). At 0.95 a third more requests wait; at 0.70 a fifth more is paid.
        Self { busy_cap: 0.85, slots: None, hold_ms: None, slo_ms: None }
    }
}
