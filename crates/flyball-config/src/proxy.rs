//! The `[proxy]` table: what all embedded proxies of a flyball share. `10.0.0.5/8` is refused,
//! because it is unclear whether the address or the network is meant.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::check::Given;
use crate::config_error::ConfigError;
use crate::table_reader::{Field, TableReader};
use crate::value::Value;
use crate::{check, keys};

/// The embedded proxies of a flyball.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Whose word on where a request comes from is passed on.
    pub trusted: Vec<IpNet>,
    /// Client connections open at once, all services together; `None`: as many as there is room
    /// for.
    pub connections: Option<u32>,
    /// The same for one client; `None`: a quarter of that.
    pub connections_per_client: Option<u32>,
}

impl Default for Proxy {
    /// Trusts what runs on this machine, as a TLS proxy in front commonly does. A network of
    /// containers is not trusted: where Docker's own proxy carries a published port, every client
    /// of the internet seems to come from there.
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            trusted: loopback.iter().filter_map(|network| network.parse().ok()).collect(),
            connections: None,
            connections_per_client: None,
        }
    }
}

/// The `[proxy]` table of `root`.
pub(crate) fn proxy(root: &mut TableReader<'_>) -> Option<Proxy> {
    let mut fields = root.take_table_or_empty(&keys::PROXY_TABLE, &keys::PROXY)?;
    let trusted = fields.take(&keys::TRUSTED_PROXIES, networks).or(Proxy::default().trusted);
    let connections = fields.take(&keys::CONNECTIONS, check::count);
    let per_client = fields.take(&keys::CONNECTIONS_PER_CLIENT, check::count);
    if let (Field::Given { value: all, .. }, Field::Given { value: one, span }) =
        (&connections, &per_client)
        && one > all
    {
        let fault = ConfigError::Contradicts {
            key: fields.path_of(keys::CONNECTIONS_PER_CLIENT.name),
            found: one.to_string(),
            relation: "more than",
            other: keys::CONNECTIONS.name,
            other_value: all.to_string(),
            instead: "lower it, or raise connections",
        };
        fields.report(fault, span);
    }
    fields.finish();
    let (connections, per_client) = (connections.optional()?, per_client.optional()?);
    Some(Proxy { trusted: trusted?, connections, connections_per_client: per_client })
}

fn networks(given: Given<'_>) -> Result<Vec<IpNet>, ConfigError> {
    let wanted = "a list of IP addresses and networks";
    let refuse = || given.not_a(wanted, given.example("[\"127.0.0.1\", \"10.0.0.0/8\"]"));
    let Value::List(items) = &given.node.value else { return Err(refuse()) };
    let network = |item: &crate::value::Node| match &item.value {
        Value::Text(text) => parse_network(text).ok_or_else(refuse),
        _ => Err(refuse()),
    };
    items.iter().map(network).collect()
}

fn parse_network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    text.parse::<IpNet>().ok().filter(|network| network.trunc() == *network)
}
