//! Policies by name: `governor`, `governor:late=1%,cap=85%`, `hpa:70`, `static:peak`, `oracle`,
//! ... The names are those of one table, from which help and documentation come as well. A name
//! that needs the load (`static:mean`, `oracle`) is completed when the contender is made. A name
//! that parses can be made into a contender.

mod grammar;
mod own;
mod published;
mod show;
#[cfg(test)]
mod tests;

use flyball_core::policy::{Policy, Rule};

use super::Contender;
use crate::rival::{Fixed, Oracle, Rival};
use crate::world::ORIGIN;
use grammar::Entry;

pub use show::{help, markdown};

/// All policies, in the order in which they are shown.
static POLICIES: [&Entry; 13] = [
    &own::GOVERNOR,
    &own::TARGET,
    &own::STEP,
    &published::HPA,
    &published::KPA,
    &published::AWS,
    &published::NOMAD,
    &published::AMEST,
    &published::JCWIMER,
    &published::MARATHON_LB,
    &published::SEED,
    &own::STATIC,
    &own::ORACLE,
];

/// A parsed name.
#[derive(Clone, Debug)]
pub struct Name {
    text: String,
    kind: Kind,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// One of flyball's own rules.
    Own(Rule),
    /// Another autoscaler, complete.
    Rival(Box<Rival>),
    /// The whole count nearest to the mean of the load to come.
    StaticMean,
    /// The largest count that the load to come needs.
    StaticPeak,
    /// Whoever knows the load to come.
    Oracle {
        /// How far it looks ahead; `None`: for the start lag.
        ahead_ms: Option<u64>,
    },
}

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy `{name}`: {why}\nhint: {hint}")]
pub struct NameError {
    /// As it was given.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
    /// What would be right.
    pub hint: String,
}

/// What is known of the load and the world before a run begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Foresight<'a> {
    /// The least replicas that meet the load, for each step from [`ORIGIN`] on.
    pub demand: &'a [u32],
    /// The length of a step, in milliseconds.
    pub step_ms: u64,
    /// Time from asking for a replica to its first request, in milliseconds.
    pub start_lag_ms: u64,
    /// Requests that a replica works on at once, where that is known.
    pub slots: Option<u32>,
}

impl Name {
    /// Takes a name and its settings apart.
    ///
    /// # Errors
    ///
    /// There is no such policy, or a setting that it does not have or that is out of its range; the
    /// error lists what there is.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let kind = grammar::parse(&POLICIES, text)?;
        Ok(Self { text: text.to_owned(), kind })
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it stands for.
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether the load to come must be known to make it.
    pub fn needs_foresight(&self) -> bool {
        matches!(self.kind, Kind::StaticMean | Kind::StaticPeak | Kind::Oracle { .. })
    }

    /// The contender within the bounds and times of `policy`, whose rule is replaced.
    pub fn contender(&self, policy: &Policy, ahead: Foresight<'_>) -> Contender {
        let rival = match &self.kind {
            Kind::Own(rule) => {
                let policy = Policy { rule: rule.clone(), ..policy.clone() };
                return Contender::own(self.text.clone(), policy);
            }
            Kind::Rival(rival) => (**rival).clone().for_slots(ahead.slots),
            Kind::StaticMean => Rival::Fixed(Fixed::new(mean(ahead.demand))),
            Kind::StaticPeak => {
                Rival::Fixed(Fixed::new(ahead.demand.iter().max().copied().unwrap_or(1)))
            }
            Kind::Oracle { ahead_ms } => {
                let Foresight { demand, step_ms, start_lag_ms, .. } = ahead;
                let ahead_ms = ahead_ms.unwrap_or(start_lag_ms);
                Rival::Oracle(Oracle::new(demand.to_vec(), step_ms, ahead_ms, ORIGIN))
            }
        };
        Contender::rival(self.text.clone(), policy.clone(), rival)
    }
}

/// The whole count nearest to the mean of `demand`, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a mean of counts, of far fewer than 2^52 steps"
)]
fn mean(demand: &[u32]) -> u32 {
    let sum: f64 = demand.iter().copied().map(f64::from).sum();
    ((sum / demand.len() as f64).round() as u32).max(1)
}
