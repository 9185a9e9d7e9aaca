//! The final count with everything that led to it.
//!
//! Holds the record; the arithmetic is in `recommend`, the rules that move a count in `guard`.
//! Invariant: the record is whole. Each recommendation gives its count again from its own terms,
//! the guards form a chain from the largest recommendation to `desired`, and the plan's starts and
//! removals add up to the change, so a decision can be explained now and in a year.

use serde::{Deserialize, Serialize};

use crate::guard::Move;
use crate::health::Sick;
use crate::plan::{HeldStarts, Step};
use crate::policy::Bounds;
use crate::recommend::Recommendation;
use crate::seen::Seen;
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
    /// Replicas that fail, in the order of their names.
    #[serde(default)]
    pub sick: Vec<Sick>,
    /// A fault that all replicas share, for which none of them is taken out.
    #[serde(default)]
    pub shared_fault: Option<String>,
    /// What to do now.
    pub plan: Vec<Step>,
    /// When to look again at the latest, in milliseconds from `at`.
    pub next_look_ms: u64,
}
