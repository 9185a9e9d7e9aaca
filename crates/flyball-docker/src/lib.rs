//! Engine `docker`: replicas are containers of one Docker host.
//!
//! Decides how a container is made, watched, metered, ended and found again. Does not know how many
//! there should be, whether one answers requests, or who sends them any.
//! Invariant: only what carries flyball's signature is ever changed, unless a label allows more.
//!
//! One [`DockerHost`] per daemon watches it; one [`DockerEngine`] per service keeps its containers:
//!
//! | seen by | of | how soon |
//! |---|---|---|
//! | event | start, end, health, removal | some milliseconds |
//! | sign of life | the daemon itself | 1 s, lost after 3 s |
//! | listing | everything, also what an event was missed of | 5 s, and after every gap |
//! | cgroup files | CPU time | at each look |
//!
//! Containers outlive flyball. The next run finds them by their labels, knows them by its signature
//! and probes them anew. What carries `flyball.service` without that signature belongs to others:
//! where [`Members`] admit it, it is a replica like the rest, and is never stopped unless it carries
//! `flyball.protect=false`. Where no image is named it is what replicas are copied from, and no copy
//! gets more than it has (docs/design/015).

mod balancer;
mod birth;
mod check;
mod confinement;
mod container;
pub mod copy;
mod cpu;
mod discovery;
mod end;
mod engine;
mod error;
mod facts;
mod host;
mod image;
pub mod labels;
mod networks;
mod owner;
mod ports;
mod provenance;
mod pump;
mod service;
mod settings;
mod signals;
mod signature;
mod standing;
mod start;
pub mod swarm;
mod told;

pub use balancer::own_host_name;
pub use check::{Checked, Finding, Original};
pub use discovery::{Discovery, Ignored, LabelledService};
pub use engine::DockerEngine;
pub use error::DockerError;
pub use host::{DaemonFacts, DockerHost};
pub use owner::Owner;
pub use settings::{DockerSettings, Granted, HostSettings, Publish, USUAL_HOST};
pub use signature::Signer;
pub use standing::{Members, Why};
