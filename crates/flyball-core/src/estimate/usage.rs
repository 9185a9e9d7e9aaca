//! How many replicas' worth of CPU the load uses. Each span of time counts with the count that it
//! was measured under: a mean over the window times the current count would grow with every start,
//! shrink with every removal, and oscillate.

use std::collections::VecDeque;

use crate::units::{Timestamp, seconds};

/// Spans kept over one window at least: as many as `Busyness` keeps counters.
const SPANS: u64 = 8;
/// Over less than this a single burst of work fills the span and says nothing: 1 s, or a quarter of
/// a window that is shorter than 4 s.
const SPAN_MIN_MS: u64 = 1_000;
/// A replica this busy is at its limit: counters and limits are read a hair apart. At a replica's
/// limit the load is at least what is used, and the mean of calmer times hides it.
const SATURATED: f64 = 0.95;

/// The running figure.
///
/// Example: 3 replicas 80 % busy for 2 s, then 4 replicas 60 % busy for 2 s: 2.4 replicas' worth
/// throughout, where the mean of 70 % times 4 says 2.8.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    spans: VecDeque<Span>,
}

/// A time in which as many replicas were ready throughout.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    from: Timestamp,
    until: Timestamp,
    /// Measured time, in seconds.
    measured_s: f64,
    /// The mean share of its time that a replica was busy, times the measured time.
    busy_s: f64,
    ready: u32,
}

impl Usage {
    /// Takes in that `ready` replicas were busy for `share` of their time over the last
    /// `measured_ms`, for means over `window_ms`.
    pub fn see(
        &mut self,
        now: Timestamp,
        share: f64,
        measured_ms: f64,
        ready: u32,
        window_ms: u64,
    ) {
        let measured_s = measured_ms / 1_000.0;
        let new = Span { from: now, until: now, measured_s, busy_s: share * measured_s, ready };
        match self.spans.back_mut() {
            Some(last) if last.ready == ready && now.ms_since(last.from) < window_ms / SPANS => {
                last.until = now;
                last.measured_s += new.measured_s;
                last.busy_s += new.busy_s;
            }
            _ => self.spans.push_back(new),
        }
        while self.spans.front().is_some_and(|span| now.ms_since(span.until) > window_ms) {
            self.spans.pop_front();
        }
    }

    /// Replicas' worth of CPU in use, the mean over `window_ms`; `None` while less was measured in
    /// it than says anything.
    ///
    /// Where the replicas have been at their limit ever since their count changed it is no less
    /// than that.
    pub fn replicas(&self, now: Timestamp, window_ms: u64) -> Option<f64> {
        let span_min_s = seconds(SPAN_MIN_MS.min(window_ms / 4).max(1));
        let within = |span: &&Span| now.ms_since(span.until) <= window_ms;
        let (mut used_s, mut measured_s) = (0.0, 0.0);
        for span in self.spans.iter().filter(within) {
            used_s += span.busy_s * f64::from(span.ready);
            measured_s += span.measured_s;
        }
        let mean = (measured_s >= span_min_s).then(|| used_s / measured_s)?;
        let ready = self.spans.back()?.ready;
        let (mut busy_s, mut measured_s) = (0.0, 0.0);
        let lately = self.spans.iter().rev().take_while(|span| span.ready == ready);
        for span in lately.filter(within) {
            busy_s += span.busy_s;
            measured_s += span.measured_s;
        }
        let at_limit = measured_s >= span_min_s && busy_s >= SATURATED * measured_s;
        Some(if at_limit { mean.max(busy_s / measured_s * f64::from(ready)) } else { mean })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half-second looks at replicas that are so busy, each for so many looks.
    fn watch(parts: &[(u32, f64, u64)]) -> Option<f64> {
        let (mut usage, mut now) = (Usage::default(), Timestamp::from_ms(10_000));
        for &(ready, share, looks) in parts {
            for _ in 0..looks {
                now = now.plus_ms(500);
                usage.see(now, share, 500.0, ready, 4_000);
            }
        }
        usage.replicas(now, 4_000)
    }

    #[test]
    fn a_steady_load_stays_the_same_whatever_the_count() {
        for looks in 1..12 {
            let used = watch(&[(3, 0.8, 10), (4, 0.6, looks), (2, 1.2, 2)]).unwrap();
            assert!((used - 2.4).abs() < 1e-9, "{used} after {looks}");
        }
    }

    #[test]
    fn replicas_at_their_limit_count_whole_as_soon_as_that_is_clear() {
        assert!(watch(&[(1, 0.5, 10), (2, 1.0, 1)]).unwrap() < 1.0);
        assert!((watch(&[(1, 0.5, 10), (2, 1.0, 2)]).unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn too_short_a_time_says_nothing() {
        assert_eq!(watch(&[]), None);
        assert_eq!(watch(&[(1, 0.9, 1)]), None);
    }

    #[test]
    fn what_was_measured_before_the_window_is_forgotten() {
        let mut usage = Usage::default();
        usage.see(Timestamp::from_ms(2_000), 0.5, 2_000.0, 4, 4_000);
        assert_eq!(usage.replicas(Timestamp::from_ms(6_000), 4_000), Some(2.0));
        assert_eq!(usage.replicas(Timestamp::from_ms(6_001), 4_000), None);
    }
}
