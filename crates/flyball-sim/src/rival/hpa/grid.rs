//! The HPA's ratio rule where there is one look for each step of a trace. The ratio is that of the
//! loads themselves, not of counters, so that published results of the same rule come out to the
//! last digit.

use flyball_core::units::{Timestamp, replicas_for};

use super::super::RivalCount;
use super::super::scrape::Recent;
use super::from_ratio;

/// The load of one whole step, known exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLoad {
    /// When the step ended.
    pub at: Timestamp,
    /// The mean load in it, in the trace's unit.
    pub load: f64,
    /// What one replica serves, in the same unit.
    pub capacity: f64,
}

/// The rule on a grid: once a step, from the mean load of the step before, as a ratio of the whole
/// load to what all replicas asked for should carry. What happens within a step is left out: sync
/// period, rates of 15 s, readiness, missing metrics.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    target: f64,
    tolerance: f64,
    window_ms: u64,
    wanted: Recent<u32>,
    wish: Option<RivalCount>,
}

impl Grid {
    /// Keeps replicas busy for the share `target`, but for `tolerance`, and takes the largest count
    /// wanted in the last `window_ms`, the present one included.
    pub(super) fn new(target: f64, tolerance: f64, window_ms: u64) -> Self {
        Self { target, tolerance, window_ms, wanted: Recent::default(), wish: None }
    }

    /// The count it holds under a steady `load`.
    pub(super) fn settled(&self, load: f64, capacity: f64) -> u32 {
        replicas_for(load / capacity / self.target).max(1)
    }

    /// The wish after a step, from `count` replicas where it has wished nothing yet.
    pub(super) fn recommend(&mut self, step: StepLoad, count: u32) -> RivalCount {
        let count = self.wish.as_ref().map_or(count, |wish| wish.count);
        let ratio = step.load / (self.target * step.capacity * f64::from(count));
        let now = from_ratio(ratio, self.tolerance, count, count).max(1);
        self.wanted.push(step.at, now, self.window_ms);
        let most = self.wanted.younger(step.at, self.window_ms).max().unwrap_or(now);
        let reason = format!("{count} x ratio {ratio:.3} -> {now}, most of its window {most}");
        self.wish.insert(RivalCount { count: most, reason }).clone()
    }

    /// The wish after the last step.
    pub(super) fn wish(&self) -> Option<&RivalCount> {
        self.wish.as_ref()
    }
}
