//! Kubernetes' autoscaler as far as a grid of one look per step can show it.
//!
//! Decides once a step from the mean load of the step before, as a ratio of the whole load to what
//! all replicas asked for should carry. What happens within a step is not there: sync period, rates
//! of 15 s, readiness, missing metrics. Invariant: the ratio is calculated from the load itself, not
//! from counters, so that published results of the same rule come out to the last digit.

use std::collections::VecDeque;

use flyball_core::units::replicas_for;

use super::{Wish, ratio};

/// The load of one whole step, known exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLoad {
    /// When the step ended, in milliseconds.
    pub at_ms: u64,
    /// The mean load in it, in the trace's unit.
    pub load: f64,
    /// What one replica serves, in the same unit.
    pub capacity: f64,
}

/// The ratio rule on a grid.
#[derive(Clone, Debug)]
pub struct HpaOnGrid {
    target: f64,
    window_ms: u64,
    count: Option<u32>,
    recommended: VecDeque<(u64, u32)>,
    reason: String,
}

impl HpaOnGrid {
    /// Keeps replicas busy for the share `target`, and takes the largest count recommended in the
    /// last `window_ms`, the present one included.
    pub fn new(target: f64, window_ms: u64) -> Self {
        let recommended = VecDeque::new();
        Self { target, window_ms, count: None, recommended, reason: "no load seen yet".to_owned() }
    }

    /// The count it holds under a steady `load`.
    pub fn settled(&self, load: f64, capacity: f64) -> u32 {
        replicas_for(load / capacity / self.target).max(1)
    }

    /// The wish after a step, from `count` replicas where it has wished nothing yet.
    pub fn recommend(&mut self, step: StepLoad, count: u32) -> Wish {
        let count = self.count.unwrap_or(count);
        let share = step.load / (self.target * step.capacity * f64::from(count));
        let now = ratio::count_for(count, share, ratio::TOLERANCE);
        self.recommended.push_back((step.at_ms, now));
        let old = |at: u64| at + self.window_ms <= step.at_ms && at < step.at_ms;
        while self.recommended.front().is_some_and(|(at, _)| old(*at)) {
            self.recommended.pop_front();
        }
        let most = self.recommended.iter().map(|(_, count)| *count).max().unwrap_or(now);
        self.count = Some(most);
        self.reason = format!("{count} x ratio {share:.3} -> {now}, most of its window {most}");
        self.again(most)
    }

    /// The last wish; `count` where there was none.
    pub fn again(&self, count: u32) -> Wish {
        Wish { count: self.count.unwrap_or(count), reason: self.reason.clone() }
    }
}
