//! The demo's load: a real trace, compressed to the run length and scaled to a peak. The same
//! length, peak and seed give the same arrivals, and the length does not change the shape.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Requests in each second of the excerpt; `data/README.md` says whose they are.
const EXCERPT: &str = include_str!("../../data/azure_llm_code_1s.txt");

/// Seconds that the excerpt lasts in real life.
pub(crate) const EXCERPT_S: f64 = 1_200.0;

/// Seconds of the trace over which its rate is averaged.
///
/// Without this, one second of the trace with 67 requests would become a spike of 50 ms in a run
/// of one minute. It is a choice of the demo, not of the trace: the ups and downs of the trace
/// over less than half a minute are lost.
const SMOOTHED_OVER_S: usize = 30;

/// Longest run: a longer one is most likely a mistaken unit.
const MAX_RUN: Duration = Duration::from_secs(24 * 3600);

/// Most arrivals that one run may hold; they are kept in memory.
const MAX_ARRIVALS: f64 = 10_000_000.0;

/// A rate of arrivals over time that follows the trace.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Requests per second in each bin.
    rates: Vec<f64>,
    /// Seconds that one bin lasts.
    bin_s: f64,
}

impl Shape {
    /// The excerpt squeezed into `run`, with `peak` requests per second at its highest.
    ///
    /// # Errors
    ///
    /// If `run` is zero or longer than a day, or `peak` is not a number above 0, or both together
    /// ask for more arrivals than fit into memory.
    pub(crate) fn of_excerpt(run: Duration, peak: f64) -> Result<Self> {
        ensure!(!run.is_zero(), "a load of 0 s has no arrivals");
        ensure!(run <= MAX_RUN, "a load of {} s is longer than a day", run.as_secs());
        ensure!(peak.is_finite() && peak > 0.0, "a peak of {peak} requests/s must be above 0");
        ensure!(
            peak * run.as_secs_f64() <= MAX_ARRIVALS,
            "a peak of {peak} requests/s over {} s is too much to hold",
            run.as_secs()
        );
        let smooth = moving_mean(&counts(EXCERPT), SMOOTHED_OVER_S);
        let highest = smooth.iter().copied().fold(0.0, f64::max);
        let bin_s = run.as_secs_f64() / as_f64(smooth.len());
        let rates = smooth.iter().map(|rate| rate / highest * peak).collect();
        Ok(Self { rates, bin_s })
    }

    /// How long the run lasts.
    pub(crate) fn run(&self) -> Duration {
        Duration::from_secs_f64(self.bin_s * as_f64(self.rates.len()))
    }

    /// The highest rate, in requests per second.
    pub(crate) fn peak(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// When each request arrives, in order: independent users, so that gaps are exponential at the
    /// rate of their moment, and their number differs by chance from what the rates come to.
    pub(crate) fn arrivals(&self, seed: u64) -> Vec<Duration> {
        let mut chance = Chance(seed);
        let mut arrivals = Vec::new();
        let mut passed = 0.0;
        let mut next = chance.exponential();
        for (bin, rate) in self.rates.iter().enumerate() {
            let work = rate * self.bin_s;
            while next < passed + work {
                let within = (next - passed) / work;
                let at = (as_f64(bin) + within) * self.bin_s;
                arrivals.push(Duration::from_secs_f64(at));
                next += chance.exponential();
            }
            passed += work;
        }
        arrivals
    }
}

/// A small seeded source of chance (SplitMix64): good enough for arrivals, the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A gap of mean 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit into a float exactly")]
    fn exponential(&mut self) -> f64 {
        let uniform = ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -uniform.ln()
    }
}

fn counts(text: &str) -> Vec<f64> {
    // The file is part of the program, and a test reads all of it.
    text.split_ascii_whitespace().filter_map(|count| count.parse().ok()).collect()
}

/// The mean over `width` values around each; at both ends over those that there are.
fn moving_mean(values: &[f64], width: usize) -> Vec<f64> {
    let around = |at: usize| -> Range<usize> {
        at.saturating_sub(width / 2)..values.len().min(at + width.div_ceil(2))
    };
    let mean = |range: Range<usize>| {
        let length = as_f64(range.len());
        values[range].iter().sum::<f64>() / length
    };
    (0..values.len()).map(|at| mean(around(at))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "lengths stay far below 2^52")]
