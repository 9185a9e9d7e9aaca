//! Engine `mesos`: replicas are tasks of a Mesos cluster.
//!
//! Decides what is asked of the master, which offer a replica starts on, and what is known of each
//! task. Does not know how many there should be, whether one answers requests, or who sends them any.
//! Invariant: only tasks of flyball's own framework are ever seen or changed.
//!
//! One [`MesosCluster`] per daemon is one framework of Mesos, shared by the [`MesosEngine`]s of its
//! services: an offer is then seen once and can hold replicas of several of them, and there is one
//! id to keep. Placement stays Mesos's: flyball takes offers, spread over the agents, and asks for
//! none while nothing is missing.
//!
//! | seen by | of | how soon |
//! |---|---|---|
//! | update | start, end, loss of a task | some milliseconds |
//! | sign of life | the master | 1 s, lost after 3 s |
//! | listing | all tasks and agents | 10 s, and after every gap |
//! | reconciliation | what a task became of that nobody spoke of | 10 s |
//! | statistics of the agents | CPU time | 1 s |
//!
//! Tasks outlive flyball: the framework's id is in a file, and the next run that has it finds them.

mod access;
mod agents;
mod book;
mod call;
mod cluster;
mod engine;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod listing;
pub mod marathon;
mod nodes;
mod offer;
mod placing;
mod pool;
mod records;
mod session;
mod settings;
mod shared;
mod survey;
mod task;
mod usage;

pub use access::{Access, Credential};
pub use cluster::MesosCluster;
pub use engine::MesosEngine;
pub use error::MesosError;
pub use flyball_tls::{Tls, TlsError, TlsSettings};
pub use settings::{ClusterSettings, Master, MesosSettings, Network};
pub use survey::Survey;
