//! `flyball.toml` to validated services.
//!
//! Decides what a configuration means and says everything that is wrong with it at once, each
//! problem with its place and what to do. It connects to nothing and starts nothing: whether a
//! command exists or a port is free is found out by whoever runs it. Invariant: a [`Config`] is
//! complete and free of contradictions; anything less is a [`ConfigErrors`], never a panic.

mod check;
mod daemon;
mod duration;
mod env;
mod fault;
mod fields;
mod keys;
mod policy;
mod problem;
mod reference;
mod root;
mod service;
mod share;
mod source;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use flyball_core::policy::Policy;

pub use duration::{DURATION_MAX_MS, DurationError, parse_duration, show_duration};
pub use env::Env;
pub use fault::{Fault, MINIMAL};
pub use problem::{ConfigErrors, Excerpt, PROBLEMS_MAX, Place, Problem};
pub use reference::reference;
pub use share::{ShareError, parse_share, show_share};
pub use source::TEXT_MAX;

/// A validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The daemon's own settings.
    pub daemon: Daemon,
    /// The services by name; at least one.
    pub services: BTreeMap<String, Service>,
}

/// Settings of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Where the API is served; loopback unless there is a token.
    pub listen: SocketAddr,
    /// Where the journal is kept.
    pub state_dir: PathBuf,
    /// A file that held a token when it was checked.
    pub token_file: Option<PathBuf>,
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Everything that deciding needs to know.
    pub policy: Policy,
    /// What runs its replicas.
    pub engine: Engine,
    /// What spreads requests over them.
    pub balancer: Balancer,
    /// When a started replica counts as ready.
    pub ready: Ready,
}

/// What runs the replicas of a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// Child processes of flyball on this machine.
    Process(Process),
}

/// A replica as a child process.
#[derive(Clone, PartialEq)]
pub struct Process {
    /// The program, never empty, and its arguments; `{port}` stands for the port it is given.
    pub command: Vec<String>,
    /// Variables added to its environment; may hold secrets, so `Debug` shows names only.
    pub env: BTreeMap<String, String>,
    /// Where it runs; `None`: where flyball runs.
    pub directory: Option<PathBuf>,
    /// Cores it may use; above 0.
    pub cpus: f64,
    /// Time between SIGTERM and SIGKILL, in milliseconds; 0: at once.
    pub grace_ms: u64,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("directory", &self.directory)
            .field("cpus", &self.cpus)
            .field("grace_ms", &self.grace_ms)
            .finish()
    }
}

/// What spreads requests over the replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// The embedded proxy.
    Proxy {
        /// Where it takes requests; port 0: any free one.
        listen: SocketAddr,
        /// Requests that one replica works on at once; `None`: not limited.
        slots: Option<u32>,
    },
    /// Nothing, or something that flyball does not know.
    None,
}

/// When a started replica counts as ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Once `GET path` is answered.
    Http {
        /// The path; starts with `/`.
        path: String,
        /// Whether any status counts; otherwise only one below 400.
        any_status: bool,
    },
    /// Once a connection is accepted.
    Tcp,
}

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
