//! What is kept of a look for later display, and how it is asked for. A value that was not measured
//! is `None`, never 0.

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::observation::{BalancerReport, LatencyReport};

/// One service at one moment, in the figures that charts show. About one a second is kept. Where a
/// sample stands for a stretch, its figures are means, but the largest `waiting`, `p99_ms` and
/// `errors`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sample {
    /// Wall-clock time, in milliseconds since 1970-01-01 UTC; of a stretch, its first sample's.
    pub wall_ms: i64,
    /// Replicas wanted.
    pub desired: u32,
    /// Replicas ready and not draining; `None` while the engine says nothing.
    pub ready: Option<u32>,
    /// Replicas starting; `None` while the engine says nothing.
    pub starting: Option<u32>,
    /// Replicas draining; `None` while the engine says nothing.
    pub draining: Option<u32>,
    /// Mean share of its CPU limit that a ready replica used.
    pub mean_cpu: Option<f64>,
    /// Arrivals per second.
    pub arrivals_per_s: Option<f64>,
    /// Requests waiting at the balancer.
    pub waiting: Option<u32>,
    /// Requests being worked on.
    pub in_flight: Option<u32>,
    /// Median time of the latest requests, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
    /// Requests that ended in an error, ever.
    pub errors: Option<u64>,
}

impl Sample {
    /// The figures of `decision`, and of the balancer's report that it saw.
    pub fn of(decision: &Decision, balancer: Option<&BalancerReport>) -> Self {
        let latency: Option<&LatencyReport> = balancer.and_then(|b| b.latency.as_ref());
        let signals = &decision.signals;
        let sighted = signals.engine_age_ms.is_some();
        Self {
            wall_ms: decision.wall_ms,
            desired: decision.desired,
            ready: sighted.then_some(signals.ready),
            starting: sighted.then_some(signals.starting),
            draining: sighted.then_some(signals.draining),
            mean_cpu: signals.mean_cpu,
            arrivals_per_s: signals.arrivals_per_s,
            waiting: balancer.map(|_| signals.waiting),
            in_flight: balancer.map(|_| signals.in_flight),
            p50_ms: latency.map(|l| l.p50_ms),
            p99_ms: latency.map(|l| l.p99_ms),
            errors: balancer.map(|b| b.errors),
        }
    }
}

/// Which decisions of a service are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Made at or after this wall-clock time.
    pub from_wall_ms: i64,
    /// Made before this wall-clock time.
    pub before_wall_ms: i64,
    /// So many at most.
    pub limit: u32,
    /// Only those that want another count than was committed then.
    pub moves_only: bool,
}

impl DecisionFilter {
    /// The latest `limit`.
    pub fn latest(limit: u32) -> Self {
        let (from_wall_ms, before_wall_ms) = (i64::MIN, i64::MAX);
        Self { from_wall_ms, before_wall_ms, limit, moves_only: false }
    }
}
