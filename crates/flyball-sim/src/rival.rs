//! Other autoscalers' rules, by their published arithmetic and defaults.
//!
//! Decides what a rival wishes for. Does not know bounds or how a count is reached: those are the
//! core's, the same for everybody. One file for each rival. Invariant: a rival sees what flyball
//! sees, an [`Observation`], and carries its own memory.

pub mod fixed;
pub mod hpa_on_grid;
pub mod oracle;
pub mod ratio;

use flyball_core::observation::{Observation, Phase};

pub use fixed::Fixed;
pub use hpa_on_grid::{HpaOnGrid, StepLoad};
pub use oracle::Oracle;

/// A rival's wish for a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The count.
    pub count: u32,
    /// The rule's arithmetic with its figures, in one line.
    pub reason: String,
}

/// Every rival there is.
#[derive(Clone, Debug)]
pub enum Rival {
    /// The same count always.
    Fixed(Fixed),
    /// Kubernetes' autoscaler, on a grid.
    HpaOnGrid(HpaOnGrid),
    /// Whoever knows the load to come.
    Oracle(Oracle),
}

impl Rival {
    /// The wish at this look. Looks come in the order of their time and may come at any interval,
    /// also several at one moment: a rival that acts at a period of its own repeats its last wish
    /// in between. A reading that is missing is the rival's own to deal with, by its rules.
    pub fn recommend(&mut self, seen: &Observation) -> Wish {
        match self {
            Self::Fixed(rival) => rival.recommend(),
            Self::HpaOnGrid(rival) => rival.again(existing(seen)),
            Self::Oracle(rival) => rival.recommend(seen),
        }
    }

    /// The wish at a look of which there is one for each step of the trace: a rival that has a form
    /// for that grid goes by the step's load, the others by what they see.
    pub fn recommend_on_grid(&mut self, seen: &Observation, step: StepLoad) -> Wish {
        match self {
            Self::HpaOnGrid(rival) => rival.recommend(step, existing(seen)),
            _ => self.recommend(seen),
        }
    }

    /// The count it holds under a steady load; `None` if that is what the load needs.
    pub fn settled(&self, load: f64, capacity: f64) -> Option<u32> {
        match self {
            Self::Fixed(rival) => Some(rival.recommend().count),
            Self::HpaOnGrid(rival) => Some(rival.settled(load, capacity)),
            Self::Oracle(_) => None,
        }
    }
}

/// Replicas that exist and are not on their way out.
pub(crate) fn existing(seen: &Observation) -> u32 {
    let replicas = seen.engine.value().map(|engine| engine.replicas.as_slice()).unwrap_or_default();
    let count = replicas.iter().filter(|r| r.phase != Phase::Stopping).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
