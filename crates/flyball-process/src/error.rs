//! Errors when creating the engine or its launcher.
//!
//! A replica that fails to start later is an exit in the engine's report instead.

use std::io;
use std::path::PathBuf;

use flyball_engine::Hint;

/// A launcher or an engine that cannot work as it is set.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The command is an empty list.
    #[error("service {service}: the command is empty")]
    EmptyCommand {
        /// Whose.
        service: String,
    },
    /// There is no such file.
    #[error("service {service}: command not found: {command}")]
    CommandNotFound {
        /// Whose.
        service: String,
        /// As it was written.
        command: String,
    },
    /// The file is there and cannot be run.
    #[error("service {service}: command is not executable: {}", path.display())]
    NotExecutable {
        /// Whose.
        service: String,
        /// The file.
        path: PathBuf,
    },
    /// The directory to run in is not there.
    #[error("service {service}: no such directory: {}", path.display())]
    NoDirectory {
        /// Whose.
        service: String,
        /// As it was written.
        path: PathBuf,
    },
    /// A replica must be allowed some CPU.
    #[error("service {service}: cpu limit must be above 0 cores, not {cores}")]
    CpuLimit {
        /// Whose.
        service: String,
        /// As it was written.
        cores: f64,
    },
    /// The engine was made outside of an async runtime.
    #[error(
        "service {service}: the process engine needs a running tokio runtime with I/O and time"
    )]
    NoRuntime {
        /// Whose.
        service: String,
    },
    /// A mark that cannot stand in an environment variable or a line.
    #[error("{what} mark must be one line of text and not empty: {mark:?}")]
    Mark {
        /// Which one.
        what: &'static str,
        /// As it was given.
        mark: String,
    },
    /// The same home is in use by a flyball that lives.
    #[error("another flyball (process {pid}) runs replicas for {home}")]
    HomeInUse {
        /// The home.
        home: String,
        /// Who uses it.
        pid: u32,
    },
    /// Processes of an earlier run could not be ended.
    #[error("{left} processes of an earlier run for {home} could not be ended")]
    Leftovers {
        /// The home.
        home: String,
        /// How many are left.
        left: usize,
    },
    /// The launcher's thread or its watchdog could not be started.
    #[error("cannot start the {what}: {source}")]
    Start {
        /// Which of them.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Hint for ProcessError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::EmptyCommand { .. } => {
                "write command = [\"./server\", \"--port\", \"{port}\"]".into()
            }
            Self::CommandNotFound { command, .. } if command.contains('/') => {
                "the path is taken relative to the service's directory".into()
            }
            Self::CommandNotFound { .. } => "it is not in PATH; write its full path".into(),
            Self::NotExecutable { path, .. } => format!("chmod +x {}", path.display()),
            Self::CpuLimit { .. } => "leave cpus out for one core".into(),
            Self::HomeInUse { .. } => {
                "stop the other one, or give this one a state_dir of its own".into()
            }
            Self::Leftovers { .. } => {
                "they may belong to another user; look for FLYBALL_HOME in /proc/*/environ".into()
            }
            Self::NoDirectory { .. }
            | Self::NoRuntime { .. }
            | Self::Mark { .. }
            | Self::Start { .. } => return None,
        };
        Some(hint)
    }
}
