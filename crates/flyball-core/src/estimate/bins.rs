//! Counts in bins of equal width, over a bounded time back from now. A count that covers several
//! bins is spread evenly over them, so that totals do not depend on the rhythm of the looks.

use std::collections::VecDeque;

use crate::units::{Timestamp, seconds};

/// The upper quartile of the size of a normal variable, in its standard deviations.
const UPPER_QUARTILE_SIGMA: f64 = 1.150_35;

/// A ring of counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    width_ms: u64,
    length: usize,
    /// The newest bin is the last; bin `i` of the absolute grid covers `[i, i+1) * width_ms`.
    counts: VecDeque<f32>,
    newest: u64,
    /// The time from which on anything was added.
    since: Option<Timestamp>,
}

impl Bins {
    /// An empty ring of `length` bins of `width_ms` each.
    pub fn new(width_ms: u64, length: usize) -> Self {
        Self { width_ms, length, counts: VecDeque::new(), newest: 0, since: None }
    }

    /// Adds `count`, which came in between `from` and `to`; nothing if `to` is not later.
    pub fn add(&mut self, from: Timestamp, to: Timestamp, count: f64) {
        let span_ms = to.ms_since(from);
        if span_ms == 0 {
            return;
        }
        self.since.get_or_insert(from);
        let last = to.as_ms().saturating_sub(1) / self.width_ms;
        self.advance(from.as_ms() / self.width_ms, last);
        let oldest = self.oldest();
        for bin in (from.as_ms() / self.width_ms).max(oldest)..=last {
            let share = self.overlap_ms(bin, from, to) / seconds(span_ms) / 1000.0;
            if let Some(slot) = self.slot(bin) {
                *slot += narrow(count * share);
            }
        }
    }

    /// The same for a count that is nearly always 0: a ring of zeros takes no room.
    pub(crate) fn add_rare(&mut self, from: Timestamp, to: Timestamp, count: f64) {
        if count > 0.0 || self.counts.iter().any(|count| *count > 0.0) {
            return self.add(from, to, count);
        }
        if to > from {
            self.since.get_or_insert(from);
            self.counts = VecDeque::new();
        }
    }

    /// The count within the last `window_ms` before `now`, with the span it really covers: less
    /// than the window while there is less history. `None` without any history.
    pub fn sum(&self, now: Timestamp, window_ms: u64) -> Option<(f64, u64)> {
        let since = self.since?;
        let reach_ms = self.width_ms * (self.length as u64 - 1);
        let span_ms = window_ms.min(reach_ms).min(now.ms_since(since));
        if span_ms == 0 {
            return None;
        }
        let from = Timestamp::from_ms(now.as_ms() - span_ms);
        let oldest = self.oldest();
        let first = (from.as_ms() / self.width_ms).max(oldest);
        let skipped = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        let last = now.as_ms().saturating_sub(1) / self.width_ms;
        let mut sum = 0.0;
        for (bin, count) in (first..=last).zip(self.counts.range(skipped.min(self.counts.len())..))
        {
            // Only the bins at both ends can be covered in part.
            let part = match bin {
                bin if bin > first && bin < last => 1.0,
                bin => (self.overlap_ms(bin, from, now) / self.filled_ms(bin, now)).min(1.0),
            };
            sum += f64::from(*count) * part;
        }
        Some((sum, span_ms))
    }

    /// The variance of a count over one second, from the differences between neighbouring full
    /// bins, if counts of neighbouring bins are independent. `None` with fewer than three full
    /// bins.
    ///
    /// From the upper quartile of the differences and not their mean square: one step of the load
    /// would outweigh two minutes of noise and hide the next step. What happens in up to a quarter
    /// of the bins is an event; what happens in more is noise.
    pub fn variance_per_s(&self) -> Option<f64> {
        let full = self.counts.len().saturating_sub(1);
        if full < 3 {
            return None;
        }
        let pairs = self.counts.iter().take(full).zip(self.counts.iter().take(full).skip(1));
        let mut differences: Vec<f32> = pairs.map(|(a, b)| (b - a).abs()).collect();
        let quartile = differences.len() * 3 / 4;
        let (_, upper, _) = differences.select_nth_unstable_by(quartile, f32::total_cmp);
        let deviation = f64::from(*upper) / UPPER_QUARTILE_SIGMA;
        Some(0.5 * deviation * deviation / seconds(self.width_ms))
    }

