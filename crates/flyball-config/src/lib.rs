//! Turns `flyball.toml` and container labels into validated services, and reports everything that
//! is wrong at once, with place and hint. Connects to nothing and starts nothing. A [`Config`] is
//! complete and free of contradictions; anything less is a [`ConfigErrors`], never a panic.

mod bytes;
mod claims;
mod config;
mod duration;
mod env;
mod label_reader;
mod policies;
mod reader;
mod reference;
mod reservations;
mod root;
mod service;
mod share;
mod systems;
mod tree;

use std::path::Path;

pub use bytes::{BYTES_MAX, BytesError, parse_bytes, show_bytes};
pub use config::Config;
pub use duration::{DURATION_MAX_MS, DurationError, parse_duration, show_duration};
pub use env::Env;
pub use label_reader::{Described, Labelled, Limits, ServiceLabels, Source};
pub use reader::{
    ConfigError, ConfigErrors, Excerpt, MINIMAL, PROBLEMS_MAX, Place, Problem, TEXT_MAX,
};
pub use reference::reference;
pub use service::{
    Activator, Backend, Balancer, Container, Engine, ExtraRights, Hold, Log, MarathonApp,
    OwnedFile, Process, Reach, Ready, Service, SleepMode, SwarmService, Task, TaskReach, Template,
};
pub use share::{ShareError, parse_share, show_share};
pub use systems::{
    Daemon, Docker, Ensemble, Ha, Haproxy, Marathon, MarathonPlace, Mesos, MesosMaster, Notify,
    NotifyBody, NotifyEvent, NotifyUrl, Permits, Proxy, Socket, Swarm, Zabbix, ZabbixApi,
};

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
    match reader::read(path) {
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
