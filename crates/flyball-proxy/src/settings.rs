//! Settings of one proxy, and why it may refuse to start. Every wait has a limit and every queue a
//! bound; none can be switched off.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::budget::{Budget, Full};

/// What runs on this machine.
const LOOPBACK_4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
const LOOPBACK_6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);

/// How one proxy listens, waits and gives up. All times are milliseconds; 0 gives up at once.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// Where clients connect. Port 0 takes any free port; [`crate::Proxy::address`] shows which.
    pub listen: SocketAddr,
    /// Requests one replica works on at once; more wait here. `None`: no limit. 0 is refused.
    pub slots: Option<u32>,
    /// The service, for whoever waits for it.
    pub service: String,
    /// Whether browsers get a page to wait with while no replica is ready.
    pub page: bool,
    /// Requests that may wait for a replica; one more is refused with 503.
    pub waiting_max: usize,
    /// How long a request may wait for a replica, retries included, before 503 (or 502 where the
    /// last thing that happened was a failed connect).
    pub wait_limit_ms: u64,
    /// How long a replica may take to accept a connection.
    pub connect_limit_ms: u64,
    /// How long a client may take for the head of a request. Kept connections without a request
    /// are closed after the same time.
    pub header_limit_ms: u64,
    /// How long a replica may take from the last byte of a request to the head of its answer.
    pub answer_limit_ms: u64,
    /// How long a client may neither send the body it announced nor take the answer it asked for.
    pub stall_limit_ms: u64,
    /// How long an answer that has begun, or an upgraded connection, may carry nothing. Long,
    /// because event streams and web sockets are quiet by nature.
    pub quiet_limit_ms: u64,
    /// Client connections open at once; more are answered with 503. 0 is refused.
    pub connections_max: usize,
    /// The same of one client: an IPv4 address or a /64 network of IPv6. 0 is refused.
    pub connections_per_client: usize,
    /// What this proxy and others may have of them together.
    pub budget: Arc<Budget>,
    /// Whose word on where a request comes from is passed on (`X-Forwarded-*`, `Forwarded`), and who
    /// is not held to the bound of one client, since it speaks for many.
    pub trusted: Vec<IpNet>,
    /// Unused connections kept per replica; 0 opens a new one for every request.
    pub idle_max: usize,
    /// How long an unused connection to a replica is trusted. Below the 5 s after which common
    /// servers (Node.js, Apache httpd) close it, because a request other than GET that meets the
    /// closing cannot be repeated.
    pub idle_limit_ms: u64,
    /// The share of the replicas that may get no requests because they fail, at least one, never
    /// all; 0: none of them.
    pub eject_max: f64,
    /// A request that takes longer counts as late; `None`: none is counted.
    pub late_after_ms: Option<u64>,
    /// Requests that neither wake the service nor keep it awake: paths, with `/` in front, and parts
    /// of user agents. While no replica is there they are answered with 503.
    pub ignore: Vec<String>,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            slots: None,
            service: String::new(),
            page: false,
            waiting_max: 10_000,
            wait_limit_ms: 30_000,
            connect_limit_ms: 2_000,
            header_limit_ms: 30_000,
            answer_limit_ms: 60_000,
            stall_limit_ms: 60_000,
            quiet_limit_ms: 3_600_000,
            connections_max: 20_000,
            connections_per_client: 5_000,
            budget: Budget::new(20_000),
            trusted: vec![LOOPBACK_4.into(), LOOPBACK_6.into()],
            idle_max: 256,
            idle_limit_ms: 4_000,
            eject_max: 0.5,
            late_after_ms: None,
            ignore: Vec::new(),
        }
    }
}

impl ProxySettings {
    /// Refuses settings under which no request could ever be served.
    pub(crate) fn check(&self) -> Result<(), ProxyError> {
        if self.slots == Some(0) {
            return Err(ProxyError::Zero { setting: "slots" });
        }
        if self.connections_max == 0 {
            return Err(ProxyError::Zero { setting: "connections_max" });
        }
        if self.connections_per_client == 0 {
            return Err(ProxyError::Zero { setting: "connections_per_client" });
        }
        Ok(())
    }

    /// Why a client is turned away, in words.
    pub(crate) fn in_words(&self, full: Full) -> String {
        match full {
            Full::All => {
                let max = self.connections_max.min(self.budget.max());
                format!("all {max} allowed connections are open")
            }
            Full::Client => {
                let max = self.connections_per_client;
                format!("one client has all of its {max} allowed connections open")
            }
        }
    }

    /// Whether `client` is one of the trusted.
    pub(crate) fn trusts(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.trusted.iter().any(|network| network.contains(&client))
    }
}

/// `ms` as the standard library's type.
pub(crate) const fn span(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A bound of 0 that would let nothing through.
    #[error("{setting} is 0, which would let no request through")]
    Zero {
        /// The name of the field.
        setting: &'static str,
    },
}

impl ProxyError {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(format!(
                    "another program has port {}; stop it, or choose another port (0 takes any free one)",
                    address.port()
                )),
                io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 need privileges; choose a higher one".to_owned())
                }
                io::ErrorKind::AddrNotAvailable => {
                    Some(format!("{} is not an address of this machine", address.ip()))
                }
                _ => None,
            },
            Self::Zero { setting } => Some(format!("leave {setting} out, or set it to 1 or more")),
        }
    }
}
