//! The target rule: the Kubernetes Horizontal Pod Autoscaler's formula for CPU utilization. A
//! replica without a reading counts as idle for scale-out and as fully busy for scale-in, so it
//! never pushes the count further. Windows and rates are guards.

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Context, CpuLine, Recommendation, Triggers};
use crate::adjustment::{Chain, Guard};
use crate::line::Line;
use crate::memory::Memory;
use crate::units::replicas_for;

/// The period over which the rates are counted.
const RATE_MS: u64 = 15_000;

/// A mean CPU to keep, by the published arithmetic of Kubernetes' horizontal pod autoscaler.
///
/// Example: 4 ready at 90 % with a target of 60 % and one starting: ratio 1.5; with the starting
/// one taken as idle 3.6 / (5 x 0.6) = 1.2, times 5 is 6.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The mean share of its CPU limit that a replica should use, in (0, 1].
    pub cpu: f64,
    /// A ratio of measured to wanted CPU this close to 1 changes nothing.
    pub tolerance: f64,
    /// Scale-in takes the largest count recommended within this time.
    pub in_window_ms: u64,
    /// Scale-out takes the smallest count recommended within this time.
    pub out_window_ms: u64,
    /// Within each 15 s the count may grow by the larger of this many and of `out_share`.
    pub out_by: u32,
    /// See `out_by`: 1.0 lets the count double within 15 s.
    pub out_share: f64,
    /// Within each 15 s the count may shrink by this share of itself: 1.0 sets no limit.
    pub in_share: f64,
    /// CPU of a replica is its mean over this time.
    pub cpu_window_ms: u64,
}

impl Default for Target {
    /// Kubernetes' own defaults: 80 %, tolerance 10 %, windows 300 s in and none out, +4 or +100 %
    /// each 15 s, and the 15 s over which its metrics server takes CPU.
    fn default() -> Self {
        Self {
            cpu: 0.80,
            tolerance: 0.10,
            in_window_ms: 300_000,
            out_window_ms: 0,
            out_by: 4,
            out_share: 1.0,
            in_share: 1.0,
            cpu_window_ms: 15_000,
        }
    }
}

/// Terms of the ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Ratio {
    /// Sum of the shares of the ready replicas that have a reading.
    pub used: f64,
    /// How many those are.
    pub measured: u32,
    /// Ready replicas without a reading.
    pub missing: u32,
    /// Replicas that are starting.
    pub starting: u32,
    /// The count to keep where nothing is to be moved.
    pub current: u32,
    /// The share to keep.
    pub target: f64,
    /// A ratio this close to 1 changes nothing.
    pub tolerance: f64,
}

impl Ratio {
    /// Measured over wanted CPU.
    fn plain(&self) -> f64 {
        self.used / (f64::from(self.measured) * self.target)
    }

    fn within_tolerance(&self, ratio: f64) -> bool {
        (1.0 - ratio).abs() <= self.tolerance + 1e-9
    }

    pub(super) fn count(&self) -> u32 {
        let ratio = self.plain();
        let others = self.missing > 0 || (self.starting > 0 && ratio > 1.0);
        if others {
            return self.with_assumptions(ratio);
        }
        if self.within_tolerance(ratio) {
            return self.current;
        }
        replicas_for(ratio * f64::from(self.measured))
    }

    /// The same once more over the replicas that have no reading too.
    fn with_assumptions(&self, ratio: f64) -> u32 {
        let mut used = self.used;
        let mut counted = self.measured + self.missing;
        if ratio < 1.0 {
            used += f64::from(self.missing) * self.target.max(1.0);
        } else {
            counted += self.starting;
        }
        let assumed = used / (f64::from(counted) * self.target);
        let flipped = (ratio < 1.0) != (assumed < 1.0);
        let count = replicas_for(assumed * f64::from(counted));
        let contradicts = (assumed < 1.0) == (count > self.current);
        if self.within_tolerance(assumed) || flipped || contradicts {
            return self.current;
        }
        count
    }

    pub(super) fn line(&self) -> Line {
        let mean = self.used / f64::from(self.measured) * 100.0;
        let Self { measured, missing, starting, .. } = self;
        let target = self.target * 100.0;
        let ratio = self.plain();
        let mut text =
            format!("mean cpu {mean:.1} % of {measured} measured / {target:.0} % = {ratio:.2}");
        if missing + starting > 0 {
            text += &format!("; {starting} starting, {missing} unmeasured");
        }
        Line::new("target", text)
    }
}

impl Target {
    pub(super) fn recommend(
        &self,
        memory: &Memory,
        context: &Context<'_>,
    ) -> Option<Recommendation> {
        let signals = context.signals;
        let observation = context.observation;
        let engine = observation.engine.fresh(observation.at, context.timing.stale_after_ms)?;
        let shares = memory.busy_shares(engine);
        let measured = u32::try_from(shares.len()).unwrap_or(u32::MAX);
        if measured == 0 {
            return None;
        }
        let terms = Ratio {
            used: shares.iter().sum(),
            measured,
            missing: signals.ready.saturating_sub(measured),
            starting: signals.starting,
            current: signals.current,
            target: self.cpu,
            tolerance: self.tolerance,
        };
        Some(Arithmetic::Ratio(terms).recommend())
    }

    /// The target rule takes the most cautious count of its windows, within its rates.
    pub(super) fn pace(
        &self,
        chain: &mut Chain,
        memory: &mut Memory,
        context: &Context<'_>,
        is_recommended: bool,
    ) {
        let now = context.observation.at;
        let current = context.signals.current;
        if is_recommended {
            memory.pace.needed.push(now, chain.count, self.in_window_ms);
            memory.pace.floor_of_recommended.push(now, u32::MAX - chain.count, self.out_window_ms);
        }
        let most = memory.pace.needed.max().map_or(current, |(_, count)| count);
        let least =
            memory.pace.floor_of_recommended.max().map_or(current, |(_, rest)| u32::MAX - rest);
        let (cautious, window_ms) = if current < least {
            (least, self.out_window_ms)
        } else {
            (current.min(most), self.in_window_ms)
        };
        chain.set(cautious, Guard::Window { window_ms });
        let least = self.in_limit(memory, context);
        let most = self.out_limit(memory, context);
        let limited = chain.count.clamp(least, most);
        chain.set(limited, Guard::Rate { within_ms: RATE_MS });
    }

    /// The largest count that the scale-out rate allows now.
    fn out_limit(&self, memory: &Memory, context: &Context<'_>) -> u32 {
        let added = memory.count.added(context.observation.at, RATE_MS);
        let start = context.signals.current.saturating_sub(added);
        let by_share = replicas_for(f64::from(start) * (1.0 + self.out_share));
        start.saturating_add(self.out_by).max(by_share).max(context.signals.current)
    }

    /// The smallest count that the scale-in rate allows now.
    fn in_limit(&self, memory: &Memory, context: &Context<'_>) -> u32 {
        let removed = memory.count.removed(context.observation.at, RATE_MS);
        let start = context.signals.current.saturating_add(removed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a count; the cast saturates"
        )]
        let limit = (f64::from(start) * (1.0 - self.in_share)).floor() as u32;
        limit.min(context.signals.current)
    }

    pub(super) fn cpu_lines(&self) -> Vec<CpuLine> {
        vec![CpuLine::new("target", self.cpu)]
    }

    pub(super) fn triggers(&self) -> Triggers {
        Triggers {
            out_at: self.cpu * (1.0 + self.tolerance),
            in_at: self.cpu * (1.0 - self.tolerance),
            window_ms: 0,
        }
    }
}
