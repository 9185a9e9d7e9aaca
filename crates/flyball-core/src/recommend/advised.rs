//! The advised rule: what another program says, turned into a count.
//!
//! Decides one step more, one step less or the same. Its cooldown, and that it waits for what is
//! starting, are guards. Invariant: doubtful, old or missing advice asks for the count there is,
//! and says why.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Recommendation};
use crate::observation::{Advice, Observation, Reading};
use crate::policy::{Advised, Policy};
use crate::seen::Seen;
use crate::units::seconds;

/// Terms of a step that somebody else asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// What was said.
    pub said: Said,
    /// How many at a time.
    pub by: u32,
    /// The count to step from.
    pub current: u32,
}

/// What was said, as far as it is good for anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
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

impl Heard {
    pub(super) fn count(&self) -> u32 {
        match self.said {
            Said::More => self.current.saturating_add(self.by),
            Said::Fewer => self.current.saturating_sub(self.by),
            Said::Keep | Said::Nothing { .. } => self.current,
        }
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, current, .. } = self;
        match &self.said {
            Said::More => write!(f, "advice      cpu is high: {by} more at a time from {current}"),
            Said::Fewer => write!(f, "advice      cpu is low: {by} fewer at a time from {current}"),
            Said::Keep => write!(f, "advice      neither high nor low: keeps {current}"),
            Said::Nothing { why, age_ms } => {
                write!(f, "advice      none for {:.0} s, {why}: keeps {current}", seconds(*age_ms))
            }
        }
    }
}

pub(super) fn recommend(
    rule: &Advised,
    policy: &Policy,
    seen: &Observation,
    figures: &Seen,
) -> Recommendation {
    let nothing = |why: &str, age_ms| Said::Nothing { why: why.to_owned(), age_ms };
    let said = match &seen.advice {
        None => nothing("nobody was asked yet", 0),
        Some(reading) => {
            let age_ms = reading.age_ms(seen.at);
            match reading {
                Reading::Missing { why, .. } => nothing(why, age_ms),
                Reading::Taken { .. } if age_ms > policy.timing.stale_after_ms => {
                    nothing("the last one is too old", age_ms)
                }
                Reading::Taken { value: Advice::More, .. } => Said::More,
                Reading::Taken { value: Advice::Fewer, .. } => Said::Fewer,
                Reading::Taken { value: Advice::Keep, .. } => Said::Keep,
            }
        }
    };
    Arithmetic::Advised(Heard { said, by: rule.by, current: figures.current }).recommend()
}
