//! Rollouts: how replicas of one generation are replaced by those of another, what an operator may
//! ask for, and how far one has come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::generation::Generation;
use crate::units::Timestamp;

/// How a service's owner wants a new generation rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RolloutPolicy {
    /// How many replicas may run beyond the desired count meanwhile.
    pub surge: Surge,
    /// The rollout stops once so many new replicas have failed.
    pub abort_after: u32,
    /// Whether a new generation is rolled out by itself.
    pub update: Update,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        // Three, as with starts: a kill, a full disk and bad luck.
        Self { surge: Surge::Count(1), abort_after: 3, update: Update::Auto }
    }
}

/// How many replicas may run beyond the desired count while a rollout lasts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surge {
    /// So many; never 0.
    Count(u32),
    /// This share of the desired count, above 0 and at most 1, rounded up.
    Share(f64),
}

impl Surge {
    /// The number for a count of replicas; at least 1.
    pub fn of(self, count: u32) -> u32 {
        match self {
            Self::Count(surge) => surge.max(1),
            Self::Share(share) => crate::units::replicas_for(f64::from(count) * share).max(1),
        }
    }
}

/// Whether a new generation is rolled out by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// As soon as there is one.
    #[default]
    Auto,
    /// Once an operator deploys it.
    Manual,
}

/// What an operator asked for about the generations of a service. It holds until it is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutOrder {
    /// Whether no further replica is replaced.
    pub paused: bool,
    /// The generation that was deployed by hand, and when. A later time tries again one that was
    /// aborted.
    pub deployed: Option<Deployed>,
    /// The generation that was rolled back to; the engine's own counts for nothing then.
    pub back_to: Option<Generation>,
}

/// A generation that an operator deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// Which one.
    pub generation: Generation,
    /// When it was last asked for.
    pub at: Timestamp,
}

/// How far the rollout of a generation has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rollout {
    /// The generation that replicas are to have.
    pub to: Generation,
    /// What becomes of it now.
    pub state: RolloutState,
    /// When it began.
    pub since: Timestamp,
    /// Replicas that are to be replaced and still serve or start.
    pub old: u32,
    /// Replicas of the new generation that are ready.
    pub new: u32,
    /// Replicas that run beyond the desired count for it.
    pub surplus: u32,
    /// New replicas that have failed since one of them served for 10 s.
    pub failed: u32,
    /// What the last one that failed said.
    pub why: Option<String>,
}

/// What becomes of a rollout now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Replicas are being replaced.
    Rolling,
    /// An operator paused it.
    Paused,
    /// There is a new generation, and updates are left to the operator.
    Waiting,
    /// Too many new replicas failed; the old generation serves.
    Aborted,
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, old, new, failed, .. } = self;
        match self.state {
            RolloutState::Rolling => write!(f, "to {to}: {new} ready, {old} to be replaced")?,
            RolloutState::Paused => write!(f, "to {to} paused: {new} ready, {old} not replaced")?,
            RolloutState::Waiting => write!(f, "{to} waits for `flyball deploy`")?,
            RolloutState::Aborted => {
                write!(f, "to {to} aborted, {old} of the old generation go on")?;
            }
        }
        match (&self.why, failed) {
            (Some(why), 1..) => write!(f, "; {failed} failed, the last one: {why}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surge_is_at_least_one_and_a_share_is_rounded_up() {
        assert_eq!(Surge::Count(0).of(8), 1);
        assert_eq!(Surge::Share(0.25).of(8), 2);
        assert_eq!(Surge::Share(0.25).of(9), 3);
        assert_eq!(Surge::Share(0.25).of(0), 1);
        assert_eq!(Surge::Share(f64::NAN).of(8), 1);
    }
}
