//! Settings of the step rule.

use serde::{Deserialize, Serialize};

/// More above a threshold of mean CPU, fewer below another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Mean CPU at or over this share of the limit adds replicas.
    pub out_at: f64,
    /// Mean CPU at or under this share of the limit removes replicas; less than `out_at`.
    pub in_at: f64,
    /// How many at a time; at least 1.
    pub by: u32,
    /// Time after a change in which there is no other.
    pub cooldown_ms: u64,
    /// CPU of a replica is its mean over this time.
    pub cpu_window_ms: u64,
}

impl Default for Step {
    /// The 2014 sketch: 30 % out, 15 % in, one at a time, each minute.
    fn default() -> Self {
        Self { out_at: 0.30, in_at: 0.15, by: 1, cooldown_ms: 60_000, cpu_window_ms: 60_000 }
    }
}
