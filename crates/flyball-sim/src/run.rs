//! One contender, one trace, one world: what came of it.
//!
//! Decides when the contender looks. Invariant: every decision is checked against the core's
//! invariants before it is carried out.

use crate::score::Score;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The contender's name.
    pub policy: String,
    /// The trace's name.
    pub trace: String,
    /// The figures.
    pub score: Score,
}
