//! When requests arrive. Counts of whole seconds are placed evenly at random within their second:
//! drawing them again would double the variance that they already have. Coarser steps are Poisson
//! rates; from 300 s on the rate runs straight from the middle of one to the middle of the next.

use std::sync::Arc;

use rand::{Rng, RngExt};
use rand_distr::Exp1;

use crate::seed::{Purpose, Seed, Stream};
use crate::trace::{Trace, Unit};

/// Nanoseconds in a millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// Steps of this length hold counts.
const COUNTED_STEP_MS: u64 = 1_000;
/// So many moments are drawn at once: of a second with more, one part after the other.
const DRAWN_MAX: f64 = 1e6;
/// Steps of this length and above are means of something smoother.
const SMOOTHED_STEP_MS: u64 = 300_000;
/// The rate of smoothed steps is constant within pieces of this length.
const PIECE_NS: u64 = 10_000 * MS;

/// Moments of arrival, in nanoseconds since the load began, in order.
#[derive(Clone, Debug)]
pub struct Arrivals {
    shape: Shape,
    chance: Stream,
    end_ns: u64,
    /// Moments drawn already, the next one last.
    drawn: Vec<u64>,
    step: usize,
    /// The next part of that step, where it is drawn in parts.
    part: u64,
    cursor_ns: u64,
    /// Mean gaps left until the next arrival.
    gaps: f64,
    /// The end of the piece of one rate that the cursor is in, and its arrivals per nanosecond.
    piece: (u64, f64),
    even_from_ns: u64,
}

#[derive(Clone, Debug)]
enum Shape {
    /// Moments that are given.
    Listed,
    /// So many within each second, times `factor`.
    Counts { counts: Arc<[f64]>, factor: f64 },
    /// So many per second within each step.
    Rates(Steps),
    /// So many per second on average over each step, smoothly.
    Smooth(Steps),
}

/// Rates over time.
#[derive(Clone, Debug)]
struct Steps {
    values: Arc<[f64]>,
    /// Requests per second for each of a value.
    scale: f64,
    step_ns: u64,
}

impl Arrivals {
    /// The load of `trace` times `factor`. For a trace in cores, `work_s` core-seconds are one
    /// request.
    ///
    /// A factor below 1 keeps each request of a counted trace with that chance; one above 1 repeats
    /// it. With 0 nothing arrives.
    pub fn of_trace(trace: &Trace, factor: f64, work_s: f64, seed: Seed) -> Self {
        let per_value = match trace.unit {
            Unit::RequestsPerSecond => 1.0,
            Unit::Cores => 1.0 / work_s,
        };
        let values = Arc::clone(&trace.values);
        let step_ns = trace.step_ms * MS;
        let steps = Steps { values, scale: per_value * factor, step_ns };
        let shape = match trace.step_ms {
            COUNTED_STEP_MS if trace.unit == Unit::RequestsPerSecond => {
                Shape::Counts { counts: steps.values, factor }
            }
            SMOOTHED_STEP_MS.. => Shape::Smooth(steps),
            _ => Shape::Rates(steps),
        };
        Self::new(shape, trace.duration_ms() * MS, seed)
    }

    /// `per_s` requests per second in each step of `step_ms`, at random up to `even_from_ms` and in
    /// equal gaps from there on.
    pub fn of_rates(per_s: Vec<f64>, step_ms: u64, even_from_ms: u64, seed: Seed) -> Self {
        let end_ns = per_s.len() as u64 * step_ms * MS;
        let steps = Steps { values: per_s.into(), scale: 1.0, step_ns: step_ms * MS };
        let mut arrivals = Self::new(Shape::Rates(steps), end_ns, seed);
        arrivals.even_from_ns = even_from_ms * MS;
        arrivals
    }

    /// Exactly the moments `at_ns`; `end_ns` is when the load is over.
    pub fn listed(mut at_ns: Vec<u64>, end_ns: u64) -> Self {
        at_ns.sort_unstable_by(|a, b| b.cmp(a));
        let mut arrivals = Self::new(Shape::Listed, end_ns, Seed::default());
        arrivals.drawn = at_ns;
        arrivals
    }

    fn new(shape: Shape, end_ns: u64, seed: Seed) -> Self {
        let mut chance = seed.stream(Purpose::Arrivals);
        let gaps = chance.sample(Exp1);
        Self {
            shape,
            chance,
            end_ns,
            drawn: Vec::new(),
            step: 0,
            part: 0,
            cursor_ns: 0,
            gaps,
            piece: (0, 0.0),
            even_from_ns: u64::MAX,
        }
    }

