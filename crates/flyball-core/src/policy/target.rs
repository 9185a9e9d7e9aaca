//! Settings of the target rule.

use serde::{Deserialize, Serialize};

/// A mean CPU to keep, by the published arithmetic of Kubernetes' horizontal pod autoscaler.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The mean share of its CPU limit that a replica should use, in (0, 1].
    pub cpu: f64,
    /// A ratio of measured to wanted CPU this close to 1 adjustments nothing.
    pub tolerance: f64,
    /// Scale-in takes the largest count recommended within this time.
    pub in_window_ms: u64,
    /// Scale-out takes the smallest count recommended within this time.
    pub out_window_ms: u64,
    /// Within each 15 s the count may grow by the larger of this many and of `out_share`.
    pub out_by: u32,
    /// See `out_by`: 1.0 lets the count double within 15 s.
    pub out_share: f64,
    /// Within each 15 s the count may shrink by this share of itself: 1.0 sets no limit.
    pub in_share: f64,
    /// CPU of a replica is its mean over this time.
    pub cpu_window_ms: u64,
}

impl Default for Target {
    /// Kubernetes' own defaults: 80 %, tolerance 10 %, windows 300 s in and none out, +4 or +100 %
    /// each 15 s, and the 15 s over which its metrics server takes CPU.
    fn default() -> Self {
        Self {
            cpu: 0.80,
            tolerance: 0.10,
            in_window_ms: 300_000,
            out_window_ms: 0,
            out_by: 4,
            out_share: 1.0,
            in_share: 1.0,
            cpu_window_ms: 15_000,
        }
    }
}
