//! Engine `docker`: replicas are containers of one Docker host.
//!
//! Only containers with flyball's signature are ever changed, unless a label allows more.
//!
//! One [`DockerHost`] per daemon watches it; one [`DockerEngine`] per service keeps its containers:
//!
//! | source | reports | delay |
//! |---|---|---|
//! | event | start, end, health, removal | a few milliseconds |
//! | ping | the daemon itself | 1 s, lost after 3 s |
//! | listing | everything, including missed events | 5 s, and after every gap |
//! | cgroup files | CPU usage | at each look |
//!
//! Containers outlive flyball. The next run finds them by their labels, recognizes them by its
//! signature and probes them again. A container that has `flyball.service` without that signature is
//! external: where [`Members`] admit it, it is a replica like the rest, but it is never stopped
//! unless it carries `flyball.protect=false`. Where no image is configured, replicas are copied from
//! it, and no copy gets more than it has (docs/design/015).

mod asleep;
mod balancer;
mod check;
mod client;
mod confinement;
mod container;
pub mod copy;
mod cpu;
mod create_spec;
mod credentials;
mod discovery;
mod engine;
mod error;
mod external_stops;
mod facts;
mod generation;
mod grace;
mod host;
mod image;
mod image_in_use;
mod images;
mod inspect;
mod labelled;
pub mod labels;
mod limits;
mod networks;
mod origins;
mod owner;
mod provenance;
mod pull;
mod remove;
mod service;
mod settings;
mod signals;
mod signature;
mod source;
mod standing;
mod start;
pub mod swarm;
mod wake;
mod watcher;

pub use balancer::own_host_name;
pub use check::{Checked, Original};
pub use discovery::{Discovery, Ignored, LabelledService};
pub use engine::DockerEngine;
pub use error::DockerError;
pub use host::{DaemonFacts, DockerHost};
pub use owner::Owner;
pub use settings::{DockerSettings, ExtraRights, HostSettings, Publish, SleepMode, USUAL_HOST};
pub use signature::Signer;
pub use standing::{Members, Why};
