//! What can go wrong between flyball and a Mesos cluster.
//!
//! Decides what the user can do about each. Does not know what is done next. Invariant: every error
//! names the address or the file it is about; no value of an environment variable is in any.

use std::path::PathBuf;

/// A Mesos cluster that does not do what is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MesosError {
    /// A service asks for something that no task can be.
    #[error("service {service}: {what} is less than Mesos gives a task: at least {least}")]
    Setting {
        /// The service.
        service: String,
        /// What it asks for.
        what: String,
        /// The least there is.
        least: String,
    },
    /// The address of a master cannot be one.
    #[error("{at:?} is no host and port of a mesos master")]
    Address {
        /// As it was written.
        at: String,
    },
    /// Expected while masters elect one of them: nobody leads.
    #[error("no mesos master leads")]
    NoLeader,
    /// Nobody listens there.
    #[error("mesos master {at} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        at: String,
        /// What the system said.
        why: String,
    },
    /// No answer came in time.
    #[error("{at} did not answer within {limit_ms} ms: {what}")]
    Silent {
        /// Who was asked.
        at: String,
        /// What.
        what: String,
        /// How long it had, in milliseconds.
        limit_ms: u64,
    },
    /// An answer broke off, or was none.
    #[error("{at} gave no usable answer: {what}: {why}")]
    Broken {
        /// Who was asked.
        at: String,
        /// What.
        what: String,
        /// What was wrong with it.
        why: String,
    },
    /// It answered with a refusal.
    #[error("{at} refused: {what}: status {status}: {why}")]
    Refused {
        /// Who was asked.
        at: String,
        /// What.
        what: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        why: String,
    },
    /// Expected when masters change: another one leads.
    #[error("the leading mesos master is {at}")]
    Elsewhere {
        /// The leader's `HOST:PORT`.
        at: String,
    },
    /// The master ended flyball's framework.
    #[error("mesos ended the framework: {why}")]
    Ended {
        /// Its words.
        why: String,
    },
    /// The framework's id cannot be kept or read.
    #[error("cannot keep the framework's id in {}: {why}", path.display())]
    IdFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The framework's id cannot be noted for the next leader, or read.
    #[error("cannot note the framework's id: {why}")]
    Note {
        /// What ZooKeeper said.
        why: String,
    },
    /// There is no tokio runtime to work in.
    #[error("mesos can only be asked inside of a tokio runtime")]
    NoRuntime,
}

impl MesosError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Setting { .. } => "raise cpus or memory of the service",
            Self::Address { .. } => "write master = \"http://HOST:5050\" under [mesos]",
            Self::NoLeader => "look at the masters and at ZooKeeper; flyball waits for one",
            Self::Unreachable { why, .. } if why.starts_with("TLS") => {
                "ca_file under [mesos] must hold who signed its certificate, and that must name this address"
            }
            Self::Unreachable { .. } | Self::Silent { .. } => {
                "is the master running there? master under [mesos] says where it is looked for"
            }
            Self::Refused { status: 401, .. } => {
                "principal and secret_file under [mesos] must be one of its --credentials"
            }
            Self::Refused { status: 403, .. } => {
                "its --acls must allow this principal to do so, and role under [mesos]"
            }
            Self::IdFile { .. } => "make state_dir writable: without the id tasks would be lost",
            Self::Broken { .. }
            | Self::Refused { .. }
            | Self::Elsewhere { .. }
            | Self::Ended { .. }
            | Self::Note { .. }
            | Self::NoRuntime => return None,
        };
        Some(hint.to_owned())
    }
}
