//! A load over time, on a regular grid.
//!
//! Decides nothing. Invariant: values are finite and not negative, and there is at least one.

/// A load over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What it is called: its file's name without the ending.
    pub name: String,
    /// What the values count.
    pub unit: Unit,
    /// The length of a step, in milliseconds; above 0.
    pub step_ms: u64,
    /// The mean over each step.
    pub values: Vec<f64>,
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
        let parts = step_ms / self.step_ms;
        if parts == 0 || !step_ms.is_multiple_of(self.step_ms) {
            return None;
        }
        let parts = usize::try_from(parts).ok()?;
        #[expect(clippy::cast_precision_loss, reason = "steps of a step: far below 2^52")]
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let values: Vec<f64> = self.values.chunks_exact(parts).map(mean).collect();
        (!values.is_empty()).then(|| Self { step_ms, values, ..self.clone() })
    }

    /// The least replicas that serve each step within their capacity, at least 1:
    /// `max(1, ceil(load / capacity))`, where `capacity` is what one replica serves, in the trace's
    /// unit (metrics.md: d_t).
    pub fn demand(&self, capacity: f64) -> Vec<u32> {
        let count = |load: &f64| flyball_core::units::replicas_for(load / capacity).max(1);
        self.values.iter().map(count).collect()
    }
}