    /// When the load is over.
    pub fn end_ns(&self) -> u64 {
        self.end_ns
    }

    /// The next moment; `None` once all have been.
    pub fn next_ns(&mut self) -> Option<u64> {
        match &self.shape {
            Shape::Listed => self.drawn.pop(),
            Shape::Counts { .. } => self.next_counted(),
            Shape::Rates(_) | Shape::Smooth(_) => self.next_of_rate(),
        }
    }

    fn next_counted(&mut self) -> Option<u64> {
        let Shape::Counts { counts, factor } = &self.shape else { return None };
        while self.drawn.is_empty() {
            let count = *counts.get(self.step)?;
            let parts = whole((count * factor / DRAWN_MAX).ceil()).clamp(1, COUNTED_STEP_MS * MS);
            let part_ns = COUNTED_STEP_MS * MS / parts;
            let begin_ns = self.step as u64 * COUNTED_STEP_MS * MS + self.part * part_ns;
            for _ in 0..kept(count / nanos(parts), *factor, &mut self.chance) {
                self.drawn.push(begin_ns + below(part_ns, &mut self.chance));
            }
            self.drawn.sort_unstable_by(|a, b| b.cmp(a));
            self.part += 1;
            if self.part >= parts {
                self.step += 1;
                self.part = 0;
            }
        }
        self.drawn.pop()
    }

    fn next_of_rate(&mut self) -> Option<u64> {
        loop {
            if self.cursor_ns >= self.piece.0 {
                self.piece = self.shape.piece(self.cursor_ns)?;
            }
            let (piece_end_ns, per_ns) = self.piece;
            let left = nanos(piece_end_ns - self.cursor_ns) * per_ns;
            if self.gaps < left {
                self.cursor_ns += whole(self.gaps / per_ns);
                let even = self.cursor_ns >= self.even_from_ns;
                self.gaps = if even { 1.0 } else { self.chance.sample(Exp1) };
                return Some(self.cursor_ns);
            }
            self.gaps -= left;
            self.cursor_ns = piece_end_ns;
        }
    }
}

impl Shape {
    /// The end of the piece that `at_ns` lies in, and its arrivals per nanosecond.
    fn piece(&self, at_ns: u64) -> Option<(u64, f64)> {
        match self {
            Self::Listed | Self::Counts { .. } => None,
            Self::Rates(steps) => {
                let step = at_ns / steps.step_ns;
                let value = steps.values.get(usize::try_from(step).ok()?)?;
                Some(((step + 1) * steps.step_ns, value * steps.scale / 1e9))
            }
            Self::Smooth(steps) => {
                let step_ns = steps.step_ns;
                let count = steps.values.len() as u64;
                if at_ns / step_ns >= count {
                    return None;
                }
                let piece = at_ns / PIECE_NS;
                let middle = (nanos(piece * PIECE_NS) + nanos(PIECE_NS) / 2.0) / nanos(step_ns);
                let end_ns = ((piece + 1) * PIECE_NS).min(count * step_ns);
                Some((end_ns, steps.between_middles(middle) / 1e9))
            }
        }
    }
}

impl Steps {
    /// The rate `at` (in steps), on straight lines from the middle of each step to the next.
    fn between_middles(&self, at: f64) -> f64 {
        let from_first = (at - 0.5).max(0.0);
        let last = self.values.len() - 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and a cast saturates"
        )]
        let step = (from_first as usize).min(last);
        let part = (from_first - from_first.floor()).clamp(0.0, 1.0);
        let per_s = |step: usize| self.values[step.min(last)] * self.scale;
        per_s(step) * (1.0 - part) + per_s(step + 1) * part
    }
}

/// Of `count` requests times `factor`, those that are sent.
fn kept(count: f64, factor: f64, chance: &mut Stream) -> u64 {
    if factor >= 1.0 {
        let wanted = count * factor;
        return whole(wanted) + u64::from(unit(chance) < wanted - wanted.floor());
    }
    let whole_count = whole(count);
    let rest = u64::from(count > count.floor() && unit(chance) < count - count.floor());
    (0..whole_count + rest).filter(|_| unit(chance) < factor).count() as u64
}

/// A number in [0, 1).
pub(crate) fn unit(chance: &mut Stream) -> f64 {
    nanos(chance.next_u64() >> 11) / nanos(1 << 53)
}

