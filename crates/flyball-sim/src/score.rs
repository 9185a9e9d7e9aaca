//! What a run cost and how well it served: the figures that policies are compared by.
//!
//! Decides nothing. A world reports pieces of time to a [`Ledger`]; [`Ledger::score`] sums up.
//! Invariant: figures are integrals over time, not samples, but for those that compare one step of
//! the trace with the next.

/// A span of time in which nothing changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Piece {
    /// Its length, in seconds.
    pub span_s: f64,
    /// The least replicas that meet the load.
    pub demand: u32,
    /// Replicas that served.
    pub serving: u32,
    /// Replicas that were paid for: starting, serving, idle and draining ones.
    pub paid: u32,
    /// Requests (or core-seconds) that arrived.
    pub arrived: f64,
    /// Of these, those that were never served: lost, refused or given up.
    pub unserved: f64,
    /// Of these, those that were served too late.
    pub late: f64,
}

/// Everything that happened, summed up as it happens.
#[derive(Clone, Debug, Default)]
pub struct Ledger {}

/// The figures of one run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Score {}
