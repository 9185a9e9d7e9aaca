//! The step rule: compares mean CPU with two thresholds, as in the 2014 sketch. Without a reading
//! it recommends nothing.

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Context, CpuLine, Recommendation, Triggers};
use crate::adjustment::{Chain, Guard};
use crate::line::Line;
use crate::memory::Memory;
use crate::signals::Signals;

/// More above a threshold of mean CPU, fewer below another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRule {
    /// Mean CPU at or over this share of the limit adds replicas.
    pub out_at: f64,
    /// Mean CPU at or under this share of the limit removes replicas; less than `out_at`.
    pub in_at: f64,
    /// How many at a time; at least 1.
    pub by: u32,
    /// Time after a change in which there is no other.
    pub cooldown_ms: u64,
    /// CPU of a replica is its mean over this time.
    pub cpu_window_ms: u64,
}

impl Default for StepRule {
    /// The 2014 sketch: 30 % out, 15 % in, one at a time, each minute.
    fn default() -> Self {
        Self { out_at: 0.30, in_at: 0.15, by: 1, cooldown_ms: 60_000, cpu_window_ms: 60_000 }
    }
}

/// Terms of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ThresholdTerms))]
pub struct Threshold {
    /// Mean share of its CPU limit that a ready replica used.
    pub mean: f64,
    /// At or over this: more.
    pub out_at: f64,
    /// At or under this: fewer.
    pub in_at: f64,
    /// How many at a time.
    pub by: u32,
    /// The count to step from.
    pub current: u32,
}

impl Threshold {
    pub(super) fn count(&self) -> u32 {
        if self.mean >= self.out_at {
            self.current.saturating_add(self.by)
        } else if self.mean <= self.in_at {
            self.current.saturating_sub(self.by)
        } else {
            self.current
        }
    }

    pub(super) fn line(&self) -> Line {
        let Self { by, current, .. } = self;
        let mean = self.mean * 100.0;
        let out_at = self.out_at * 100.0;
        let in_at = self.in_at * 100.0;
        Line::new(
            "step",
            format!(
                "mean cpu {mean:.1} %: more at {out_at:.0} %, fewer at {in_at:.0} %, \
                 {by} at a time from {current}"
            ),
        )
    }
}

impl StepRule {
    pub(super) fn recommend(&self, signals: &Signals) -> Option<Recommendation> {
        let terms = Threshold {
            mean: signals.mean_cpu?,
            out_at: self.out_at,
            in_at: self.in_at,
            by: self.by,
            current: signals.current,
        };
        Some(Arithmetic::Threshold(terms).recommend())
    }

    pub(super) fn cpu_lines(&self) -> Vec<CpuLine> {
        vec![CpuLine::new("out at", self.out_at), CpuLine::new("in at", self.in_at)]
    }

    pub(super) fn triggers(&self) -> Triggers {
        Triggers { out_at: self.out_at, in_at: self.in_at, window_ms: 0 }
    }
}

/// A rule that goes by steps adjusts the count once in a cooldown, and not outwards while something is
/// starting.
pub(super) fn pace(chain: &mut Chain, memory: &Memory, context: &Context<'_>, cooldown_ms: u64) {
    let now = context.observation.at;
    let current = context.signals.current;
    if let Some(at) = memory.count.changed_at() {
        let until = at.plus_ms(cooldown_ms);
        if now < until {
            chain.set(current, Guard::Cooldown { until });
        }
    }
    let starting = context.signals.starting + context.signals.warming;
    if chain.count > current && starting > 0 {
        chain.set(current, Guard::StartingCounts { starting });
    }
}