/// A whole number below `end`, which is above 0.
pub(crate) fn below(end: u64, chance: &mut Stream) -> u64 {
    // The high half of the product: uniform but for one part in 2^64 / end.
    let product = u128::from(chance.next_u64()) * u128::from(end);
    u64::try_from(product >> 64).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "times of a simulation stay far below 2^53 ns")]
pub(crate) fn nanos(ns: u64) -> f64 {
    ns as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and a cast saturates"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(step_ms: u64, values: &[f64]) -> Trace {
        let (name, unit) = ("test".to_owned(), Unit::RequestsPerSecond);
        Trace { name, unit, step_ms, values: values.into() }
    }

    fn all(mut arrivals: Arrivals) -> Vec<u64> {
        std::iter::from_fn(|| arrivals.next_ns()).collect()
    }

    #[test]
    fn counts_of_a_second_are_placed_within_it_exactly() {
        let moments = all(Arrivals::of_trace(&trace(1_000, &[3.0, 0.0, 40.0]), 1.0, 1.0, Seed(1)));
        assert!(moments.is_sorted());
        let in_second = |s| moments.iter().filter(|at| **at / 1_000_000_000 == s).count();
        assert_eq!([in_second(0), in_second(1), in_second(2)], [3, 0, 40]);
    }

    #[test]
    fn a_second_with_too_many_to_hold_at_once_is_drawn_in_parts() {
        let mut arrivals = Arrivals::of_trace(&trace(1_000, &[2.5e6, 3.0]), 1.0, 1.0, Seed(1));
        let (mut before_ns, mut counts) = (0, [0_u32; 2]);
        while let Some(at_ns) = arrivals.next_ns() {
            assert!(at_ns >= before_ns && arrivals.drawn.len() <= 1_000_000);
            before_ns = at_ns;
            counts[usize::try_from(at_ns / 1_000_000_000).unwrap()] += 1;
        }
        assert!(counts[0].abs_diff(2_500_000) <= 3 && counts[1] == 3, "{counts:?}");
    }

    #[test]
    fn thinning_keeps_the_share_and_repeating_multiplies() {
        let load = trace(1_000, &[100.0; 100]);
        let count = |factor| all(Arrivals::of_trace(&load, factor, 1.0, Seed(2))).len();
        assert!((900..1_100).contains(&count(0.1)), "{}", count(0.1));
        assert_eq!(count(3.0), 30_000);
        assert_eq!(count(0.0), 0);
    }

    #[test]
    fn rates_give_a_poisson_process() {
        let moments = all(Arrivals::of_trace(&trace(10_000, &[50.0; 200]), 1.0, 1.0, Seed(3)));
        let expected = 50.0 * 2_000.0;
        assert!((nanos(moments.len() as u64) - expected).abs() < 4.0 * f64::sqrt(expected));
        let mut counts = vec![0_u64; 2_000];
        moments.iter().for_each(|at| counts[usize::try_from(at / 1_000_000_000).unwrap()] += 1);
        let spread = counts.iter().map(|n| (nanos(*n) - 50.0).powi(2)).sum::<f64>() / 2_000.0;
        assert!((40.0..60.0).contains(&spread), "variance {spread} where 50 is due");
    }

    #[test]
    fn smoothed_steps_run_straight_from_middle_to_middle() {
        let moments = all(Arrivals::of_trace(&trace(600_000, &[10.0, 30.0]), 1.0, 1.0, Seed(4)));
        let per_s = |from_s: u64, to_s: u64| {
            let within = from_s * 1_000_000_000..to_s * 1_000_000_000;
            nanos(moments.iter().filter(|at| within.contains(at)).count() as u64)
                / nanos(to_s - from_s)
        };
        assert!((per_s(0, 300) - 10.0).abs() < 1.0, "{}", per_s(0, 300));
        assert!((per_s(550, 650) - 20.0).abs() < 2.0, "{}", per_s(550, 650));
        assert!((per_s(900, 1_200) - 30.0).abs() < 1.5, "{}", per_s(900, 1_200));
    }

    #[test]
    fn even_arrivals_have_equal_gaps() {
        let moments = all(Arrivals::of_rates(vec![4.0; 20], 1_000, 10_000, Seed(5)));
        let even: Vec<u64> = moments.into_iter().filter(|at| *at >= 11_000_000_000).collect();
        assert!(even.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(250 * MS) <= 2));
    }
}
