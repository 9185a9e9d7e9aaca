//! What can go wrong on either side of the wire.
//!
//! Tells a missed answer, which is normal and mends itself, from what stops an agent or a
//! controller from starting. Invariant: no message repeats a secret or what the other side wrote.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use flyball_cgroup::CgroupError;

/// Why one question got no answer. Expected: the next look asks again.
#[derive(Debug, thiserror::Error)]
pub enum Miss {
    /// Nobody takes the connection.
    #[error("cannot connect to {address}: {source}")]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is not there in time.
    #[error("{address} does not answer within {limit_ms} ms")]
    Late {
        /// Where.
        address: SocketAddr,
        /// How long was waited, in milliseconds.
        limit_ms: u64,
    },
    /// The agent has another token.
    #[error("the agent at {address} refuses the token")]
    Refused {
        /// Where.
        address: SocketAddr,
    },
    /// Somebody else answers there.
    #[error("{address} answers with status {status}: is it an agent?")]
    Status {
        /// Where.
        address: SocketAddr,
        /// The status of HTTP.
        status: u16,
    },
    /// The connection broke, or what came over it is no HTTP, or too much.
    #[error("the answer of {address} broke off: {source}")]
    Broken {
        /// Where.
        address: SocketAddr,
        /// What was noticed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is whole and makes no sense.
    #[error("the answer of {address} is none of an agent: {what}")]
    Garbage {
        /// Where.
        address: SocketAddr,
        /// Which part of it.
        what: String,
    },
    /// The same run of the same kernel told an earlier time than before.
    #[error("the clock of {address} ran backwards")]
    Backwards {
        /// Where.
        address: SocketAddr,
    },
}

impl Miss {
    /// What can be done about it, where that is clear.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { .. } => {
                Some("agent and controller must be given the same secret in their token files")
            }
            Self::Unreachable { .. } => {
                Some("is `flyball agent` running there, and is its port open to this machine?")
            }
            _ => None,
        }
    }
}

/// Why a side does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The token cannot be sent as a header.
    #[error("the agents' token holds characters that cannot be sent")]
    Token,
    /// Whoever asks must do so from within a runtime.
    #[error("no runtime to ask agents in: {0}")]
    Runtime(#[from] tokio::runtime::TryCurrentError),
    /// Others can reach the address, and there is no token.
    #[error("cannot listen on {address} without a token: others can reach that address")]
    TokenMissing {
        /// Which address.
        address: SocketAddr,
    },
    /// The address is taken or may not be taken.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel does not say what identifies it.
    #[error("cannot read {}: {source}", path.display())]
    Machine {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are no counters.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

impl AgentError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Token => "use letters and digits, such as those of `openssl rand -hex 32`",
            Self::TokenMissing { .. } => {
                "name a file that holds a secret with --token-file, or listen on 127.0.0.1; \
                 --insecure lets everybody read"
            }
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => "is another agent running? use another port: --listen",
                io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege",
                io::ErrorKind::AddrNotAvailable => "this machine has no such address: use 0.0.0.0",
                _ => return None,
            },
            Self::Cgroup(error) => return error.hint(),
            Self::Runtime(_) | Self::Machine { .. } => return None,
        };
        Some(text.to_owned())
    }
}
