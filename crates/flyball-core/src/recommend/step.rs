//! The step rule: compares mean CPU with two thresholds, as in the 2014 sketch. Without a reading
//! it recommends nothing. Cooldown and waiting for starting replicas are guards.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Recommendation};
use crate::policy::StepRule;
use crate::signals::Signals;

/// Terms of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step        mean cpu {:.1} %: more at {:.0} %, fewer at {:.0} %, {} at a time from {}",
            self.mean * 100.0,
            self.out_at * 100.0,
            self.in_at * 100.0,
            self.by,
            self.current
        )
    }
}

pub(super) fn recommend(rule: &StepRule, signals: &Signals) -> Option<Recommendation> {
    let terms = Threshold {
        mean: signals.mean_cpu?,
        out_at: rule.out_at,
        in_at: rule.in_at,
        by: rule.by,
        current: signals.current,
    };
    Some(Arithmetic::Threshold(terms).recommend())
}
