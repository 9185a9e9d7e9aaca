//! The arrival rate, over the shortest time that is beyond noise. A counter that started again (new
//! epoch, or a smaller value) starts a new difference; the history before it stays.

use crate::estimate::bins::Bins;
use crate::units::{Timestamp, seconds};

/// Bins of 100 ms over 3.2 s, for the fast windows.
const FINE: (u64, usize) = (100, 33);
/// Bins of 1 s over 2 min, for the slow windows and the variance.
const COARSE: (u64, usize) = (1_000, 121);
/// Windows tried for a jump, in milliseconds: each twice the last.
const JUMP_WINDOWS_MS: [u64; 6] = [200, 400, 800, 1_600, 3_200, 8_000];
/// A jump must lie this many standard deviations above the level: at 4, chance alone fires about
/// once in 30,000 looks; at 2 it would fire every minute, at 8 a doubling takes seconds longer.
const JUMP_SIGMA: f64 = 4.0;
/// A jump, and a rate over less than the level's window, must rest on this many arrivals at least:
/// below it the count is too lumpy. (At 8 chance is off by a third, at 4 by a half; at 16 a service
/// with one request a second waits a quarter of a minute for its floor.)
const COUNT_MIN: f64 = 8.0;

/// The running figure.
///
/// Example: 15 requests/s for a minute, then 60/s. After 400 ms 24 have come where 6 were due; the
/// noise of 6 is 2.4, so 24 is 7 of those away: the rate over 400 ms, 60/s, is believed at once
/// where the mean of the last minute still says 15.3/s.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals {
    last: Option<Counter>,
    fine: Bins,
    coarse: Bins,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counter {
    at: Timestamp,
    epoch: u64,
    total: u64,
}

/// Arrivals per second as the governor uses them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The larger of the floor and a jump, per second.
    pub per_s: f64,
    /// The time it was taken over, in milliseconds.
    pub window_ms: u64,
    /// The mean over the level window, per second.
    pub level_per_s: f64,
    /// The level window, in milliseconds.
    pub level_window_ms: u64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { last: None, fine: Bins::new(FINE.0, FINE.1), coarse: Bins::new(COARSE.0, COARSE.1) }
    }
}

impl Arrivals {
    /// Takes in the counter `total` of `epoch` as it stood at `at`.
    ///
    /// Returns the arrivals since the last counter; `None` if there was none to compare with.
    pub fn see(&mut self, at: Timestamp, epoch: u64, total: u64) -> Option<u64> {
        let before = self.last.replace(Counter { at, epoch, total });
        let before = before.filter(|b| b.epoch == epoch && b.total <= total)?;
        if at <= before.at {
            // The same reading again, or an older one: keep the earlier one as the base.
            self.last = Some(before);
            return None;
        }
        let count = total - before.total;
        #[expect(clippy::cast_precision_loss, reason = "a difference far below 2^52")]
        let arrived = count as f64;
        self.fine.add(before.at, at, arrived);
        self.coarse.add(before.at, at, arrived);
        Some(count)
    }

    /// The rate at `now`: the mean over `floor_window_ms` or a jump above the level, whichever is
    /// larger. `None` without any difference yet.
    pub fn rate(&self, now: Timestamp, floor_window_ms: u64, level_window_ms: u64) -> Option<Rate> {
        let now = self.last?.at.min(now);
        let (level_per_s, level_window_ms) = self.mean(now, level_window_ms)?;
        let floor = self.mean(now, floor_window_ms)?;
        let (_, floor_window_ms) = floor;
        // Two requests that happen to come close together are no rate.
        let counted = floor.0 * seconds(floor_window_ms) >= COUNT_MIN;
        let floor = if counted { floor } else { (level_per_s, level_window_ms) };
        // A jump is something recent: over more than the floor's window it would be a memory of
        // one.
        let windows = JUMP_WINDOWS_MS.iter().filter(|window_ms| **window_ms <= floor_window_ms);
        let (per_s, window_ms) = windows
            .filter_map(|&window_ms| self.jump(now, window_ms, level_per_s))
            .fold(floor, |best, jump| if jump.0 > best.0 { jump } else { best });
        Some(Rate { per_s, window_ms, level_per_s, level_window_ms })
    }

    /// Mean arrivals per second over the last `window_ms`, with the span really covered.
    pub fn mean(&self, now: Timestamp, window_ms: u64) -> Option<(f64, u64)> {
        let fine = window_ms <= FINE.0 * (FINE.1 as u64 - 1);
        let bins = if fine { &self.fine } else { &self.coarse };
        let (sum, span_ms) = bins.sum(now, window_ms)?;
        Some((sum / seconds(span_ms), span_ms))
    }

