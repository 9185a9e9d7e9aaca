//! What a run learnt about its service, for the run after it: it stands in every decision, and the
//! next run takes it over from the last one in the journal.

use serde::{Deserialize, Serialize};

use super::Memory;
use crate::decision::Decision;
use crate::estimate::growth::GrowthMargin;
use crate::rollout::RolloutState;
use crate::units::seconds;

/// What an objective taught is half believed after three and a half days, since loads have their
/// weeks.
const TRUST_S: f64 = 5.0 * 86_400.0;
/// What a request cost this long ago may be of another image.
const WORK_MAX_S: f64 = 3_600.0;
/// A count from before a restart that took longer says nothing of what is wanted.
const ROLLOUT_MAX_MS: u64 = 600_000;

/// What an objective taught.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Learnt {
    /// How much the load grows within a start lag.
    pub growth: Option<GrowthMargin>,
    /// How many more replicas than planned keep requests in time, in logarithms.
    pub trim: Option<f64>,
}

impl Memory {
    /// What the next run is to know, if anything was learnt.
    pub(crate) fn learnt(&self, lag_ms: u64) -> Option<Learnt> {
        let objective = &self.objective;
        let (growth, trim) = (objective.growth.learnt(lag_ms), objective.trim.margin());
        (growth.is_some() || trim.is_some()).then_some(Learnt { growth, trim })
    }

    /// Goes on from the last decision of an earlier run, `age_ms` ago. Its start lag is one
    /// measurement among the next twenty, and its work of a request weighs as little: both count for
    /// less with each new measurement.
    pub fn recall(&mut self, last: &Decision, age_ms: u64) {
        if let Some(rollout) = &last.rollout
            && rollout.state == RolloutState::Rolling
            && age_ms <= ROLLOUT_MAX_MS
        {
            self.recall_rollout(rollout.to, last.desired);
        }
        let signals = &last.signals;
        if signals.start_lag_measured {
            self.readings.lags.see(signals.start_lag_ms);
        }
        if let Some(work_s) = signals.work_s.filter(|_| seconds(age_ms) <= WORK_MAX_S) {
            self.readings.work.recall(work_s);
        }
        let trust = (-seconds(age_ms) / TRUST_S).exp();
        let Some(Learnt { growth, trim }) = last.learnt else { return };
        if let Some(growth) = growth {
            self.objective.growth.recall(growth, trust);
            self.objective.kept_ms = growth.learnt_ms;
        }
        if let Some(trim) = trim {
            self.objective.trim.recall(trim, trust);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::observation::{EngineReport, Observation, Reading};
    use crate::policy::{Bounds, Governor, Policy, RolloutPolicy, Rule, Timing};
    use crate::units::Timestamp;

    fn policy() -> Policy {
        Policy {
            service: "web".to_owned(),
            bounds: Bounds { min: 1, max: 9 },
            rule: Rule::Governor(Governor::default()),
            timing: Timing { start_lag_prior_ms: 2_000, ..Timing::default() },
            rollout: RolloutPolicy::default(),
            sleep: None,
        }
    }

    /// The first decision of a run with `memory`.
    fn first(memory: &mut Memory) -> Decision {
        let at = Timestamp::from_ms(1_000);
        let engine = Reading::Taken { at, value: EngineReport::default() };
        decide(&policy(), memory, &Observation::new(at, engine))
    }

    fn last() -> Decision {
        let mut last = first(&mut Memory::default());
        last.signals.start_lag_ms = 30_000;
        last.signals.start_lag_measured = true;
        last.signals.work_s = Some(0.04);
        let growth = GrowthMargin {
            margin: 1.0,
            lag_ms: 30_000,
            usual_per_s: 20.0,
            top_per_s: 80.0,
            learnt_ms: 7_200_000,
        };
        last.learnt = Some(Learnt { growth: Some(growth), trim: Some(0.3) });
        last
    }

    #[test]
    fn the_next_run_goes_on_from_the_last_decision() {
        let mut memory = Memory::default();
        memory.recall(&last(), 0);
        let decision = first(&mut memory);
        assert_eq!(
            (decision.signals.start_lag_ms, decision.signals.start_lag_measured),
            (30_000, true)
        );
        assert!((decision.signals.work_s.unwrap() - 0.04).abs() < 1e-9);
        assert_eq!(decision.learnt, last().learnt);
        assert_eq!(memory.objective.kept_ms(), 7_200_000);
    }

    #[test]
    fn the_older_it_is_the_less_is_believed() {
        let mut memory = Memory::default();
        memory.recall(&last(), 60 * 86_400_000);
        let decision = first(&mut memory);
        assert_eq!(decision.signals.work_s, None, "it may be of another image");
        let learnt = decision.learnt.unwrap();
        let (growth, trim) = (learnt.growth.unwrap().margin, learnt.trim.unwrap());
        assert!(growth < 0.2 && (0.0..0.11).contains(&trim), "{growth} {trim}");
    }

    #[test]
    fn a_run_that_learnt_nothing_leaves_nothing() {
        let mut memory = Memory::default();
        memory.recall(&first(&mut Memory::default()), 0);
        let decision = first(&mut memory);
        assert_eq!((decision.learnt, decision.signals.start_lag_measured), (None, false));
        assert_eq!(decision.signals.work_s, None);
    }
}
