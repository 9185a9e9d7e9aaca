//! Errors between flyball and a Mesos cluster.
//!
//! No error contains the value of an environment variable.

use std::path::PathBuf;

use flyball_engine::Hint;

/// A Mesos cluster that does not do what is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MesosError {
    /// A service asks for something that no task can be.
    #[error("service {service}: {what} is below the minimum of a Mesos task: at least {least}")]
    Setting {
        /// The service.
        service: String,
        /// What it asks for.
        what: String,
        /// The least there is.
        least: String,
    },
    /// The address of a master cannot be one.
    #[error("{at:?} is not a host and port of a mesos master")]
    Address {
        /// As it was written.
        at: String,
    },
    /// Expected while masters elect one of them: there is no leader.
    #[error("mesos has no leading master")]
    NoLeader,
    /// Nothing listens there.
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
    #[error("cannot write the framework's id to {}: {why}", path.display())]
    IdFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The framework's id cannot be noted for the next leader, or read.
    #[error("cannot record the framework's id: {why}")]
    Note {
        /// What ZooKeeper said.
        why: String,
    },
    /// There is no tokio runtime to work in.
    #[error("mesos needs a running tokio runtime")]
    NoRuntime,
}

impl Hint for MesosError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Setting { .. } => "raise cpus or memory of the service",
            Self::Address { .. } => "write master = \"http://HOST:5050\" under [mesos]",
            Self::NoLeader => "check the masters and ZooKeeper; flyball waits for a leader",
            Self::Unreachable { why, .. } if why.starts_with("TLS") => {
                "ca_file under [mesos] must contain the CA that signed its certificate, and the \
                 certificate must name this address"
            }
            Self::Unreachable { .. } | Self::Silent { .. } => {
                "is the master running there? master under [mesos] sets the address"
            }
            Self::Refused { status: 401, .. } => {
                "principal and secret_file under [mesos] must be one of its --credentials"
            }
            Self::Refused { status: 403, .. } => {
                "its --acls must allow this for the principal and for role under [mesos]"
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
