//! The final count with everything that led to it.
//!
//! Holds the record; the arithmetic is in `recommend`, the rules that move a count in `guard`.
//! Invariant: the record is whole. Each recommendation gives its count again from its own terms,
//! the guards form a chain from the largest recommendation to `desired`, and the plan's starts and
//! removals add up to the change, so a decision can be explained now and in a year.

use serde::{Deserialize, Serialize};

use crate::guard::Move;
use crate::plan::Step;
use crate::policy::Bounds;
use crate::recommend::Recommendation;
use crate::units::Timestamp;

/// What one look led to.
#[must_use = "a decision that is neither acted on nor recorded is lost"]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The service.
    pub service: String,
    /// When the look was made.
    pub at: Timestamp,
    /// The same moment as wall-clock time, in milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
    /// What was seen, as far as the count depends on it.
    pub seen: Seen,
    /// Each signal's wish, the largest first to decide.
    pub recommendations: Vec<Recommendation>,
    /// Every guard that moved the count, in the order they spoke.
    pub moves: Vec<Move>,
    /// The service's bounds at that time.
    pub bounds: Bounds,
    /// How many replicas there should be.
    pub desired: u32,
    /// Why fewer than the missing replicas are being started, while that is so.
    pub held_starts: Option<HeldStarts>,
    /// What to do now.
    pub plan: Vec<Step>,
    /// When to look again at the latest, in milliseconds from `at`.
    pub next_look_ms: u64,
}

/// Replicas that are wanted but not started yet, because the last ones kept failing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldStarts {
    /// How many.
    pub count: u32,
    /// How many starts failed one after another.
    pub failures: u32,
    /// When the next one is tried.
    pub until: Timestamp,
    /// What the last failed one said.
    pub why: String,
}

/// What a decision saw: counts, rates and ages, worked out from the raw observation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Replicas that are ready and not draining.
    pub ready: u32,
    /// Replicas that were asked for and are not ready yet.
    pub starting: u32,
    /// Replicas that finish their last requests.
    pub draining: u32,
    /// The count of the last decision; at the first look, what there is.
    pub current: u32,
    /// Ready replicas whose CPU has no reading yet.
    pub unmeasured: u32,
    /// Ready replicas so young that the others' CPU does not show their effect yet.
    pub warming: u32,
    /// Age of what the engine said, in milliseconds; `None` if it said nothing.
    pub engine_age_ms: Option<u64>,
    /// Age of what the balancer said, in milliseconds; `None` if it said nothing or there is none.
    pub balancer_age_ms: Option<u64>,
    /// Mean share of its CPU limit that a ready replica used; `None` while no replica has a reading.
    pub mean_cpu: Option<f64>,
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
}

impl Seen {
    /// Capacity already paid for: ready and starting replicas.
    pub fn committed(&self) -> u32 {
        self.ready + self.starting
    }
}
