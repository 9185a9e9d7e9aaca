//! Other autoscalers' rules, by their published arithmetic and defaults.
//!
//! Decides what a rival wishes for. Does not know bounds or how a count is reached: those are the
//! core's, the same for everybody. One file for each rival. Invariant: a rival sees what flyball
//! sees, an [`Observation`], and carries its own memory.

pub mod fixed;
pub mod oracle;

use flyball_core::observation::Observation;

pub use fixed::Fixed;
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
            Self::Oracle(rival) => rival.recommend(seen),
        }
    }
}
