//! A load over time, on a regular grid. There is at least one value, and all are finite and not
//! negative.

mod read;

use std::sync::Arc;

pub use read::{
    DURATION_MAX_MS, Fault, LINE_BYTES_MAX, ROWS_MAX, TraceError, VALUE_MAX, open, read,
};

const MINUTE_MS: u64 = 60_000;

/// A load over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What it is called: its file's name without the ending.
    pub name: String,
    /// What the values count.
    pub unit: Unit,
    /// The length of a step, in milliseconds; above 0.
    pub step_ms: u64,
    /// The mean over each step; shared, since every run of a load has it.
    pub values: Arc<[f64]>,
}

/// What a trace's values count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests per second.
    RequestsPerSecond,
    /// Cores' worth of work.
    Cores,
}

impl Trace {
    /// How long it lasts, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        self.step_ms * self.values.len() as u64
    }

    /// The same load in steps of `step_ms`, each the mean of those it covers; an incomplete last
    /// step is dropped. `None` if `step_ms` is no multiple of this trace's or nothing is left.
    pub fn resample(&self, step_ms: u64) -> Option<Self> {
        if step_ms == 0 || !step_ms.is_multiple_of(self.step_ms) {
            return None;
        }
        let parts = usize::try_from(step_ms / self.step_ms).ok()?;
        #[expect(clippy::cast_precision_loss, reason = "steps of a step: far below 2^52")]
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let values: Arc<[f64]> = self.values.chunks_exact(parts).map(mean).collect();
        (!values.is_empty()).then(|| Self { step_ms, values, ..self.clone() })
    }

    /// The same load in steps of a minute, or a little more where its own do not divide one; itself
    /// where it is shorter or its steps are longer. Below a minute counts of requests are noise.
    pub fn by_minute(&self) -> Self {
        let step_ms = MINUTE_MS.div_ceil(self.step_ms) * self.step_ms;
        self.resample(step_ms).unwrap_or_else(|| self.clone())
    }

    /// The least replicas that serve each step within their capacity: `max(1, ceil(load /
    /// capacity))`, where `capacity` is what one replica serves, in the trace's unit.
    pub fn demand(&self, capacity: f64) -> Vec<u32> {
        let count = |load: &f64| flyball_core::units::replicas_for(load / capacity).max(1);
        self.values.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(values: &[f64]) -> Trace {
        let unit = Unit::RequestsPerSecond;
        Trace { name: "t".to_owned(), unit, step_ms: 10_000, values: values.into() }
    }

    #[test]
    fn a_coarser_grid_takes_means_and_drops_an_incomplete_step() {
        let coarse = trace(&[1.0, 3.0, 5.0, 7.0, 100.0]).resample(20_000).unwrap();
        assert_eq!((coarse.step_ms, &*coarse.values), (20_000, &[2.0, 6.0][..]));
    }

    #[test]
    fn minutes_are_whole_steps_of_a_minute_or_a_little_more() {
        let step =
            |step_ms, count| Trace { step_ms, ..trace(&vec![1.0; count]) }.by_minute().step_ms;
        assert_eq!(step(10_000, 100), 60_000);
        assert_eq!(step(7_000, 100), 63_000);
        assert_eq!(step(300_000, 3), 300_000);
        assert_eq!(step(1_000, 30), 1_000, "too short for a minute");
    }

    #[test]
    fn a_grid_that_does_not_fit_is_refused() {
        let trace = trace(&[1.0, 3.0]);
        assert_eq!(trace.resample(15_000), None);
        assert_eq!(trace.resample(0), None);
        assert_eq!(trace.resample(5_000), None);
        assert_eq!(trace.resample(60_000), None);
    }

    #[test]
    fn demand_is_rounded_up_and_never_none() {
        assert_eq!(trace(&[0.0, 8.0, 8.1]).demand(8.0), [1, 1, 2]);
    }
}
