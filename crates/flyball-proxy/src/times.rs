//! Request times since the start, as a histogram for external monitors. Counting takes no lock, and
//! counts only grow.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper ends of the parts, in microseconds: 1-2.5-5 steps from a fast cache to a patient client.
const ENDS_US: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Request times by how long they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// The upper end of each part in seconds, rising, and how many took so long, no longer, and
    /// longer than the end before.
    pub parts: Vec<(f64, u64)>,
    /// How many took longer than the last end.
    pub beyond: u64,
    /// The sum of all times, in seconds.
    pub sum_s: f64,
}

/// The counters behind [`Times`].
#[derive(Default)]
pub(crate) struct TimesMeter {
    parts: [AtomicU64; ENDS_US.len()],
    beyond: AtomicU64,
    sum_us: AtomicU64,
}

impl TimesMeter {
    pub(crate) fn count(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let part = ENDS_US.iter().position(|end| took_us <= *end);
        part.map_or(&self.beyond, |part| &self.parts[part]).fetch_add(1, Relaxed);
        self.sum_us.fetch_add(took_us, Relaxed);
    }

    pub(crate) fn report(&self) -> Times {
        let counts = self.parts.iter().map(|count| count.load(Relaxed));
        Times {
            parts: ENDS_US.into_iter().map(seconds).zip(counts).collect(),
            beyond: self.beyond.load(Relaxed),
            sum_s: seconds(self.sum_us.load(Relaxed)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sum of 2^52 us is 142 years")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_counted_in_the_first_part_that_holds_it() {
        let meter = TimesMeter::default();
        for ms in [0, 1, 2, 40_000] {
            meter.count(Duration::from_millis(ms));
        }
        let times = meter.report();
        assert_eq!((times.parts[0], times.parts[1]), ((0.001, 2), (0.0025, 1)));
        assert_eq!((times.beyond, times.sum_s), (1, 40.003));
    }
}
