//! How long things take: work on a request, the start of a replica. The mean of what is drawn is
//! the one asked for, however wide the spread, so that a heavier tail alone never changes the load.

use rand::RngExt;
use rand_distr::{Exp1, StandardNormal};

use super::arrivals::{nanos, whole};
use crate::seed::Stream;

/// How times spread around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Spread {
    /// All the same.
    #[default]
    Same,
    /// Exponentially, as calls of independent people.
    Exponential,
    /// With a heavy tail: the logarithm spreads normally.
    Lognormal {
        /// Standard deviation over mean; 0 is all the same.
        cv: f64,
    },
}

impl Spread {
    /// A factor of mean 1.
    pub fn factor(self, chance: &mut Stream) -> f64 {
        match self {
            Self::Same => 1.0,
            Self::Exponential => chance.sample(Exp1),
            Self::Lognormal { cv } => {
                let variance = (cv * cv).ln_1p();
                let normal: f64 = chance.sample(StandardNormal);
                (normal * variance.sqrt() - variance / 2.0).exp()
            }
        }
    }
}

/// A time with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// The mean, in milliseconds.
    pub mean_ms: f64,
    /// How they spread around it.
    pub spread: Spread,
}

impl Times {
    /// Always `ms`.
    pub fn same(ms: f64) -> Self {
        Self { mean_ms: ms, spread: Spread::Same }
    }

    /// Half of them at most `median_ms`, 99 of 100 at most `p99_ms`, with a heavy tail; all the
    /// same if `p99_ms` is no longer.
    pub fn of_quantiles(median_ms: f64, p99_ms: f64) -> Self {
        // The logarithm of the 99th percentile is 2.3263 standard deviations above its mean.
        let deviation = (p99_ms / median_ms).ln() / 2.326_347_874;
        if !(deviation > 0.0 && deviation.is_finite()) {
            return Self::same(median_ms);
        }
        let variance = deviation * deviation;
        let spread = Spread::Lognormal { cv: variance.exp_m1().sqrt() };
        Self { mean_ms: median_ms * (variance / 2.0).exp(), spread }
    }

    /// One of them, in nanoseconds; at least 1.
    pub fn draw_ns(self, chance: &mut Stream) -> u64 {
        let mean_ns = self.mean_ms * nanos(super::arrivals::MS);
        whole(mean_ns * self.spread.factor(chance)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seed};

    #[test]
    fn half_are_over_the_median_and_one_of_a_hundred_over_the_99th_percentile() {
        let mut chance = Seed(1).stream(Purpose::StartLags);
        let times = Times::of_quantiles(20_000.0, 60_000.0);
        let drawn: Vec<u64> = (0..100_000).map(|_| times.draw_ns(&mut chance)).collect();
        let over = |s: u64| drawn.iter().filter(|ns| **ns > s * 1_000_000_000).count();
        assert!((49_000..51_000).contains(&over(20)), "{}", over(20));
        assert!((850..1_150).contains(&over(60)), "{}", over(60));
        assert_eq!(Times::of_quantiles(20.0, 20.0), Times::same(20.0));
        assert_eq!(Times::of_quantiles(20.0, 5.0), Times::same(20.0));
    }

    #[test]
    fn every_spread_keeps_its_mean_and_width() {
        let mut chance = Seed(1).stream(Purpose::ServiceTimes);
        let cases = [
            (Spread::Same, 0.0),
            (Spread::Exponential, 1.0),
            (Spread::Lognormal { cv: 0.5 }, 0.5),
            (Spread::Lognormal { cv: 2.0 }, 2.0),
        ];
        for (spread, cv) in cases {
            let drawn: Vec<f64> = (0..200_000).map(|_| spread.factor(&mut chance)).collect();
            let mean = drawn.iter().sum::<f64>() / 200_000.0;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 200_000.0;
            assert!((mean - 1.0).abs() < 0.03, "{spread:?}: mean {mean}");
            assert!((variance.sqrt() - cv).abs() < 0.1 * cv + 1e-9, "{spread:?}: {variance}");
        }
    }
}
