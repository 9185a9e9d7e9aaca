//! Engines of a Mesos cluster: replicas are tasks of flyball's own framework ([`MesosEngine`]), or
//! of an app of Marathon ([`marathon`]). Nothing but these tasks is ever read or changed.

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
