//! Counters of one service's loop since its start, for `/metrics`. Counts only grow; what is not
//! counted is `None`, never 0.

use std::collections::BTreeMap;

use flyball_core::observation::FailureCounts;
use flyball_core::sick::Cause;

/// Upper ends of the spread of look times, in seconds: a look takes 50 us to a few milliseconds,
/// and one that takes a tenth of a second has waited for a balancer.
pub const LOOK_ENDS_S: [f64; 10] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// How many of something fell where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// The upper end of each part, rising, with how many fell into it and into no earlier one.
    pub parts: Vec<(f64, u64)>,
    /// How many fell beyond the last end.
    pub beyond: u64,
    /// The sum of all, in the unit of the ends.
    pub sum: f64,
}

impl Spread {
    /// An empty one with these upper ends.
    pub fn new(ends: &[f64]) -> Self {
        Self { parts: ends.iter().map(|end| (*end, 0)).collect(), beyond: 0, sum: 0.0 }
    }

    /// Counts one.
    pub fn count(&mut self, value: f64) {
        self.sum += value;
        match self.parts.iter_mut().find(|(end, _)| value <= *end) {
            Some((_, count)) => *count += 1,
            None => self.beyond += 1,
        }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.parts.iter().map(|(_, count)| count).sum::<u64>() + self.beyond
    }
}

/// Counts and spreads of one service since its loop began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// How long its looks took, from reading to giving out the orders, in seconds.
    pub looks: Spread,
    /// Decisions that raised the count.
    pub outs: u64,
    /// Decisions that lowered it.
    pub ins: u64,
    /// Replica-seconds paid for.
    pub replica_s: f64,
    /// Looks without a reading from the engine.
    pub engine_silent: u64,
    /// Looks without a reading from the balancer.
    pub balancer_silent: u64,
    /// Replicas that ended without being asked to.
    pub exits: u64,
    /// Replicas that became sick, by who reported it.
    pub sick: BTreeMap<Cause, u64>,
    /// Decisions that were not carried out because they broke an invariant.
    pub refused: u64,
    /// Requests that arrived at the balancer, by its own count; `None` where none counts.
    pub arrivals: Option<u64>,
    /// Requests that ended in an error, by the balancer's own count.
    pub failed_requests: Option<u64>,
    /// Who failed them, as far as the balancer tells.
    pub failures: Option<FailureCounts>,
    /// Requests and connections that the balancer itself answered, by reason.
    pub refusals: Vec<(&'static str, u64)>,
    /// Request times in seconds, where the balancer tells them apart.
    pub latency: Option<Spread>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_counted_once_where_it_belongs() {
        let mut spread = Spread::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 9.0] {
            spread.count(value);
        }
        assert_eq!(spread.parts, [(1.0, 2), (2.0, 1)]);
        assert_eq!((spread.beyond, spread.total(), spread.sum), (1, 4, 12.0));
    }
}
