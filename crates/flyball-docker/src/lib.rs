//! Engine `docker`: replicas are containers of one Docker host.
//!
//! Decides how a container is made, watched, metered, ended and found again. Does not know how many
//! there should be, whether one answers requests, or who sends them any.
//! Invariant: only what carries flyball's mark is ever changed, unless a label allows more.
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
//! Containers outlive flyball. The next run finds them by their labels and probes them anew.
//! Those that carry `flyball.service` without `flyball.managed` belong to others: they are replicas
//! like the rest, and are never stopped unless they carry `flyball.protect=false`. Where no image is
//! named they are what replicas are copied from: what others do to them says what becomes of the rest.

mod balancer;
mod birth;
mod check;
mod container;
pub mod copy;
mod cpu;
mod end;
mod engine;
mod error;
mod facts;
mod host;
mod image;
pub mod labels;
mod networks;
mod ports;
mod pump;
mod service;
mod settings;
mod signals;
mod start;
pub mod swarm;
mod told;

pub use balancer::own_host_name;
pub use check::Finding;
pub use engine::DockerEngine;
pub use error::DockerError;
pub use host::{DaemonFacts, DockerHost};
pub use labels::LabelledService;
pub use settings::{DockerSettings, HostSettings, Publish, USUAL_HOST};
