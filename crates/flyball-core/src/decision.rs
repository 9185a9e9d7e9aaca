//! The final count with everything that led to it. The record is complete: each recommendation
//! gives its count again from its own terms, the guards form a chain from the largest
//! recommendation to `desired`, and the plan's starts and removals add up to the change.

use serde::{Deserialize, Serialize};

use crate::adjustment::Adjustment;
use crate::bounds::Bounds;
use crate::memory::Learnt;
use crate::plan::{HeldStarts, Step};
use crate::rollout::Rollout;
use crate::rules::Recommendation;
use crate::sick::Sick;
use crate::signals::Signals;
use crate::sleep::Sleep;
use crate::units::Timestamp;

/// What one look led to: the count, everything that led to it, and the steps to take.
#[must_use = "a decision that is neither acted on nor recorded is lost"]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Decision {
    /// The service.
    pub service: String,
    /// When the look was made.
    pub at: Timestamp,
    /// The same moment as wall-clock time, in milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
    /// The signals that the count depends on.
    pub signals: Signals,
    /// The recommendation of each signal; the largest decides, the first of equal ones.
    pub recommendations: Vec<Recommendation>,
    /// Every guard that moved the count, in the order they spoke.
    pub adjustments: Vec<Adjustment>,
    /// The service's bounds at that time.
    pub bounds: Bounds,
    /// The desired number of replicas.
    pub desired: u32,
    /// Why not all missing replicas are being started, while that applies.
    pub held_starts: Option<HeldStarts>,
    /// Replicas that fail, in the order of their names.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub sick: Vec<Sick>,
    /// A fault that all replicas share, for which none of them is taken out.
    #[serde(default)]
    pub shared_fault: Option<String>,
    /// How far the replacement of replicas by those of another generation has come, while there is
    /// any.
    #[serde(default)]
    pub rollout: Option<Rollout>,
    /// What an objective has taught, for the next run of flyball; `None` where nothing was learnt.
    #[serde(default)]
    pub learnt: Option<Learnt>,
    /// Whether the service sleeps; `None` where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<Sleep>,
    /// What to do now.
    pub plan: Vec<Step>,
    /// When to look again at the latest, in milliseconds from `at`.
    pub next_look_ms: u64,
}
