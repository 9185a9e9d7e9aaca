//! The balancers behind one enum. Every call has a deadline; the next look shows what an order did.

mod haproxy;
mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;

use flyball_config as config;
use flyball_config::{Config, Service};
use flyball_core::observation::{BalancerReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_haproxy::Haproxy;
use flyball_proxy::{Proxy, Times};
use flyball_web::Spread;

use crate::clock;
use crate::descriptors::Budget;
use crate::failure::Failure;
use crate::finding::Finding;
use crate::ports::Ports;
use haproxy::HaproxyHost;
use proxy::ProxyHost;

/// As in `flyball.toml`.
pub(crate) fn name(balancer: &config::Balancer) -> &'static str {
    match balancer {
        config::Balancer::Proxy { .. } => "proxy",
        config::Balancer::Haproxy { .. } => "haproxy",
        config::Balancer::None => "none",
    }
}

/// What the machine calls itself that the requests of `service` come from; `None` if it does not say.
pub(super) async fn host_name(config: &Config, service: &Service) -> Option<String> {
    match &service.balancer {
        config::Balancer::Proxy { .. } | config::Balancer::None => flyball_docker::own_host_name(),
        config::Balancer::Haproxy { backend, slots } => {
            HaproxyHost::of(config).node(service, backend, *slots).await
        }
    }
}

/// What the balancers of all services share.
pub(crate) struct BalancerHosts {
    proxy: ProxyHost,
    haproxy: HaproxyHost,
}

impl BalancerHosts {
    pub(crate) fn of(config: &Config, budget: &Budget) -> Self {
        Self { proxy: ProxyHost::of(config, budget), haproxy: HaproxyHost::of(config) }
    }

    /// The balancer that `service` asks for, listening already.
    pub(crate) async fn build(&self, service: &Service) -> Result<Balancer, Failure> {
        Ok(match &service.balancer {
            config::Balancer::None => Balancer::None,
            config::Balancer::Proxy { listen, slots, ignore } => {
                Balancer::Proxy(self.proxy.build(service, *listen, *slots, ignore).await?)
            }
            config::Balancer::Haproxy { backend, slots } => {
                Balancer::Haproxy(self.haproxy.build(service, backend, *slots).await?)
            }
        })
    }

    /// What is so for all services of `config`.
    pub(crate) fn check(&self, config: &Config) -> Option<Finding> {
        self.proxy.check(config)
    }

    /// Whether the requests of `service` can be balanced; `files` are HAProxy's own, where they are
    /// named.
    pub(crate) async fn check_service(
        &self,
        service: &Service,
        ports: &Ports,
        files: &[PathBuf],
    ) -> Vec<Finding> {
        match &service.balancer {
            config::Balancer::Proxy { listen, .. } => {
                vec![ports.look_at(&format!("services.{}.listen", service.name), *listen)]
            }
            config::Balancer::Haproxy { backend, slots } => {
                self.haproxy.check(service, backend, *slots, files).await
            }
            config::Balancer::None => Vec::new(),
        }
    }
}

/// The balancer of one service.
pub(crate) enum Balancer {
    /// The embedded one.
    Proxy(Proxy),
    /// A backend of HAProxy.
    Haproxy(Haproxy),
    /// None that flyball knows of.
    None,
    /// What a test wants.
    #[cfg(test)]
    Scripted(super::scripted::ScriptedBalancer),
}

impl Balancer {
    /// Where requests are taken, if here.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Proxy(proxy) => Some(proxy.address()),
            Self::Haproxy(_) | Self::None => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// What the balancer counted, with the time it said so; `None` where there is no balancer.
    /// Asks within a deadline of the balancer's own.
    pub(crate) async fn observe(&self) -> Option<Reading<BalancerReport>> {
        match self {
            Self::Proxy(proxy) => Some(Reading::Taken { at: clock::now(), value: proxy.observe() }),
            Self::Haproxy(haproxy) => Some(haproxy.observe().await),
            #[cfg(test)]
            Self::Scripted(balancer) => Some(balancer.observe()),
            Self::None => None,
        }
    }

    /// How long requests took since the start, where the balancer tells them apart.
    pub(crate) fn times(&self) -> Option<Spread> {
        match self {
            Self::Proxy(proxy) => {
                let Times { parts, beyond, sum_s } = proxy.times();
                Some(Spread { parts, beyond, sum: sum_s })
            }
            Self::Haproxy(_) | Self::None => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// What the machine that requests come from calls itself; `None` while it does not say.
    pub(crate) async fn host_name(&self) -> Option<String> {
        match self {
            // Replicas are probed from this machine, too.
            Self::Proxy(_) | Self::None => flyball_docker::own_host_name(),
            Self::Haproxy(haproxy) => haproxy.node().await,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// What is wrong here that no report says, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self {
            Self::Proxy(proxy) => proxy.crowded(),
            Self::Haproxy(_) | Self::None => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Requests and connections that the balancer itself answered, by reason.
    pub(crate) fn refusals(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::Proxy(proxy) => {
                proxy.refusals().into_iter().map(|(reason, count)| (reason.slug(), count)).collect()
            }
            Self::Haproxy(_) | Self::None => Vec::new(),
            #[cfg(test)]
            Self::Scripted(_) => Vec::new(),
        }
    }

    pub(crate) fn route(&self, replica: &ReplicaId, address: SocketAddr) {
        match self {
            Self::Proxy(proxy) => proxy.route(replica, address),
            Self::Haproxy(haproxy) => haproxy.route(replica, address),
            #[cfg(test)]
            Self::Scripted(balancer) => balancer.route(replica),
            Self::None => {}
        }
    }

    pub(crate) fn drain(&self, replica: &ReplicaId) {
        match self {
            Self::Proxy(proxy) => proxy.drain(replica),
            Self::Haproxy(haproxy) => haproxy.drain(replica),
            #[cfg(test)]
            Self::Scripted(balancer) => balancer.drain(replica),
            Self::None => {}
        }
    }

    /// Returns when something happened that a look should see; never without a balancer.
    pub(crate) async fn changed(&self) {
        match self {
            Self::Proxy(proxy) => proxy.changed().await,
            Self::Haproxy(haproxy) => haproxy.changed().await,
            Self::None => std::future::pending().await,
            #[cfg(test)]
            Self::Scripted(_) => std::future::pending().await,
        }
    }

    /// Takes no more requests and lets those under way end. HAProxy serves on by itself.
    pub(crate) async fn shutdown(self) {
        match self {
            Self::Proxy(proxy) => proxy.shutdown(proxy::GOODBYE_MS).await,
            Self::Haproxy(haproxy) => haproxy.shutdown().await,
            Self::None => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }
}
