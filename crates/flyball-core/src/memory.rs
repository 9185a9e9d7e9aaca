//! What a service's decisions carry from one look to the next, grouped by who writes it. Memory only
//! ever adds caution: with a fresh memory (after a restart) decisions are safe, because surpluses are
//! held until the windows are full.

mod count;
mod failures;
mod learnt;
mod objective;
mod plan;
mod readings;
mod replica_history;
mod requests;
mod rollout;
mod scale_out_trial;
mod signals;
mod sleep;
mod trouble;

use std::collections::BTreeMap;

use crate::estimate::window::WindowMax;
use crate::generation::Generation;
use crate::observation::{EngineReport, Observation, Phase, Reading, ReplicaReport};
use crate::rollout::RolloutPolicy;
use crate::sick::Sick;
use crate::timing::{Timing, Windows};
use crate::units::{ReplicaId, Timestamp};

use count::CountMemory;
use readings::{EngineLook, Readings};
use rollout::{RolloutLook, RolloutMemory};

pub use failures::Failures;
pub use learnt::Learnt;
pub(crate) use objective::Counted;
pub(crate) use objective::span;
pub use objective::{Lateness, ObjectiveMemory, ObjectiveTerm};
pub use plan::PlanMemory;
pub(crate) use rollout::most_common;
pub use scale_out_trial::{Futile, ScaleOutTrial};
use sleep::SleepMemory;
pub(crate) use sleep::SleepSay;

/// The memory of one service. Starts empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Of `take_in`.
    pub(crate) readings: Readings,
    /// Of `health`.
    pub(crate) health: HealthMemory,
    /// Of the rules.
    pub(crate) pace: PaceMemory,
    /// Of the governor: what its objective has taught.
    pub(crate) objective: ObjectiveMemory,
    /// Of `guard`.
    pub(crate) guard: GuardMemory,
    /// Of `plan`.
    pub plan: PlanMemory,
    /// Of `plan`: which generation replicas are to have.
    pub(crate) rollout: RolloutMemory,
    /// Of `guard`: who uses the service.
    pub(crate) sleep: SleepMemory,
    /// Of `decide`.
    pub(crate) count: CountMemory,
}

/// What `health` remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HealthMemory {
    /// Replicas that fail.
    pub(crate) sick: BTreeMap<ReplicaId, Sick>,
    /// A fault that all replicas share, for which none of them is taken out.
    pub(crate) shared_fault: Option<String>,
}

/// What the rules remember, to change a count no sooner than they may.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PaceMemory {
    /// Counts that were still needed, over the hold window.
    pub(crate) needed: WindowMax,
    /// `u32::MAX` minus the counts recommended, over the scale-out window: its maximum is their
    /// minimum.
    pub(crate) floor_of_recommended: WindowMax,
    /// By how much the hold window is widened, since removals proved too early.
    pub(crate) hold_factor: f64,
    /// When the factor last changed.
    pub(crate) hold_factor_at: Option<Timestamp>,
}

/// What the guards remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GuardMemory {
    /// When errors last explained a fall of the load.
    pub(crate) tainted_at: Option<Timestamp>,
    /// When a replica that failed last explained a fall of the load.
    pub(crate) sick_at: Option<Timestamp>,
    /// Since when no reading has been trustworthy.
    pub(crate) blind_since: Option<Timestamp>,
    /// What raising the count brings, while requests wait.
    pub(crate) trial: Option<ScaleOutTrial>,
    /// The count that a pause keeps, while there is one.
    pub(crate) paused_at: Option<u32>,
}

impl Default for PaceMemory {
    fn default() -> Self {
        Self {
            needed: WindowMax::default(),
            floor_of_recommended: WindowMax::default(),
            hold_factor: 1.0,
            hold_factor_at: None,
        }
    }
}

