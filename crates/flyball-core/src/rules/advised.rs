//! The advised rule: turns another program's advice into a count. Doubtful, old or missing advice
//! keeps the current count and gives the reason.

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Context, CpuLine, Recommendation, Triggers, step};
use crate::adjustment::{Chain, Guard};
use crate::line::Line;
use crate::memory::Memory;
use crate::observation::{Advice, Reading};
use crate::units::seconds;

/// From a value that is sent to advice that knows of it: Zabbix writes values and calculations once
/// a second each, and is asked once a second. Half of it, and old advice is taken for new.
const ADVICE_LAG_MS: u64 = 3_000;

/// More while another program says that CPU is high, fewer while it says that it is low.
///
/// That program measures, averages and compares; flyball keeps the pace and the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advised {
    /// The threshold that is set up over there, as a share of the limit: at or over it, more.
    pub out_at: f64,
    /// The same for fewer: at or under it; less than `out_at`.
    pub in_at: f64,
    /// How many at a time; at least 1.
    pub by: u32,
    /// Time after a change in which there is no other.
    pub cooldown_ms: u64,
    /// CPU of a replica is its mean over this time, over there and here.
    pub cpu_window_ms: u64,
}

impl Default for Advised {
    /// The thresholds, the step and the pace of the 2014 sketch; a window of three reports 5 s
    /// apart.
    fn default() -> Self {
        Self { out_at: 0.30, in_at: 0.15, by: 1, cooldown_ms: 60_000, cpu_window_ms: 15_000 }
    }
}

/// Terms of a step that another program recommends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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

    pub(super) fn line(&self) -> Line {
        let Self { by, current, .. } = self;
        let text = match &self.said {
            AdviceState::More => format!("cpu is high: {by} more at a time from {current}"),
            AdviceState::Fewer => format!("cpu is low: {by} fewer at a time from {current}"),
            AdviceState::Keep => format!("neither high nor low: keeps {current}"),
            AdviceState::Nothing { why, age_ms } => {
                format!("none for {:.0} s, {why}: keeps {current}", seconds(*age_ms))
            }
        };
        Line::new("advice", text)
    }
}

impl Advised {
    pub(super) fn recommend(&self, context: &Context<'_>) -> Recommendation {
        let terms =
            AdviceTerms { said: said(context), by: self.by, current: context.signals.current };
        Arithmetic::Advised(terms).recommend()
    }

    /// The advised rule, besides, waits until what it is told can show what it last did: the mean that
    /// advice is about goes back over a window, and a new replica is in it from when it is ready.
    pub(super) fn pace(&self, chain: &mut Chain, memory: &Memory, context: &Context<'_>) {
        step::pace(chain, memory, context, self.cooldown_ms);
        let engine = context.observation.engine.value();
        let replicas = engine.into_iter().flat_map(|engine| &engine.replicas);
        let ready = replicas.filter_map(|replica| replica.ready_at).max();
        if let Some(at) = memory.count.changed_at().max(ready) {
            let until = at.plus_ms(self.cpu_window_ms).plus_ms(ADVICE_LAG_MS);
            if context.observation.at < until {
                chain.set(context.signals.current, Guard::Cooldown { until });
            }
        }
    }

    pub(super) fn cpu_lines(&self) -> Vec<CpuLine> {
        vec![CpuLine::new("out at", self.out_at), CpuLine::new("in at", self.in_at)]
    }

    pub(super) fn triggers(&self) -> Triggers {
        Triggers { out_at: self.out_at, in_at: self.in_at, window_ms: self.cpu_window_ms }
    }
}

/// What was said, as far as it is good for anything.
fn said(context: &Context<'_>) -> AdviceState {
    let nothing = |why: &str, age_ms| AdviceState::Nothing { why: why.to_owned(), age_ms };
    match &context.observation.advice {
        None => nothing("none was requested yet", 0),
        Some(reading) => {
            let age_ms = reading.age_ms(context.observation.at);
            match reading {
                Reading::Missing { why, .. } => nothing(why, age_ms),
                Reading::Taken { .. } if age_ms > context.timing.stale_after_ms => {
                    nothing("the last advice is too old", age_ms)
                }
                Reading::Taken { value: Advice::More, .. } => AdviceState::More,
                Reading::Taken { value: Advice::Fewer, .. } => AdviceState::Fewer,
                Reading::Taken { value: Advice::Keep, .. } => AdviceState::Keep,
            }
        }
    }
}
