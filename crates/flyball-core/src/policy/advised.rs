//! Settings of the rule that another program's thresholds drive.

use serde::{Deserialize, Serialize};

/// More while another program says that CPU is high, fewer while it says that it is low.
///
/// That program measures, averages and compares; flyball keeps the pace and the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advised {
    /// The threshold that is set up over there, as a share of the limit: at or over it, more.
    pub out_at: f64,
    /// The same for fewer: at or under it; less than `out_at`.
    pub in_at: f64,
    /// How many at a time; at least 1.
    pub by: u32,
    /// Time after a change in which there is no other.
    pub cooldown_ms: u64,
    /// CPU of a replica is its mean over this time, over there and here.
    pub cpu_window_ms: u64,
}

impl Default for Advised {
    /// The thresholds, the step and the pace of the 2014 sketch; a window of three reports 5 s
    /// apart.
    fn default() -> Self {
        Self { out_at: 0.30, in_at: 0.15, by: 1, cooldown_ms: 60_000, cpu_window_ms: 15_000 }
    }
}
