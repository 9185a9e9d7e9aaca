//! A window of a trace as arrivals on a fine grid. Every trace is scaled so that one replica serves
//! [`PER_S`] requests a second: the shape in replicas stays, and the noise of counting is that of a
//! web service. The same trace, window, tick and seed give the same arrivals.

use rand_distr::{Distribution, Poisson};

use crate::seed::{Purpose, Seed};
use crate::trace::Trace;

/// Requests per second that one replica serves. At 5 counting noise would hide small changes of
/// load, at 100 nothing would be noisy.
pub const PER_S: f64 = 20.0;
/// The first hour is not scored, or the first tenth of a shorter load: policies settle.
const SETTLE_MS: u64 = 3_600_000;

/// Arrivals on a grid, ready to be run.
#[derive(Clone, Debug)]
pub struct Load {
    /// The trace's name.
    pub name: String,
    /// The length of a tick, in milliseconds.
    pub tick_ms: u64,
    /// Requests that arrive in each tick.
    pub arrivals: Vec<f64>,
    /// The least replicas that serve the minute's mean, for each tick.
    pub demand: Vec<u32>,
    /// Ticks before scoring begins.
    pub settle: usize,
}

/// Which part of a trace is run, and how finely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its middle, in milliseconds since the trace's beginning.
    pub middle_ms: u64,
    /// Its length, in milliseconds; a shorter trace is run whole.
    pub length_ms: u64,
    /// The length of a tick, in milliseconds.
    pub tick_ms: u64,
}

impl Load {
    /// Draws the arrivals of `span` of `trace`, where one replica serves `capacity` of its unit.
    pub fn draw(trace: &Trace, capacity: f64, span: Span, seed: Seed) -> Self {
        let length_ms = span.length_ms.min(trace.duration_ms());
        let last_ms = trace.duration_ms() - length_ms;
        let from_ms = span.middle_ms.saturating_sub(length_ms / 2).min(last_ms);
        let ticks = length_ms / span.tick_ms;
        let rate = |tick: u64| {
            let at_ms = from_ms + tick * span.tick_ms;
            mean(trace, at_ms, span.tick_ms) / capacity
        };
        let rates: Vec<f64> = (0..ticks).map(rate).collect();
        let mut stream = seed.stream(Purpose::Arrivals);
        let tick_s = flyball_core::units::seconds(span.tick_ms);
        let mut draw = |replicas: &f64| {
            let expected = replicas * PER_S * tick_s;
            Poisson::new(expected).map_or(0.0, |poisson| poisson.sample(&mut stream))
        };
        let arrivals = rates.iter().map(&mut draw).collect();
        let minute = usize::try_from(60_000 / span.tick_ms).unwrap_or(1).max(1);
        let settle_ms = SETTLE_MS.min(length_ms / 10);
        Self {
            name: trace.name.clone(),
            tick_ms: span.tick_ms,
            arrivals,
            demand: demand(&rates, minute),
            settle: usize::try_from(settle_ms / span.tick_ms).unwrap_or(0),
        }
    }
}

/// The least replicas for the mean of each minute, at least 1, once for each of its ticks.
fn demand(rates: &[f64], minute: usize) -> Vec<u32> {
    let counts = rates.chunks(minute).flat_map(|part| {
        #[expect(clippy::cast_precision_loss, reason = "ticks of a minute")]
        let mean = part.iter().sum::<f64>() / part.len() as f64;
        std::iter::repeat_n(flyball_core::units::replicas_for(mean).max(1), part.len())
    });
    counts.collect()
}

/// The trace's mean over a tick. Steps of a minute are joined by straight lines between their
/// middles: as stairs, every minute would begin with a jump that nobody recorded.
fn mean(trace: &Trace, at_ms: u64, tick_ms: u64) -> f64 {
    let value = |step: u64| {
        let last = trace.values.len() - 1;
        trace.values[usize::try_from(step).unwrap_or(last).min(last)]
    };
    if trace.step_ms >= 60_000 {
        let half_ms = trace.step_ms / 2;
        let since_ms = (at_ms + tick_ms / 2).saturating_sub(half_ms);
        let step = since_ms / trace.step_ms;
        let rest_ms = since_ms % trace.step_ms;
        let share =
            flyball_core::units::seconds(rest_ms) / flyball_core::units::seconds(trace.step_ms);
        return value(step) * (1.0 - share) + value(step + 1) * share;
    }
    let steps = (tick_ms / trace.step_ms).max(1);
    #[expect(clippy::cast_precision_loss, reason = "steps of a tick")]
    let count = steps as f64;
    (0..steps).map(|step| value(at_ms / trace.step_ms + step)).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Unit;

    #[test]
    fn a_load_has_the_trace_s_shape_and_repeats() {
        let values = vec![10.0, 30.0, 50.0, 50.0];
        let unit = Unit::RequestsPerSecond;
        let trace = Trace { name: "t".into(), unit, step_ms: 60_000, values: values.into() };
        let span = Span { middle_ms: 0, length_ms: u64::MAX, tick_ms: 10_000 };
        let load = Load::draw(&trace, 10.0, span, Seed(1));
        assert_eq!(load.arrivals.len(), 24);
        assert_eq!((load.demand[0], load.demand[23]), (2, 5));
        assert_eq!(load.arrivals, Load::draw(&trace, 10.0, span, Seed(1)).arrivals);
        let total: f64 = load.arrivals.iter().sum();
        // 10+30+50+50 over 10 are 14 replica-minutes of 20/s, less a half step of the first rise.
        assert!((total / (14.0 * 1_200.0) - 1.0).abs() < 0.05, "{total}");
    }
}
