//! Errors of both sides. A missed answer is normal and separate from what prevents a start. No
//! message repeats a secret or what the other side sent.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use flyball_cgroup::CgroupError;
use flyball_net::HttpError;

/// Why one question got no answer. Expected: the next look asks again.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Nothing accepts the connection.
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
    /// Something else answers there.
    #[error("{address} answers with status {status}: is it an agent?")]
    Status {
        /// Where.
        address: SocketAddr,
        /// The status of HTTP.
        status: u16,
    },
    /// The connection broke, or what came over it is no HTTP, or too much.
    #[error("the answer of {address} was cut off: {source}")]
    Broken {
        /// Where.
        address: SocketAddr,
        /// What was noticed.
        source: HttpError,
    },
    /// The answer is whole and makes no sense.
    #[error("the answer of {address} does not come from an agent: {what}")]
    Garbage {
        /// Where.
        address: SocketAddr,
        /// Which part of it.
        what: String,
    },
    /// The same run of the same kernel reported an earlier time than before.
    #[error("the clock of {address} ran backwards")]
    Backwards {
        /// Where.
        address: SocketAddr,
    },
}

impl PullError {
    /// What can be done about it, where that is clear.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Refused { .. } => {
                "give the agent and the controller the same secret in their token files"
            }
            Self::Unreachable { .. } => {
                "is `flyball agent` running there, and is its port open to this machine?"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Why a side does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The token cannot be sent as a header.
    #[error("the agents' token contains characters that cannot be sent")]
    Token,
    /// The call was made outside of a runtime.
    #[error("agents can only be queried in a running tokio runtime: {0}")]
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
                "pass a file that contains a secret with --token-file, or listen on 127.0.0.1; \
                 --insecure lets anyone read"
            }
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => "is another agent running? use another port: --listen",
                io::ErrorKind::PermissionDenied => "ports below 1024 need privileges",
                io::ErrorKind::AddrNotAvailable => "this machine has no such address: use 0.0.0.0",
                _ => return None,
            },
            Self::Cgroup(error) => return error.hint(),
            Self::Runtime(_) | Self::Machine { .. } => return None,
        };
        Some(text.to_owned())
    }
}
