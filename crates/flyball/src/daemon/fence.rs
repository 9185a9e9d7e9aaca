//! Whether an action may begin now, and under which number.
//!
//! Decides nothing of its own: a flyball that is the only one always may, one of several while its
//! term lasts. Invariant: asked right before each action, so that none begins after its term.

use std::sync::Arc;

use flyball_zookeeper::Candidate;

/// The way to act.
#[derive(Clone)]
pub(crate) struct Fence(pub(crate) Option<Arc<Candidate>>);

/// What holds at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// There is no other one.
    Alone,
    /// In the term of this number, which is higher than that of every term before, whoever's.
    Term(i64),
    /// Another one may act already.
    None,
}

impl Fence {
    pub(crate) fn leave(&self) -> Leave {
        let Some(candidate) = &self.0 else { return Leave::Alone };
        candidate.term().map_or(Leave::None, |term| Leave::Term(term.number))
    }
}