    /// How long there has been any history at `now`, in milliseconds.
    pub fn history_ms(&self, now: Timestamp) -> u64 {
        self.since.map_or(0, |since| now.ms_since(since))
    }

    fn oldest(&self) -> u64 {
        (self.newest + 1).saturating_sub(self.counts.len() as u64)
    }

    fn slot(&mut self, bin: u64) -> Option<&mut f32> {
        let index = bin.checked_sub(self.oldest())?;
        self.counts.get_mut(usize::try_from(index).ok()?)
    }

    /// Opens bins up to `last`, dropping those that fall off the far end. An empty ring, or one
    /// that is all too old, begins at `first`.
    fn advance(&mut self, first: u64, last: u64) {
        if self.counts.is_empty() || last.saturating_sub(self.newest) >= self.length as u64 {
            self.counts.clear();
            self.counts.push_back(0.0);
            self.newest = first.max((last + 1).saturating_sub(self.length as u64));
        }
        while self.newest < last {
            self.counts.push_back(0.0);
            self.newest += 1;
        }
        while self.counts.len() > self.length {
            self.counts.pop_front();
        }
    }

    fn overlap_ms(&self, bin: u64, from: Timestamp, to: Timestamp) -> f64 {
        let start = (bin * self.width_ms).max(from.as_ms());
        let end = (bin + 1).saturating_mul(self.width_ms).min(to.as_ms());
        seconds(end.saturating_sub(start)) * 1000.0
    }

    /// How much of a bin has passed at `now`: its count came in within that part.
    fn filled_ms(&self, bin: u64, now: Timestamp) -> f64 {
        let filled = now.as_ms().saturating_sub(bin * self.width_ms).min(self.width_ms);
        seconds(filled.max(1)) * 1000.0
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a bin needs no more than 24 bits")]
fn narrow(count: f64) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_count_over_several_bins_is_spread_over_them() {
        let mut bins = Bins::new(100, 32);
        bins.add(at(0), at(400), 40.0);
        let (sum, span_ms) = bins.sum(at(400), 200).unwrap();
        assert_eq!(span_ms, 200);
        assert!((sum - 20.0).abs() < 1e-3, "{sum}");
    }

    #[test]
    fn a_sum_covers_no_more_than_the_history() {
        let mut bins = Bins::new(100, 32);
        assert_eq!(bins.sum(at(50), 1000), None);
        bins.add(at(1000), at(1250), 5.0);
        assert_eq!(bins.sum(at(1250), 1000).unwrap().1, 250);
        assert!((bins.sum(at(1250), 1000).unwrap().0 - 5.0).abs() < 1e-3);
    }

    #[test]
    fn a_long_silence_empties_the_ring() {
        let mut bins = Bins::new(100, 8);
        bins.add(at(0), at(100), 9.0);
        bins.add(at(100), at(100_000), 0.0);
        assert!(bins.sum(at(100_000), 700).unwrap().0.abs() < 1e-6);
    }

    /// A minute of full bins that hold `counts`.
    fn minute(mut count: impl FnMut(u32) -> f64) -> Bins {
        let mut bins = Bins::new(1000, 60);
        for i in 0_u32..60 {
            let from = u64::from(i) * 1000;
            bins.add(at(from), at(from + 1000), count(i));
        }
        bins
    }

    #[test]
    fn steady_counts_have_no_variance() {
        assert!(minute(|_| 10.0).variance_per_s().unwrap() < 1e-6);
    }

    /// 100 throws of a coin a second: a variance of 25.
    #[test]
    fn the_variance_of_even_noise_is_found_again() {
        let mut state = 1_u64;
        let mut throw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            f64::from(u32::from(state >> 63 == 1))
        };
        let bins = minute(|_| (0..100).map(|_| throw()).sum());
        let variance = bins.variance_per_s().unwrap();
        assert!((12.0..50.0).contains(&variance), "{variance}");
    }

    #[test]
    fn steps_in_few_bins_are_no_variance_and_in_many_they_are() {
        let steps = |every: u32| minute(move |i| f64::from(i / every % 2) * 90.0);
        assert!(steps(10).variance_per_s().unwrap() < 1e-6);
        assert!(steps(3).variance_per_s().unwrap() > 1_000.0);
    }
}
