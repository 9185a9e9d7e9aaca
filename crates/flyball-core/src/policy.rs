//! Settings of a service: how its count is recommended, and within which bounds. The fifth rule,
//! external, has no file: only [`crate::observation::Manual`] changes its count. Whoever builds a
//! policy validates it (see `flyball-config`).

pub mod advised;
pub mod governor;
pub mod step;
pub mod target;

use serde::{Deserialize, Serialize};

pub use advised::Advised;
pub use governor::Governor;
pub use step::Step as StepRule;
pub use target::Target;

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
}

/// How few and how many replicas there may be; `min <= max`, and `max >= 1` unless the service is
/// being let go: then both are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The floor, kept whatever else is known or not known.
    pub min: u32,
    /// The ceiling.
    pub max: u32,
}

impl Bounds {
    /// `count` brought within the bounds.
    pub fn clamp(self, count: u32) -> u32 {
        count.min(self.max).max(self.min)
    }
}

/// How a count is recommended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Demand at the balancer times measured work per request; the default.
    Governor(Governor),
    /// A mean CPU to keep, by the arithmetic of Kubernetes' horizontal pod autoscaler.
    Target(Target),
    /// One more above a threshold, one less below another: the 2014 sketch's rule.
    Step(StepRule),
    /// One more or one fewer while another program says so.
    Advised(Advised),
    /// Only a person or another program adjustments the count.
    External,
}

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

/// The rule's own windows, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// A surplus must last this long.
    pub hold_ms: u64,
    /// The mean that a jump must stand out from.
    pub level_ms: u64,
    /// The mean that is taken where nothing stands out.
    pub floor_ms: u64,
}

impl Policy {
    /// The governor's windows for a start lag.
    ///
    /// Hold is three start lags: a replica removed and needed again is missed for one. Under 10 s
    /// the cost of a few spare seconds is smaller than that of churn, over 5 min it is plain waste.
    /// The level is taken over the hold window (4..60 s), the floor over a quarter of that.
    pub fn windows(&self, start_lag_ms: u64) -> Windows {
        let set_ms = match &self.rule {
            Rule::Governor(governor) => governor.hold_ms,
            _ => None,
        };
        let hold_ms = set_ms.unwrap_or(start_lag_ms.saturating_mul(3).clamp(10_000, 300_000));
        let level_ms = hold_ms.clamp(4_000, 60_000);
        Windows { hold_ms, level_ms, floor_ms: level_ms / 4 }
    }

    /// The time over which a replica's CPU is averaged, in milliseconds.
    pub fn cpu_window_ms(&self, start_lag_ms: u64) -> u64 {
        match &self.rule {
            Rule::Target(target) => target.cpu_window_ms,
            Rule::Step(step) => step.cpu_window_ms,
            Rule::Advised(advised) => advised.cpu_window_ms,
            Rule::Governor(_) | Rule::External => {
                start_lag_ms.saturating_mul(4).clamp(2_000, 15_000)
            }
        }
    }
}
