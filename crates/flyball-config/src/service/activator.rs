//! How requests wait while no replica is ready, and where, from the keys of a service.

use std::net::SocketAddr;

use super::ServiceKeys;
use crate::claims::{Claim, Claims};

/// How requests wait for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// For how long, in milliseconds.
    pub limit_ms: u64,
    /// Whether browsers get a page meanwhile while no replica is ready.
    pub page: bool,
}

/// What takes the requests of a service behind HAProxy while no replica is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activator {
    /// Nothing: HAProxy answers 503.
    Off,
    /// Flyball, at an address that it chooses.
    Automatic,
    /// Flyball, at this address.
    At(SocketAddr),
}

pub(super) fn hold(keys: &ServiceKeys) -> Option<Hold> {
    Some(Hold { limit_ms: keys.wait_limit.value?, page: keys.page.value? })
}

pub(super) fn activator(keys: &ServiceKeys) -> Option<Activator> {
    let sleeps = keys.balancer.value? == "haproxy" && keys.min.value? == 0;
    Some(match keys.activator.value? {
        Some(address) => Activator::At(address),
        None if sleeps => Activator::Automatic,
        None => Activator::Off,
    })
}

/// Adds what no other service may have.
pub(super) fn claim(keys: &ServiceKeys, claims: &mut Claims) {
    claims.activator = Claim::of(&keys.activator, keys.activator.value.flatten());
    let hosts = keys.host.value.iter().flatten();
    claims.hosts = hosts.filter_map(|host| Claim::of(&keys.host, Some(host.clone()))).collect();
}