    /// The mean over `window_ms` if it stands out above `level_per_s`.
    fn jump(&self, now: Timestamp, window_ms: u64, level_per_s: f64) -> Option<(f64, u64)> {
        let (per_s, span_ms) = self.mean(now, window_ms)?;
        let span_s = seconds(span_ms);
        let stands_out =
            |variance: f64| per_s - level_per_s > JUMP_SIGMA * (variance / span_s).sqrt();
        let counted = per_s * span_s >= COUNT_MIN;
        // A history shorter than the window has no level to stand out from.
        let grounded = self.coarse.history_ms(now) > 2 * window_ms;
        // Independent arrivals vary by as much as their level. The variance really seen is asked
        // for last: it costs more to find, and most looks end before it.
        let noise = || self.coarse.variance_per_s().unwrap_or(0.0);
        let jumped = counted && grounded && stands_out(level_per_s.max(1.0)) && stands_out(noise());
        jumped.then_some((per_s, span_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 100 ms at a load of `rates` requests/s, each for so many seconds.
    fn watch(rates: &[(u64, u64)]) -> (Arrivals, Timestamp) {
        let (mut arrivals, mut now, mut tenths) = (Arrivals::default(), 0, 0);
        for &(per_s, lasts_s) in rates {
            for _ in 0..lasts_s * 10 {
                now += 100;
                tenths += per_s;
                arrivals.see(Timestamp::from_ms(now), 1, tenths / 10);
            }
        }
        (arrivals, Timestamp::from_ms(now))
    }

    #[test]
    fn a_step_is_believed_within_half_a_second() {
        let (mut arrivals, mut now) = watch(&[(15, 60)]);
        let mut total = 900_u64;
        for _ in 0..4 {
            now = now.plus_ms(100);
            total += 6;
            arrivals.see(now, 1, total);
        }
        let rate = arrivals.rate(now, 16_000, 60_000).unwrap();
        assert!(rate.per_s > 50.0 && rate.window_ms <= 400, "{rate:?}");
        assert!(rate.level_per_s < 16.0, "{rate:?}");
    }

    /// Milliseconds until a step from 30 to 120 requests/s is believed, after such steps for 6 s
    /// each `every_s`.
    fn believed_after_ms(every_s: u64) -> u64 {
        let rates: Vec<_> =
            (0..10).flat_map(|_| [(30, every_s - 6), (120, 6)]).chain([(30, 16)]).collect();
        let (mut arrivals, mut now) = watch(&rates);
        let begun = now;
        let mut total = arrivals.last.unwrap().total;
        loop {
            now = now.plus_ms(100);
            total += 12;
            arrivals.see(now, 1, total);
            if arrivals.rate(now, 4_000, 16_000).unwrap().per_s > 75.0 {
                return now.ms_since(begun);
            }
        }
    }

    #[test]
    fn steps_seen_before_do_not_hide_the_next() {
        assert!(believed_after_ms(24) <= 200, "{} ms", believed_after_ms(24));
    }

    #[test]
    fn a_steady_load_has_no_jump() {
        let (arrivals, now) = watch(&[(40, 60)]);
        let rate = arrivals.rate(now, 16_000, 60_000).unwrap();
        assert!((rate.per_s - 40.0).abs() < 1.0, "{rate:?}");
        assert_eq!(rate.window_ms, 16_000);
    }

    #[test]
    fn two_requests_close_together_are_no_rate() {
        let (mut arrivals, now) = watch(&[(1, 60)]);
        let at = now.plus_ms(100);
        arrivals.see(at, 1, 63);
        let rate = arrivals.rate(at, 1_000, 4_000).unwrap();
        assert!(rate.per_s < 2.0 && rate.window_ms == 4_000, "{rate:?}");
    }

    #[test]
    fn a_burst_that_is_over_does_not_come_back() {
        let (mut arrivals, mut now) = watch(&[(10, 60), (300, 3)]);
        let (mut total, mut last) = (1_500_u64, f64::INFINITY);
        for _ in 0..150 {
            now = now.plus_ms(100);
            total += 1;
            arrivals.see(now, 1, total);
            let per_s = arrivals.rate(now, 2_500, 10_000).unwrap().per_s;
            assert!(per_s <= last + 0.5, "{last} -> {per_s}");
            last = per_s;
        }
    }

    #[test]
    fn one_reading_gives_no_rate() {
        let mut arrivals = Arrivals::default();
        arrivals.see(Timestamp::from_ms(100), 1, 1_000_000);
        assert_eq!(arrivals.rate(Timestamp::from_ms(100), 1_000, 10_000), None);
    }

    #[test]
    fn a_reset_counter_adds_nothing_and_takes_nothing_away() {
        let (mut arrivals, now) = watch(&[(10, 20)]);
        let before = arrivals.mean(now, 8_000).unwrap().0;
        assert_eq!(arrivals.see(now.plus_ms(100), 2, 3), None);
        assert_eq!(arrivals.see(now.plus_ms(200), 2, 1), None);
        assert_eq!(arrivals.see(now.plus_ms(300), 2, 2), Some(1));
        let after = arrivals.mean(now.plus_ms(300), 8_000).unwrap().0;
        assert!((before - after).abs() < 1.5, "{before} {after}");
    }

    #[test]
    fn the_same_reading_twice_counts_once() {
        let mut arrivals = Arrivals::default();
        arrivals.see(Timestamp::from_ms(0), 1, 0);
        assert_eq!(arrivals.see(Timestamp::from_ms(100), 1, 7), Some(7));
        assert_eq!(arrivals.see(Timestamp::from_ms(100), 1, 7), None);
        assert_eq!(arrivals.see(Timestamp::from_ms(200), 1, 9), Some(2));
    }
}
