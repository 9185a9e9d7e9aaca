//! What decisions act on: replicas that start, serve and leave, and the requests they serve. A
//! world makes observations, carries out plans and keeps the ledger. The load does not depend on
//! what was decided.

pub mod backlog;
pub mod faults;
pub mod fluid;
pub(crate) mod past;
pub mod requests;
pub(crate) mod sight;

use flyball_core::units::{Timestamp, seconds};

use requests::service::Times;

/// The moment at which every run begins, on the clock that contenders see: replicas that were there
/// before are a day old then.
pub const ORIGIN: Timestamp = Timestamp::from_ms(86_400_000);

/// How the world behaves, the same for every contender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Physics {
    /// What one replica serves, in the trace's unit; above 0.
    pub replica_capacity: f64,
    /// Requests that a replica works on at once when it is fully busy; at least 1.
    pub slots: u32,
    /// Time from a start to readiness, in milliseconds: of half of the starts, where they differ.
    pub start_lag_ms: u64,
    /// The time that 99 of 100 starts stay within; `None`: all take the same time.
    pub start_lag_p99_ms: Option<u64>,
    /// Time that a replica takes to finish its last requests, in milliseconds; at least 1.
    pub drain_ms: u64,
    /// What becomes of load that finds no free replica.
    pub overload: Overload,
    /// Age of CPU counters and of the balancer's when they are seen, in milliseconds.
    pub metric_lag_ms: u64,
    /// Requests that wait longer than this are late, in milliseconds.
    pub wait_limit_ms: u64,
}

impl Physics {
    /// How start lags spread.
    pub fn start_lags(&self) -> Times {
        let median_ms = seconds(self.start_lag_ms) * 1000.0;
        match self.start_lag_p99_ms {
            Some(p99_ms) => Times::of_quantiles(median_ms, seconds(p99_ms) * 1000.0),
            None => Times::same(median_ms),
        }
    }

    /// The start lag to be prepared for, in milliseconds: 99 of 100 take no longer.
    pub fn longest_start_lag_ms(&self) -> u64 {
        self.start_lag_p99_ms.unwrap_or(self.start_lag_ms)
    }
}

/// What becomes of load that finds no free replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Overload {
    /// It is lost at once.
    Lost,
    /// It waits, and is given up where it would wait longer than this.
    Waits {
        /// In seconds.
        patience_s: f64,
    },
}

impl Default for Physics {
    fn default() -> Self {
        Self {
            replica_capacity: 1.0,
            slots: 4,
            start_lag_ms: 60_000,
            start_lag_p99_ms: None,
            drain_ms: 1_000,
            overload: Overload::Lost,
            metric_lag_ms: 0,
            wait_limit_ms: 1_000,
        }
    }
}