impl Memory {
    /// Takes in one look. `windows` are those of the start lag before it.
    pub(crate) fn take_in(&mut self, timing: &Timing, windows: Windows, observation: &Observation) {
        let now = observation.at;
        let stale_ms = timing.stale_after_ms;
        let engine = observation.engine.fresh(now, stale_ms);
        let balancer = observation.balancer.as_ref().filter(|b| b.fresh(now, stale_ms).is_some());
        self.readings.since.get_or_insert(now);
        if let Some(Reading::Taken { at, value }) = balancer {
            self.readings.see_balancer(*at, value);
        }
        if let Some(engine) = engine {
            let (start_lag_ms, _) = self.start_lag_ms(timing);
            let balancer = balancer.and_then(Reading::value);
            self.plan.follow(now, engine, balancer, self.readings.seen_at.is_none());
            self.readings.see_engine(&EngineLook {
                now,
                engine,
                balancer,
                plan: &self.plan,
                stale_ms,
                start_lag_ms,
                cpu_window_ms: windows.cpu_ms,
            });
        }
        self.readings.seen_at = Some(now);
    }

    /// Takes in which generation replicas are to have. Once one is given up, its failures no longer
    /// delay the starts of the one that serves on.
    pub(crate) fn follow_rollout(
        &mut self,
        timing: &Timing,
        policy: RolloutPolicy,
        observation: &Observation,
    ) {
        let now = observation.at;
        let Some(engine) = observation.engine.fresh(now, timing.stale_after_ms) else {
            return;
        };
        let order = observation.rollout;
        let counts = |r: &&ReplicaReport| {
            matches!(r.phase, Phase::Starting | Phase::Ready)
                && !self.plan.draining.contains_key(&r.id)
        };
        let committed = engine.replicas.iter().filter(counts).count();
        let look = RolloutLook { now, policy, order, engine, committed };
        if self.rollout.follow(&look) {
            self.plan.failures.forgive(now);
        }
    }

    /// After a time in which nothing was looked at (flyball or its machine stood still), what
    /// windows hold is too old to remove anything by, and patience has not been used up: that
    /// time did not pass for whoever drains or is sick.
    pub(crate) fn bridge_gap(&mut self, timing: &Timing, now: Timestamp) {
        let Some(gap_ms) = self.readings.seen_at.map(|at| now.ms_since(at)) else { return };
        if gap_ms <= timing.stale_after_ms {
            return;
        }
        self.readings.begin_again(now);
        self.plan.draining.values_mut().for_each(|since| *since = since.plus_ms(gap_ms));
        self.health.sick.values_mut().for_each(|one| one.since = one.since.plus_ms(gap_ms));
    }

    /// Takes in what the run before a restart was at: a rollout to `to`, of `desired` replicas. What
    /// is there beyond them came to replace others, and says nothing of how many are wanted.
    pub fn recall_rollout(&mut self, to: Generation, desired: u32) {
        self.rollout.recall(to, desired);
    }

    /// The start lag in use, and whether it was measured.
    pub(crate) fn start_lag_ms(&self, timing: &Timing) -> (u64, bool) {
        match self.readings.lags.p90_ms() {
            Some(lag_ms) => (lag_ms.max(1), true),
            None => (timing.start_lag_prior_ms.max(1), false),
        }
    }

    /// The first look, or the first after a time in which nothing was looked at.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.readings.since
    }

    /// The share of its CPU limit that `replica` uses; `None` without a reading.
    pub fn busy_share(&self, replica: &ReplicaReport) -> Option<f64> {
        self.readings.busy_share(replica)
    }

    /// The same of each ready replica that is not draining and has a reading.
    pub(crate) fn busy_shares(&self, engine: &EngineReport) -> Vec<f64> {
        self.plan.serving(engine).filter_map(|r| self.busy_share(r)).collect()
    }

    /// The share of its time in which the CPU limit of `replica` held it back, over the same time
    /// as its CPU; `None` without a reading. Above 1 where several processors waited at once.
    pub fn held_share(&self, replica: &ReplicaReport) -> Option<f64> {
        self.readings.held_share(replica)
    }

    /// Whether `replica` has not become ready within the start limit. The time begins anew with a
    /// memory: one that an earlier run started long ago has only just been asked whether it is
    /// ready.
    pub(crate) fn is_overdue(
        &self,
        timing: &Timing,
        now: Timestamp,
        replica: &ReplicaReport,
    ) -> bool {
        let since = replica.asked_at.max(self.since().unwrap_or(now));
        replica.phase == Phase::Starting && now.ms_since(since) > timing.start_limit_ms
    }
}
