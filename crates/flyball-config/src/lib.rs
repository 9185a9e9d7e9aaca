//! Turns `flyball.toml` and container labels into validated services, and reports everything that
//! is wrong at once, with place and hint. Connects to nothing and starts nothing. A [`Config`] is
//! complete and free of contradictions; anything less is a [`ConfigErrors`], never a panic.

mod address;
mod balancer;
mod bytes;
mod check;
mod config;
mod config_error;
mod daemon;
mod duration;
mod engine;
mod env;
mod keys;
mod labels;
mod permits;
mod policy;
mod problem;
mod proxy;
mod reference;
mod reservations;
mod root;
mod service;
mod share;
mod source;
mod syntax;
mod systems;
mod table_reader;
mod tree;
mod value;
mod zabbix;

use std::path::Path;

pub use bytes::{BYTES_MAX, BytesError, parse_bytes, show_bytes};
pub use config::{
    Backend, Balancer, Config, Container, Daemon, Docker, Engine, Ensemble, ExtraRights, Ha,
    Haproxy, Log, Marathon, MarathonApp, MarathonPlace, Mesos, MesosMaster, OwnedFile, Process,
    Reach, Ready, Service, Socket, Swarm, SwarmService, Task, TaskReach, Template, Zabbix,
    ZabbixApi,
};
pub use config_error::{ConfigError, MINIMAL};
pub use duration::{DURATION_MAX_MS, DurationError, parse_duration, show_duration};
pub use env::Env;
pub use labels::{Described, Labelled, Limits, ServiceLabels, Source};
pub use permits::Permits;
pub use problem::{ConfigErrors, Excerpt, PROBLEMS_MAX, Place, Problem};
pub use proxy::Proxy;
pub use reference::reference;
pub use share::{ShareError, parse_share, show_share};
pub use source::TEXT_MAX;

/// The configuration in the file at `path`, with defaults taken from `env`.
///
/// Blocks while it reads the file and the token file, both bounded and regular files only.
/// Relative paths in the file start at the file's directory.
///
/// # Errors
///
/// Everything that is wrong with the file, in its order.
pub fn load(path: &Path, env: &Env) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    match source::read(path) {
        Ok(text) => root::config(&text, &name, directory_of(path), env),
        Err(fault) => Err(ConfigErrors::of_file(fault, &name)),
    }
}

/// The configuration in `text`; messages and relative paths go by `name` as the file's path.
///
/// Reads nothing but the token file, if `text` names one.
///
/// # Errors
///
/// Everything that is wrong with `text`, in its order.
pub fn parse(text: &str, name: &str, env: &Env) -> Result<Config, ConfigErrors> {
    root::config(text, name, directory_of(Path::new(name)), env)
}

fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}
