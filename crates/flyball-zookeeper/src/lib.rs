//! Leader election through ZooKeeper: [`Candidate`] says whether this flyball may act,
//! [`follow_mesos`] and [`follow_marathon`] find the leaders of those systems.

mod candidate;
mod ensemble;
mod leader_store;
mod lease;
mod mesos;
mod survey;

pub use candidate::{Candidate, CandidateSettings, Leader, Term};
pub use ensemble::{Ensemble, ZookeeperError};
pub use mesos::{follow_marathon, follow_mesos};
pub use survey::ElectionReport;
