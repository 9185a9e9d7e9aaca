//! Engine `mesos`: replicas are tasks of a Mesos cluster.
//!
//! Only tasks of flyball's own framework are ever read or changed.
//!
//! One [`MesosCluster`] per daemon is one Mesos framework, shared by the [`MesosEngine`]s of its
//! services: an offer is seen once and can hold replicas of several services, and there is one id to
//! keep. Mesos stays in charge of placement: flyball accepts offers, spread over the agents, and
//! requests none while nothing is missing.
//!
//! | source | reports | delay |
//! |---|---|---|
//! | update | start, end, loss of a task | a few milliseconds |
//! | heartbeat | the master | 1 s, lost after 3 s |
//! | listing | all tasks and agents | 10 s, and after every gap |
//! | reconciliation | tasks that no update mentioned | 10 s |
//! | statistics of the agents | CPU usage | 1 s |
//!
//! Tasks outlive flyball: the framework's id is in a file, and the next run that has it finds them.

mod access;
mod agents;
mod call;
mod cluster;
mod cluster_info;
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
mod records;
mod service_tasks;
mod session;
mod settings;
mod shared;
mod state;
mod task;
mod usage;

pub use access::{Access, Credential};
pub use cluster::MesosCluster;
pub use cluster_info::ClusterInfo;
pub use engine::MesosEngine;
pub use error::MesosError;
pub use flyball_net::{Tls, TlsError, TlsSettings};
pub use settings::{ClusterSettings, Master, MesosSettings, Network};
