//! The `[proxy]` table: what all embedded proxies of a flyball share. `10.0.0.5/8` is refused,
//! because it is unclear whether the address or the network is meant.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::reader::{ConfigError, Given, Kind, Reports, count, of_nothing, section};

section! {
    /// The embedded proxy, for all services with `balancer = "proxy"` together.
    ProxyKeys "proxy" => pub Proxy {
        // Loopback as a TLS proxy in front commonly runs on this machine. A network of containers
        // is not trusted: where Docker's own proxy carries a published port, every client of the
        // internet seems to come from there.
        /// Addresses or networks of trusted proxies. Their `X-Forwarded-*`, `X-Real-IP` and
        /// `Forwarded` headers are passed on, and they may open any number of connections, since
        /// they act for many clients. These headers are removed from requests of all other clients.
        trusted("trusted_proxies"): Vec<IpNet> =
            Kind::plain("list of IP addresses and networks", networks),
            default "[\"127.0.0.0/8\", \"::1/128\"]";
        /// The most client connections open at once. One half is divided evenly among the services
        /// as guaranteed shares; the other half is first come, first served. Clients beyond that
        /// get a 503.
        connections: Option<u32> = count(16, 1_000_000),
            optional "as many as file descriptors and memory allow, at most 20000";
        /// The most connections of one client: an IPv4 address or an IPv6 /64 network.
        connections_per_client: Option<u32> = count(1, 1_000_000),
            optional "a quarter of `connections`";
    }
}

impl Default for Proxy {
    fn default() -> Self {
        of_nothing(ProxyKeys::proxy)
    }
}

impl ProxyKeys {
    pub(crate) fn proxy(self, reports: &mut Reports) -> Option<Proxy> {
        if let (Some((Some(all), _)), Some((Some(one), _))) =
            (self.connections.given(), self.connections_per_client.given())
            && one > all
        {
            let what = format!("{one} is more than connections = {all}");
            let instead = "lower it, or raise connections";
            self.connections_per_client.refuse(&what, instead, reports);
        }
        self.all()
    }
}

fn networks(given: Given<'_>) -> Result<Vec<IpNet>, ConfigError> {
    let wanted = "a list of IP addresses and networks";
    given.each(network, wanted, "[\"127.0.0.1\", \"10.0.0.0/8\"]")
}

fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    text.parse::<IpNet>().ok().filter(|network| network.trunc() == *network)
}
