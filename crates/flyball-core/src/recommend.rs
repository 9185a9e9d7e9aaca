//! Each signal's wish for a count, with the arithmetic that led to it.
//!
//! Decides what the readings alone ask for. Does not know bounds, hold windows or hands on the
//! wheel: those are guards. Invariant: [`Arithmetic::count`] gives the same count again from the
//! recorded terms alone, so an explanation can be checked by anybody with a pencil.

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
use crate::seen::Seen;
use crate::units::replicas_for;

pub use advised::{Heard, Said};
pub use governor::{Backlog, Utilization};
pub use headroom::{Headroom, Spare};
pub use step::Threshold;
pub use target::Ratio;

/// One signal's wish for a count.
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
    Advised(Heard),
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

/// All signals' wishes, in a fixed order; empty when no signal can be read.
pub fn recommend(
    policy: &Policy,
    memory: &Memory,
    seen: &Observation,
    figures: &Seen,
) -> Vec<Recommendation> {
    match &policy.rule {
        Rule::Governor(rule) => governor::recommend(rule, memory, seen, figures),
        Rule::Target(rule) => {
            let wish = target::recommend(rule, policy, memory, seen, figures);
            wish.or_else(|| woken(figures)).into_iter().collect()
        }
        Rule::Step(rule) => {
            step::recommend(rule, figures).or_else(|| woken(figures)).into_iter().collect()
        }
        Rule::Advised(rule) => {
            let wish = advised::recommend(rule, policy, seen, figures);
            std::iter::once(wish).chain(woken(figures)).collect()
        }
        Rule::External => external(seen, figures).into_iter().collect(),
    }
}

/// The largest wish; the `current` count where there is none.
pub fn largest(recommendations: &[Recommendation], current: u32) -> u32 {
    recommendations.iter().map(|r| r.count).max().unwrap_or(current)
}

/// Rules that go by CPU see nothing while nothing runs: whoever waits is the signal then.
fn woken(figures: &Seen) -> Option<Recommendation> {
    let waiting = figures.waiting;
    let asleep = waiting > 0 && figures.committed() == 0;
    asleep.then(|| Arithmetic::Waiting { waiting }.recommend())
}

/// What was last asked for; before anybody asked, what there is.
fn external(seen: &Observation, figures: &Seen) -> Option<Recommendation> {
    let asked = seen.manual.as_ref().and_then(|manual| match manual.ask {
        Ask::Pin(count) => Some(Arithmetic::Asked { count, by: manual.by.clone() }),
        Ask::Pause => None,
    });
    let kept = || {
        let count = figures.current;
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
                    write!(f, " + {held:.2} held back by their limits")?;
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
