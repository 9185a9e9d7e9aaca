//! Who leads, by what ZooKeeper holds.
//!
//! Decides which Mesos master ([`follow_mesos`]) and which Marathon leads ([`follow_marathon`]), and whether this flyball may act
//! ([`Candidate`]). Does not know what a leader does. Invariant: while nothing is heard of
//! ZooKeeper nobody becomes a leader here, and whoever is one stops being one in time.

mod candidate;
mod ensemble;
mod lease;
mod mesos;
mod notes;
mod survey;

pub use candidate::{Candidate, CandidateSettings, Leader, Term};
pub use ensemble::{Ensemble, ZookeeperError};
pub use mesos::{follow_marathon, follow_mesos};
pub use survey::Survey;
