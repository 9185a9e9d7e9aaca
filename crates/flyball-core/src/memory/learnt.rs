//! What a run learnt about its service, for the run after it: it stands in every decision, and the
//! next run takes it over from the last one in the journal.

use serde::{Deserialize, Serialize};

use super::Memory;
use crate::decision::Decision;
use crate::estimate::growth::GrowthMargin;
use crate::units::seconds;

/// What an objective taught is half believed after three and a half days, since loads have their
/// weeks.
const TRUST_S: f64 = 5.0 * 86_400.0;
/// What a request cost this long ago may be of another image.
const WORK_MAX_S: f64 = 3_600.0;

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
