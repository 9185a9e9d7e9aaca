//! Where HAProxy's runtime API listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where HAProxy's runtime API listens (`stats socket` in its `global` section).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// A socket file on this machine.
    Unix(PathBuf),
    /// `HOST:PORT` over TCP; a name is looked up at each connection. HAProxy does not require a
    /// password there: keep it on loopback, or in a network of its own.
    Tcp(String),
}

impl Socket {
    /// As it is written after `stats socket`, as far as that is visible from here.
    pub(crate) fn as_bound(&self) -> String {
        match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Tcp(place) => match place.parse::<SocketAddr>() {
                Ok(address) => {
                    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
                    format!("{family}@{address}")
                }
                Err(_) => {
                    let port = place.rsplit_once(':').map_or("9999", |(_, port)| port);
                    format!("ipv4@:{port}")
                }
            },
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}
