//! Whether an action may begin now, and in which leadership term. It is asked right before each
//! action, so none begins after the term ended.

use std::sync::Arc;

use flyball_zookeeper::Candidate;

/// Gives permissions for actions.
#[derive(Clone)]
pub(crate) struct LeadershipGuard(pub(crate) Option<Arc<Candidate>>);

/// What holds at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// There is no other one.
    Standalone,
    /// In the term of this number, which is higher than the number of every earlier term.
    Term(i64),
    /// Another flyball may be the leader already.
    Refused,
}

impl LeadershipGuard {
    pub(crate) fn leave(&self) -> Permission {
        let Some(candidate) = &self.0 else { return Permission::Standalone };
        candidate.term().map_or(Permission::Refused, |term| Permission::Term(term.number))
    }
}
