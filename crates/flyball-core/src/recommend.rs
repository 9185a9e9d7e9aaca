//! The count that each signal recommends, with the arithmetic behind it. Bounds, hold windows and
//! manual overrides are guards. [`Arithmetic::count`] gives the same count again from the recorded
//! terms alone.

pub mod advised;
pub mod governor;
pub mod headroom;
pub mod step;
pub mod target;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::observation::{Ask, Observation};
use crate::policy::{Policy, Rule};
use crate::signals::Signals;
use crate::units::replicas_for;

pub use crate::memory::{Headroom, HeadroomTerm};
pub use advised::{AdviceState, AdviceTerms};
pub use governor::{Backlog, Utilization};
pub use step::Threshold;
pub use target::Ratio;

/// One signal's recommendation for a count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The count.
    pub count: u32,
    /// How it comes about.
    pub arithmetic: Arithmetic,
}

/// The terms of one recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// Enough replicas that none is busier than the cap.
    Utilization(Utilization),
    /// Enough replicas to work off what waits.
    Backlog(Backlog),
    /// Enough replicas that mean CPU falls to a share: used while the work per request is unknown,
    /// or where there is no balancer.
    Cpu {
        /// Replicas' worth of CPU in use.
        used: f64,
        /// Replicas' worth of time held back by CPU limits, on top of that; `None` without a
        /// reading.
        #[serde(default)]
        held: Option<f64>,
        /// The share to come down to.
        share: f64,
    },
    /// Requests pile up in replicas whose work is not known yet: half as many again.
    PileUp {
        /// Ready replicas.
        ready: u32,
        /// Requests being worked on and waiting.
        requests: u32,
        /// Requests that one replica may hold before it counts as a pile.
        per_replica: u32,
    },
    /// Somebody waits: at least one replica.
    Waiting {
        /// Requests waiting.
        waiting: u32,
    },
    /// The target rule's ratio.
    Ratio(Ratio),
    /// The step rule's comparison.
    Threshold(Threshold),
    /// What another program said.
    Advised(AdviceTerms),
    /// What was asked for from outside.
    Asked {
        /// The count.
        count: u32,
        /// Who asked.
        by: String,
    },
}

impl Arithmetic {
    /// The count that the terms give.
    pub fn count(&self) -> u32 {
        self.count_with(1.0)
    }

    /// The count for `slack` times the demand: what is still needed before a surplus is a surplus.
    pub(crate) fn count_with(&self, slack: f64) -> u32 {
        match self {
            Self::Utilization(terms) => replicas_for(terms.demand(slack)),
            Self::Backlog(terms) => replicas_for(terms.demand()),
            Self::Cpu { used, held, share } => {
                replicas_for((used + held.unwrap_or(0.0)) * slack / share)
            }
            Self::PileUp { ready, .. } => ready + ready.div_ceil(2),
            Self::Waiting { waiting } => (*waiting).min(1),
            Self::Ratio(terms) => terms.count(),
            Self::Threshold(terms) => terms.count(),
            Self::Advised(terms) => terms.count(),
            Self::Asked { count, .. } => *count,
        }
    }

    /// The recommendation that follows.
    pub(crate) fn recommend(self) -> Recommendation {
        Recommendation { count: self.count(), arithmetic: self }
    }
}

/// All signals' recommendations, in a fixed order; empty when no signal can be read.
pub fn recommend(
    policy: &Policy,
    memory: &Memory,
    observation: &Observation,
    signals: &Signals,
) -> Vec<Recommendation> {
    match &policy.rule {
        Rule::Governor(rule) => governor::recommend(rule, memory, observation, signals),
        Rule::Target(rule) => {
            let recommendation = target::recommend(rule, policy, memory, observation, signals);
            recommendation.or_else(|| woken(signals)).into_iter().collect()
        }
        Rule::Step(rule) => {
            step::recommend(rule, signals).or_else(|| woken(signals)).into_iter().collect()
        }
        Rule::Advised(rule) => {
            let recommendation = advised::recommend(rule, policy, observation, signals);
            std::iter::once(recommendation).chain(woken(signals)).collect()
        }
        Rule::External => external(observation, signals).into_iter().collect(),
    }
}

/// The largest recommendation; the `current` count where there is none.
pub fn largest(recommendations: &[Recommendation], current: u32) -> u32 {
    recommendations.iter().map(|r| r.count).max().unwrap_or(current)
}

/// Rules that use CPU see nothing while nothing runs: waiting requests are the signal then.
fn woken(signals: &Signals) -> Option<Recommendation> {
    let waiting = signals.waiting;
    let asleep = waiting > 0 && signals.committed() == 0;
    asleep.then(|| Arithmetic::Waiting { waiting }.recommend())
}

/// What was last asked for; before anybody asked, what there is.
fn external(observation: &Observation, signals: &Signals) -> Option<Recommendation> {
    let asked = observation.manual.as_ref().and_then(|manual| match manual.ask {
        Ask::Pin(count) => Some(Arithmetic::Asked { count, by: manual.by.clone() }),
        Ask::Pause => None,
    });
    let kept = || {
        let count = signals.current;
        Arithmetic::Asked { count, by: "nobody yet".to_owned() }
    };
    Some(asked.unwrap_or_else(kept).recommend())
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.arithmetic {
            Arithmetic::Utilization(terms) => terms.fmt(f)?,
            Arithmetic::Backlog(terms) => terms.fmt(f)?,
            Arithmetic::Cpu { used, held, share } => {
                write!(f, "cpu         {used:.2} replicas busy")?;
                if let Some(held) = held.filter(|held| *held > 0.0) {
                    write!(f, " + {held:.2} throttled by their limits")?;
                }
                write!(f, ", at most {:.0} % of each", share * 100.0)?;
            }
            Arithmetic::PileUp { ready, requests, per_replica } => write!(
                f,
                "pile-up     {requests} requests on {ready} ready, over {per_replica} each: half as many again"
            )?,
            Arithmetic::Waiting { waiting } => write!(f, "waiting     {waiting}: at least one")?,
            Arithmetic::Ratio(terms) => terms.fmt(f)?,
            Arithmetic::Threshold(terms) => terms.fmt(f)?,
            Arithmetic::Advised(terms) => terms.fmt(f)?,
            Arithmetic::Asked { count, by } => write!(f, "asked       {count} by {by}")?,
        }
        write!(f, " -> {}", self.count)
    }
}
