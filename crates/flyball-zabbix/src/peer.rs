//! The address of Zabbix, and connecting to it within a deadline, TLS included.

use std::fmt;
use std::time::Duration;

use flyball_net::{Stream, Tls};

use crate::error::ZabbixError;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl Peer {
    /// Reads `HOST:PORT`; an IPv6 address stands in brackets. `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        Self::of(host, port)
    }

    pub(crate) fn of(host: &str, port: u16) -> Option<Self> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let good = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(name),
        };
        good.then(|| Self { host: bare.unwrap_or(host).to_owned(), port })
    }

    /// A connection within `limit`; errors call it `at`.
    pub(crate) async fn connect(
        &self,
        at: &impl fmt::Display,
        tls: Option<&Tls>,
        limit: Duration,
    ) -> Result<Box<dyn Stream>, ZabbixError> {
        let connected = flyball_net::connect((&self.host, self.port), tls, limit).await;
        connected.map_err(|error| {
            let (at, why) = (at.to_string(), error.to_string());
            ZabbixError::Unreachable { at, why }
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let shown = |text| Peer::parse(text).map(|peer| peer.to_string());
        for good in ["127.0.0.1:10051", "zabbix.example:10051", "[::1]:10051"] {
            assert_eq!(shown(good).as_deref(), Some(good));
        }
        for bad in ["", "127.0.0.1", ":10051", "host:0", "host:x", "::1:10051", "a b:1", "[x]:1"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
