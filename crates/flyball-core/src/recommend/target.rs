//! The target rule: the formula of the Kubernetes Horizontal Pod Autoscaler for CPU utilization.
//! Replicas without a reading never push the count further than those with one: for scale-out they
//! count as idle, for scale-in as fully busy. Windows and rates are guards.
//!
//! Example: 4 ready at 90 % with a target of 60 % and one starting: ratio 1.5; with the starting
//! one taken as idle 3.6 / (5 x 0.6) = 1.2, times 5 is 6.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Recommendation};
use crate::memory::Memory;
use crate::observation::Observation;
use crate::policy::{Policy, Target};
use crate::signals::Signals;
use crate::units::replicas_for;

/// Terms of the ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
    /// A ratio this close to 1 adjustments nothing.
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
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "target      mean cpu {:.1} % of {} measured / {:.0} % = {:.2}",
            self.used / f64::from(self.measured) * 100.0,
            self.measured,
            self.target * 100.0,
            self.plain()
        )?;
        if self.missing + self.starting > 0 {
            write!(f, "; {} starting, {} unmeasured", self.starting, self.missing)?;
        }
        Ok(())
    }
}

pub(super) fn recommend(
    rule: &Target,
    policy: &Policy,
    memory: &Memory,
    observation: &Observation,
    signals: &Signals,
) -> Option<Recommendation> {
    let engine = observation.engine.fresh(observation.at, policy.timing.stale_after_ms)?;
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
        target: rule.cpu,
        tolerance: rule.tolerance,
    };
    Some(Arithmetic::Ratio(terms).recommend())
}
