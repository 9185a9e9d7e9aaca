//! What decisions act on: replicas that start, serve and leave, and the requests they serve.
//!
//! Decides nothing: a world makes observations, carries out plans and keeps the ledger. Invariant:
//! the load does not depend on what was decided.

pub mod faults;
pub mod fluid;
pub mod requests;

/// How the world behaves, the same for every contender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Physics {
    /// What one replica serves, in the trace's unit; above 0.
    pub replica_capacity: f64,
    /// Time from a start to readiness, in milliseconds.
    pub start_lag_ms: u64,
    /// What becomes of load that finds no free replica.
    pub overload: Overload,
    /// Age of CPU counters and of the balancer's when they are seen, in milliseconds.
    pub metric_lag_ms: u64,
}

/// What becomes of load that finds no free replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Overload {
    /// It is lost at once.
    Lost,
    /// It waits, and is given up once it waited this long, in seconds.
    Waits {
        /// After this time in seconds a request is given up.
        patience_s: f64,
    },
}
