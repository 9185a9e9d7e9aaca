//! The advised rule: turns another program's advice into a count. Doubtful, old or missing advice
//! keeps the current count and gives the reason. Cooldown and waiting for starting replicas are
//! guards.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Recommendation};
use crate::observation::{Advice, Observation, Reading};
use crate::policy::{Advised, Policy};
use crate::signals::Signals;
use crate::units::seconds;

/// Terms of a step that another program recommends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdviceTerms {
    /// What was said.
    pub said: AdviceState,
    /// How many at a time.
    pub by: u32,
    /// The count to step from.
    pub current: u32,
}

/// What was said, as far as it is good for anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdviceState {
    /// More.
    More,
    /// Fewer.
    Fewer,
    /// Neither.
    Keep,
    /// Nothing to go by.
    Nothing {
        /// Why.
        why: String,
        /// For how long, in milliseconds.
        age_ms: u64,
    },
}

impl AdviceTerms {
    pub(super) fn count(&self) -> u32 {
        match self.said {
            AdviceState::More => self.current.saturating_add(self.by),
            AdviceState::Fewer => self.current.saturating_sub(self.by),
            AdviceState::Keep | AdviceState::Nothing { .. } => self.current,
        }
    }
}

impl fmt::Display for AdviceTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, current, .. } = self;
        match &self.said {
            AdviceState::More => {
                write!(f, "advice      cpu is high: {by} more at a time from {current}")
            }
            AdviceState::Fewer => {
                write!(f, "advice      cpu is low: {by} fewer at a time from {current}")
            }
            AdviceState::Keep => write!(f, "advice      neither high nor low: keeps {current}"),
            AdviceState::Nothing { why, age_ms } => {
                write!(f, "advice      none for {:.0} s, {why}: keeps {current}", seconds(*age_ms))
            }
        }
    }
}

pub(super) fn recommend(
    rule: &Advised,
    policy: &Policy,
    observation: &Observation,
    signals: &Signals,
) -> Recommendation {
    let nothing = |why: &str, age_ms| AdviceState::Nothing { why: why.to_owned(), age_ms };
    let said = match &observation.advice {
        None => nothing("none was requested yet", 0),
        Some(reading) => {
            let age_ms = reading.age_ms(observation.at);
            match reading {
                Reading::Missing { why, .. } => nothing(why, age_ms),
                Reading::Taken { .. } if age_ms > policy.timing.stale_after_ms => {
                    nothing("the last advice is too old", age_ms)
                }
                Reading::Taken { value: Advice::More, .. } => AdviceState::More,
                Reading::Taken { value: Advice::Fewer, .. } => AdviceState::Fewer,
                Reading::Taken { value: Advice::Keep, .. } => AdviceState::Keep,
            }
        }
    };
    Arithmetic::Advised(AdviceTerms { said, by: rule.by, current: signals.current }).recommend()
}
