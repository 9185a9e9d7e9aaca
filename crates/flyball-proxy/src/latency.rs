//! Recent request times: a window of about ten seconds that moves in steps of one second. An empty
//! window reports nothing.

use std::time::Duration;

use flyball_core::observation::LatencyReport;
use hdrhistogram::Histogram;

/// One-second slices in the window.
const SLICES: usize = 10;
/// The longest time that is distinguished, in microseconds: one hour. Longer ones count as this.
const LONGEST_US: u64 = 3_600_000_000;
/// Significant digits: 1 % of the value, 26 kB per slice.
const DIGITS: u8 = 2;

/// Rotating histograms of request times in microseconds.
pub(crate) struct Window {
    slices: Vec<Histogram<u32>>,
    /// The second since the start that the newest slice belongs to.
    second: u64,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { slices: (0..SLICES).map(|_| empty_slice()).collect(), second: 0 }
    }

    /// Counts a request that ended `since_start` after the start, having taken `took`.
    pub(crate) fn record(&mut self, since_start: Duration, took: Duration) {
        self.roll(since_start.as_secs());
        let took_us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.slices[slot(self.second)].saturating_record(took_us);
    }

    /// The figures at `since_start`; `None` when no request ended in the window.
    pub(crate) fn report(&mut self, since_start: Duration) -> Option<LatencyReport> {
        self.roll(since_start.as_secs());
        let mut all = empty_slice();
        for slice in self.slices.iter().filter(|slice| !slice.is_empty()) {
            // Cannot fail: all slices have the same bounds.
            let _ = all.add(slice);
        }
        if all.is_empty() {
            return None;
        }
        Some(LatencyReport {
            window_ms: covered_ms(since_start),
            count: all.len(),
            p50_ms: milliseconds(all.value_at_quantile(0.5)),
            p99_ms: milliseconds(all.value_at_quantile(0.99)),
        })
    }

    fn roll(&mut self, second: u64) {
        let steps = second.saturating_sub(self.second).min(SLICES as u64);
        for step in 0..steps {
            // Cannot underflow: there are at most `second` steps.
            self.slices[slot(second - step)].reset();
        }
        // The clock is read before the lock is taken, so ends may come out of order: an older one
        // counts in the newest second.
        self.second = self.second.max(second);
    }
}

/// What the window covers: nine whole slices and the begun one, or all of a shorter life.
fn covered_ms(since_start: Duration) -> u64 {
    let life_ms = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
    let full_ms = (SLICES as u64 - 1) * 1000 + life_ms % 1000;
    life_ms.min(full_ms).max(1)
}

fn empty_slice() -> Histogram<u32> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that the tests try out")]
    Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("valid bounds")
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of a small number")]
fn slot(second: u64) -> usize {
    (second % SLICES as u64) as usize
}

#[expect(clippy::cast_precision_loss, reason = "at most an hour in microseconds")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_empty_window_reports_nothing() {
        assert_eq!(Window::new().report(at_ms(0)), None);
    }

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut window = Window::new();
        for ms in 1..=1000 {
            window.record(at_ms(500), at_ms(ms));
        }
        let report = window.report(at_ms(900)).unwrap();
        assert_eq!((report.count, report.window_ms), (1000, 900));
        assert!((report.p50_ms - 500.0).abs() <= 5.0, "{report:?}");
        assert!((report.p99_ms - 990.0).abs() <= 10.0, "{report:?}");
    }

    #[test]
    fn what_ended_ten_seconds_ago_is_forgotten_and_nothing_younger_than_nine() {
        let mut window = Window::new();
        window.record(at_ms(100), at_ms(7));
        assert_eq!(window.report(at_ms(9_100)).map(|report| report.count), Some(1));
        assert_eq!(window.report(at_ms(10_100)), None);
        window.record(at_ms(10_100), at_ms(7));
        window.record(at_ms(12_000), at_ms(9));
        let report = window.report(at_ms(12_500)).unwrap();
        assert_eq!((report.count, report.window_ms), (2, 9_500));
        assert_eq!(window.report(at_ms(500_000)), None);
    }

    #[test]
    fn a_time_beyond_the_scale_counts_as_the_longest() {
        let mut window = Window::new();
        window.record(at_ms(1), Duration::from_secs(100_000));
        assert!(window.report(at_ms(1)).unwrap().p99_ms >= 3_500_000.0);
    }
}
