//! The counts, rates and ages that recommendations and guards work with; `memory` computes them
//! from the raw observation. A value that is not available is `None`, or comes with a count of the
//! replicas for which it is missing.

use serde::{Deserialize, Serialize};

use crate::trouble::{LastMinute, Trouble};
use crate::units::Timestamp;

/// What a decision saw: counts, rates and ages, worked out from the raw observation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Signals {
    /// Replicas that are ready and not draining.
    pub ready: u32,
    /// Replicas that were asked for and are not ready yet.
    pub starting: u32,
    /// Time until the oldest of those is due, in milliseconds; 0 where there is none or it is late.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub starting_due_ms: u64,
    /// Replicas that finish their last requests.
    pub draining: u32,
    /// Replicas that were ready and say that they cannot serve now, and those that did not become
    /// ready in time and may not be stopped.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub unhealthy: u32,
    /// The count of the last decision; at the first look, what an engine that keeps a count of its
    /// own was told, or what there is.
    pub current: u32,
    /// Ready replicas whose CPU has no reading yet.
    pub unmeasured: u32,
    /// Ready replicas so young that the others' CPU does not show their effect yet.
    pub warming: u32,
    /// Age of what the engine said, in milliseconds; `None` if it said nothing.
    pub engine_age_ms: Option<u64>,
    /// Age of what the balancer said, in milliseconds; `None` if it said nothing or there is none.
    pub balancer_age_ms: Option<u64>,
    /// Mean share of its CPU limit that a ready replica used; `None` while no replica has a
    /// reading.
    pub mean_cpu: Option<f64>,
    /// Mean share of their time in which CPU limits held the same replicas back, each counted for
    /// no more than it used and than what it had left; `None` while none has a reading.
    #[serde(default)]
    pub held_cpu: Option<f64>,
    /// Replicas' worth of CPU in use, the mean over the CPU window with each count of that time;
    /// `None` while too little was measured.
    #[serde(default)]
    pub cpu_used: Option<f64>,
    /// Arrivals per second, over the time `arrivals_window_ms`.
    pub arrivals_per_s: Option<f64>,
    /// The shortest time over which the arrivals are beyond noise, in milliseconds.
    pub arrivals_window_ms: u64,
    /// The mean arrivals per second that a jump has to stand out from.
    pub level_per_s: f64,
    /// The time that mean is taken over, in milliseconds.
    pub level_window_ms: u64,
    /// Requests waiting at the balancer.
    pub waiting: u32,
    /// Requests being worked on.
    pub in_flight: u32,
    /// What one request costs, in replica-seconds; `None` until enough were measured.
    pub work_s: Option<f64>,
    /// The start lag in use, in milliseconds.
    pub start_lag_ms: u64,
    /// Whether the start lag was measured; otherwise it is the policy's prior.
    pub start_lag_measured: bool,
    /// Since when there has been no trustworthy reading, if there is none.
    pub blind_since: Option<Timestamp>,
    /// What became of the last minute's requests; `None` where no balancer counts them.
    #[serde(default)]
    pub last_minute: Option<LastMinute>,
    /// What goes wrong, for people to read.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub trouble: Trouble,
}

impl Signals {
    /// Capacity already paid for: ready and starting replicas.
    pub fn committed(&self) -> u32 {
        self.ready + self.starting
    }
}