fn as_f64(length: usize) -> f64 {
    length as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many arrivals the rates come to.
    fn expected(shape: &Shape) -> f64 {
        shape.rates.iter().sum::<f64>() * shape.bin_s
    }

    impl Shape {
        /// Requests per second `at` after the start; 0 once the run is over.
        pub(crate) fn rate_at(&self, at: Duration) -> f64 {
            self.bin_of(at.as_secs_f64()).map_or(0.0, |bin| self.rates[bin])
        }

        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times are not negative, and a cast saturates"
        )]
        fn bin_of(&self, at_s: f64) -> Option<usize> {
            let bin = (at_s / self.bin_s) as usize;
            (bin < self.rates.len()).then_some(bin)
        }
    }

    fn shape(seconds: u64) -> Shape {
        Shape::of_excerpt(Duration::from_secs(seconds), 200.0).unwrap()
    }

    /// The most that the rate changes within `window`, upwards or (`sign` -1) downwards.
    fn steepest(shape: &Shape, window: Duration, sign: f64) -> f64 {
        let steps = 1000;
        let times = (0..steps).map(|step| shape.run() * step / steps);
        let change = |at| (shape.rate_at(at + window) - shape.rate_at(at)) * sign;
        times.map(change).fold(0.0, f64::max)
    }

    #[test]
    fn the_whole_excerpt_is_read() {
        let counts = counts(EXCERPT);
        assert!((as_f64(counts.len()) - EXCERPT_S).abs() < 1e-9);
        assert_eq!(EXCERPT.split_ascii_whitespace().count(), 1200);
        assert!((counts.iter().sum::<f64>() - 4132.0).abs() < 1e-9);
    }

    #[test]
    fn short_and_long_runs_climb_and_fall_clearly() {
        for seconds in [20, 60, 180, 600] {
            let shape = shape(seconds);
            let window = shape.run() / 12;
            assert!(steepest(&shape, window, 1.0) > 0.75 * shape.peak(), "{seconds} s climb");
            assert!(steepest(&shape, window, -1.0) > 0.6 * shape.peak(), "{seconds} s fall");
            let lull = (0..100).filter(|i| shape.rate_at(shape.run() * *i / 100) < 2.0).count();
            assert!((15..50).contains(&lull), "{lull} % of the run is a lull");
        }
    }

    #[test]
    fn the_run_length_does_not_change_the_shape_and_the_peak_is_the_one_wanted() {
        let (short, long) = (shape(60), shape(180));
        assert!((short.peak() - 200.0).abs() < 1e-9);
        for second in 0..60 {
            let at = Duration::from_millis(second * 1000 + 7);
            let (here, there) = (short.rate_at(at), long.rate_at(at * 3));
            assert!((here - there).abs() < 1e-9, "second {second}: {here} and {there}");
        }
        assert!((expected(&long) / expected(&short) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn arrivals_are_the_same_for_a_seed_and_others_for_another() {
        let shape = shape(60);
        assert_eq!(shape.arrivals(7), shape.arrivals(7));
        assert_ne!(shape.arrivals(7), shape.arrivals(8));
    }

    #[test]
    fn arrivals_follow_the_rate_in_order_and_end_with_the_run() {
        let shape = shape(180);
        let arrivals = shape.arrivals(1);
        assert!(arrivals.is_sorted());
        assert!(arrivals.last().unwrap() < &shape.run());
        let expected = expected(&shape);
        let off = (as_f64(arrivals.len()) - expected) / expected.sqrt();
        assert!(off.abs() < 4.0, "{} arrivals where {expected:.0} were due", arrivals.len());
        for tenth in 0..10 {
            let (from, until) = (shape.run() * tenth / 10, shape.run() * (tenth + 1) / 10);
            let here = arrivals.iter().filter(|at| (from..until).contains(at)).count();
            let due: f64 = (0..180).map(|i| shape.rate_at(from + (until - from) * i / 180)).sum();
            let due = due / 180.0 * (until - from).as_secs_f64();
            assert!((as_f64(here) - due).abs() < 5.0 * due.sqrt() + 10.0, "{here} for {due:.0}");
        }
    }

    #[test]
    fn no_arrivals_are_crammed_into_one_moment() {
        let arrivals = shape(60).arrivals(3);
        let crammed = arrivals.windows(40).map(|some| some[39] - some[0]).min().unwrap();
        assert!(crammed > Duration::from_millis(100), "40 arrivals within {crammed:?}");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let refused = |seconds, peak| {
            Shape::of_excerpt(Duration::from_secs(seconds), peak).unwrap_err().to_string()
        };
        assert_eq!(refused(0, 1.0), "a load of 0 s has no arrivals");
        assert_eq!(refused(60, 0.0), "a peak of 0 requests/s must be above 0");
        assert!(refused(60, f64::NAN).contains("NaN"));
        assert!(refused(90_000, 1.0).contains("longer than a day"));
        assert!(refused(3600, 1e6).contains("too much to hold"));
    }

    #[test]
    fn after_the_run_nothing_arrives() {
        assert!(shape(60).rate_at(Duration::from_secs(60)).abs() < f64::EPSILON);
    }
}
