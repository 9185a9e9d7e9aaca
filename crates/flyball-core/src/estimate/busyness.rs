//! How busy one replica is: the mean share of its CPU limit over a window. A replica with a single
//! reading has no busyness, rather than 0, so that a new replica never lowers the mean.

use std::collections::VecDeque;

use crate::observation::CpuCounter;

/// Counters kept over one window: enough that the mean moves on smoothly.
const POINTS: u64 = 8;

/// Over less than this a single burst of work fills the span and says nothing: 1 s, or a quarter of
/// a window that is shorter than 4 s.
const SPAN_MIN_MS: u64 = 1_000;

/// The counters of one replica, spaced over the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Busyness {
    points: VecDeque<CpuCounter>,
    newest: Option<CpuCounter>,
    span_min_ms: u64,
}

impl Busyness {
    /// Takes in `counter` for means over `window_ms`. A counter that went backwards starts again.
    pub fn see(&mut self, counter: CpuCounter, window_ms: u64) {
        if self.newest.is_some_and(|newest| newest.used_ns > counter.used_ns) {
            self.points.clear();
        }
        let spaced = self
            .points
            .back()
            .is_none_or(|last| counter.at.ms_since(last.at) >= window_ms / POINTS);
        if spaced {
            self.points.push_back(counter);
        }
        self.newest = Some(counter);
        self.span_min_ms = SPAN_MIN_MS.min(window_ms / 4).max(1);
        // The second point is as old as the window: the first is no longer needed.
        while self.points.get(1).is_some_and(|p| counter.at.ms_since(p.at) >= window_ms) {
            self.points.pop_front();
        }
    }

    /// Cores used on average between the oldest and the newest counter; `None` with fewer than two,
    /// or while they lie too close together.
    pub fn cores(&self) -> Option<f64> {
        let oldest = self.points.front()?;
        let newest = self.newest?;
        let span_ms = newest.at.ms_since(oldest.at);
        if span_ms < self.span_min_ms {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "2^52 ns are 52 days of one core")]
        let used_ns = (newest.used_ns - oldest.used_ns) as f64;
        Some(used_ns / crate::units::seconds(span_ms) / 1e9)
    }

    /// The counter taken in last.
    pub fn newest(&self) -> Option<CpuCounter> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    fn counter(at_ms: u64, used_ms: u64) -> CpuCounter {
        CpuCounter { at: Timestamp::from_ms(at_ms), used_ns: used_ms * 1_000_000 }
    }

    #[test]
    fn one_reading_is_no_reading() {
        let mut busyness = Busyness::default();
        busyness.see(counter(1_000, 500), 1_000);
        assert_eq!(busyness.cores(), None);
    }

    #[test]
    fn two_readings_close_together_are_no_reading() {
        let mut busyness = Busyness::default();
        busyness.see(counter(0, 0), 2_000);
        busyness.see(counter(20, 10), 2_000);
        assert_eq!(busyness.cores(), None, "10 ms of work within 20 ms is not half a core");
        busyness.see(counter(500, 50), 2_000);
        assert!((busyness.cores().unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn the_mean_follows_the_window() {
        let mut busyness = Busyness::default();
        for i in 0..=40 {
            // Idle for two seconds, then half a core.
            busyness.see(counter(i * 100, i.saturating_sub(20) * 50), 1_000);
        }
        assert!((busyness.cores().unwrap() - 0.5).abs() < 1e-9);
        assert!(busyness.points.len() <= 10);
    }

    #[test]
    fn a_counter_that_went_backwards_starts_anew() {
        let mut busyness = Busyness::default();
        busyness.see(counter(0, 1_000), 1_000);
        busyness.see(counter(500, 1_200), 1_000);
        busyness.see(counter(1_000, 10), 1_000);
        assert_eq!(busyness.cores(), None);
    }
}
