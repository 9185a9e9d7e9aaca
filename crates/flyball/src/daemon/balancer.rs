//! What spreads requests over replicas, as the loop sees it.
//!
//! Decides nothing: one `match` from the closed list of balancers to their crates. Invariant: no
//! call here waits longer than a deadline; an order is taken in at once and its outcome is seen on the next look.

use std::net::SocketAddr;

use flyball_config as config;
use flyball_core::observation::{BalancerReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_proxy::{Proxy, ProxySettings};

use super::hosts::Hosts;
use crate::clock;
use crate::failure::Failure;

/// Running requests get this long to end when flyball stops.
const GOODBYE_MS: u64 = 5_000;

/// The balancer of one service.
pub(crate) enum Balancer {
    /// The embedded one.
    Proxy(Proxy),
    /// None that flyball knows of.
    None,
}

impl Balancer {
    /// The balancer that `service` asks for, listening already.
    pub(crate) async fn build(service: &config::Service, _hosts: &Hosts) -> Result<Self, Failure> {
        match service.balancer {
            config::Balancer::None => Ok(Self::None),
            config::Balancer::Proxy { listen, slots } => {
                let settings = ProxySettings { listen, slots, ..ProxySettings::default() };
                let proxy = Proxy::bind(settings, clock::now).await.map_err(|error| {
                    Failure::hinted(format!("service {}: {error}", service.name), error.hint())
                })?;
                Ok(Self::Proxy(proxy))
            }
            config::Balancer::Haproxy { .. } => {
                Err(Failure::new("balancer haproxy: not connected yet"))
            }
        }
    }

    /// As in `flyball.toml`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Proxy(_) => "proxy",
            Self::None => "none",
        }
    }

    /// Where requests are taken, if here.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Proxy(proxy) => Some(proxy.address()),
            Self::None => None,
        }
    }

    /// What the balancer counted, with the time it said so; `None` where there is no balancer.
    /// Asks within a deadline of the balancer's own.
    pub(crate) async fn observe(&self) -> Option<Reading<BalancerReport>> {
        match self {
            Self::Proxy(proxy) => Some(Reading::Taken { at: clock::now(), value: proxy.observe() }),
            Self::None => None,
        }
    }

    pub(crate) fn route(&self, replica: &ReplicaId, address: SocketAddr) {
        match self {
            Self::Proxy(proxy) => proxy.route(replica, address),
            Self::None => {}
        }
    }

    pub(crate) fn drain(&self, replica: &ReplicaId) {
        match self {
            Self::Proxy(proxy) => proxy.drain(replica),
            Self::None => {}
        }
    }

    /// Returns when something happened that a look should see; never without a balancer.
    pub(crate) async fn changed(&self) {
        match self {
            Self::Proxy(proxy) => proxy.changed().await,
            Self::None => std::future::pending().await,
        }
    }

    /// Takes no more requests and lets those under way end.
    pub(crate) async fn shutdown(self) {
        match self {
            Self::Proxy(proxy) => proxy.shutdown(GOODBYE_MS).await,
            Self::None => {}
        }
    }
}
