//! Times that a service's owner sets, and the windows that follow from its start lag.

use serde::{Deserialize, Serialize};

/// Times that the plan and the guards keep, in milliseconds, and how many replicas may be out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Time from one look to the next; `None`: a fifth of the start lag, see
    /// [`crate::decide::look_interval_ms`].
    pub interval_ms: Option<u64>,
    /// The start lag to assume until it has been measured.
    pub start_lag_prior_ms: u64,
    /// How long a replica may take to become ready before it is given up.
    pub start_limit_ms: u64,
    /// How long a draining replica may take to finish its requests before it is stopped anyway.
    pub drain_limit_ms: u64,
    /// How old a reading may be and still be acted on.
    pub stale_after_ms: u64,
    /// How long a replica may be sick before it is replaced.
    pub sick_after_ms: u64,
    /// The share of the replicas that may get no requests for failing their probe; 0..=1.
    pub eject_max: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval_ms: None,
            // A container with a small application; a measured lag replaces it after one start.
            start_lag_prior_ms: 20_000,
            // Three times what a JVM or a model loader commonly needs (60-100 s).
            start_limit_ms: 300_000,
            drain_limit_ms: 30_000,
            // Three missed looks at the slowest look interval of 2 s.
            stale_after_ms: 6_000,
            // As long as Kubernetes lets a container fail its liveness probe (3 times, every 10 s).
            sick_after_ms: 30_000,
            // Below half, Envoy calls a pool so ill that it sends requests to all of it again.
            eject_max: 0.5,
        }
    }
}

/// The windows of a rule for one start lag, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// A surplus must last this long.
    pub hold_ms: u64,
    /// The mean that a jump must stand out from.
    pub level_ms: u64,
    /// The mean that is taken where nothing stands out.
    pub floor_ms: u64,
    /// The time over which a replica's CPU is averaged.
    pub cpu_ms: u64,
}

impl Windows {
    /// The windows for a start lag, of a rule that may set its hold and CPU windows itself.
    ///
    /// Hold is three start lags: a replica removed and needed again is missed for one. Under 10 s
    /// the cost of a few spare seconds is smaller than that of churn, over 5 min it is plain waste.
    /// The level is taken over the hold window (4..60 s), the floor over a quarter of that.
    pub fn new(start_lag_ms: u64, hold_ms: Option<u64>, cpu_ms: Option<u64>) -> Self {
        let hold_ms = hold_ms.unwrap_or(start_lag_ms.saturating_mul(3).clamp(10_000, 300_000));
        let level_ms = hold_ms.clamp(4_000, 60_000);
        let cpu_ms = cpu_ms.unwrap_or(start_lag_ms.saturating_mul(4).clamp(2_000, 15_000));
        Self { hold_ms, level_ms, floor_ms: level_ms / 4, cpu_ms }
    }
}
