//! The balancers behind one enum. Every call has a deadline; the next look shows what an order did.

mod activator;
mod haproxy;
mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;

use flyball_config as config;
use flyball_config::{Config, Service};
use flyball_core::observation::{BalancerReport, EngineReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_proxy::{HeldRequests, Start, Times};
use flyball_web::Spread;

use crate::clock;
use crate::descriptors::Budget;
use crate::failure::Failure;
use crate::finding::Finding;
use crate::ports::Ports;
use activator::ActivatorHost;
pub(crate) use haproxy::BehindHaproxy;
use haproxy::HaproxyHost;
use proxy::ProxyHost;
pub(crate) use proxy::Served;

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
    activators: ActivatorHost,
}

impl BalancerHosts {
    pub(crate) fn of(config: &Config, budget: &Budget) -> Self {
        Self {
            proxy: ProxyHost::of(config, budget),
            haproxy: HaproxyHost::of(config),
            activators: ActivatorHost::of(config),
        }
    }

    /// The same, listening where all services are reached by their host names.
    pub(crate) async fn open(config: &Config, budget: &Budget) -> Result<Self, Failure> {
        let mut hosts = Self::of(config, budget);
        hosts.activators.open(&hosts.proxy).await?;
        Ok(hosts)
    }

    /// Takes no more requests for services by their host names.
    pub(crate) async fn close(&self) {
        self.activators.close().await;
    }

    /// The balancer that `service` asks for, listening already.
    pub(crate) async fn build(&self, service: &Service) -> Result<Balancer, Failure> {
        Ok(match &service.balancer {
            config::Balancer::None => Balancer::None,
            config::Balancer::Proxy { listen, slots, ignore } => {
                let proxy = self.proxy.build(service, *listen, *slots, ignore).await?;
                Balancer::Proxy(self.activators.serve(service, proxy))
            }
            config::Balancer::Haproxy { backend, slots } => {
                let activator = self.activators.build(service, &self.proxy).await?;
                let at =
                    activator.as_ref().map(|it| self.activators.reached_at(it.proxy.address()));
                let haproxy = self.haproxy.build(service, backend, *slots, at).await?;
                Balancer::Haproxy(BehindHaproxy::new(haproxy, activator))
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
                let at = self.activators.expected(service).map(|at| self.activators.reached_at(at));
                let mut found = self.haproxy.check(service, backend, (*slots, at), files).await;
                let node = self.haproxy.node(service, backend, *slots).await;
                found
                    .extend(at.and_then(|at| activator::unreachable(service, at, node.as_deref())));
                found
            }
            config::Balancer::None => Vec::new(),
        }
    }
}

/// The balancer of one service.
pub(crate) enum Balancer {
    /// The embedded one.
    Proxy(Served),
    /// A backend of HAProxy.
    Haproxy(BehindHaproxy),
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
            Self::Proxy(served) => Some(served.proxy.address()),
            Self::Haproxy(_) | Self::None => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// What the balancer counted, with the time it said so; `None` where there is no balancer.
    /// Asks within a deadline of the balancer's own.
    pub(crate) async fn observe(&self) -> Option<Reading<BalancerReport>> {
        match self {
            Self::Proxy(Served { proxy, .. }) => {
                Some(Reading::Taken { at: clock::now(), value: proxy.observe() })
            }
            Self::Haproxy(haproxy) => Some(haproxy.observe().await),
            #[cfg(test)]
            Self::Scripted(balancer) => Some(balancer.observe()),
            Self::None => None,
        }
    }

    /// How long requests took since the start, where the balancer tells them apart.
    pub(crate) fn times(&self) -> Option<Spread> {
        match self {
            Self::Proxy(Served { proxy, .. }) => {
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
            Self::Proxy(Served { proxy, .. }) => proxy.crowded(),
            Self::Haproxy(haproxy) => haproxy.activator().and_then(|proxy| proxy.crowded()),
            Self::None => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Requests and connections that the balancer itself answered, by reason.
    pub(crate) fn refusals(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::Proxy(Served { proxy, .. }) => proxy::refusals(proxy),
            Self::Haproxy(haproxy) => haproxy.activator().map(proxy::refusals).unwrap_or_default(),
            Self::None => Vec::new(),
            #[cfg(test)]
            Self::Scripted(_) => Vec::new(),
        }
    }

    /// Requests that wait here for a replica; `None` while none does.
    pub(crate) fn held(&self) -> Option<HeldRequests> {
        match self {
            Self::Proxy(Served { proxy, .. }) => proxy.held(),
            Self::Haproxy(haproxy) => haproxy.activator()?.held(),
            Self::None => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// What those are told who wait here.
    pub(crate) fn tell_start(&self, start: Start) {
        match self {
            Self::Proxy(Served { proxy, .. }) => proxy.tell_start(start),
            Self::Haproxy(haproxy) => {
                if let Some(proxy) = haproxy.activator() {
                    proxy.tell_start(start);
                }
            }
            Self::None => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }

    /// Lets the activator know of replicas that HAProxy has from an earlier run.
    pub(crate) fn acquaint(&self, report: &BalancerReport, engine: &EngineReport) {
        if let Self::Haproxy(haproxy) = self {
            haproxy.acquaint(report, engine);
        }
    }

    pub(crate) fn route(&self, replica: &ReplicaId, address: SocketAddr) {
        match self {
            Self::Proxy(Served { proxy, .. }) => proxy.route(replica, address),
            Self::Haproxy(haproxy) => haproxy.route(replica, address),
            #[cfg(test)]
            Self::Scripted(balancer) => balancer.route(replica),
            Self::None => {}
        }
    }

    pub(crate) fn drain(&self, replica: &ReplicaId) {
        match self {
            Self::Proxy(Served { proxy, .. }) => proxy.drain(replica),
            Self::Haproxy(haproxy) => haproxy.drain(replica),
            #[cfg(test)]
            Self::Scripted(balancer) => balancer.drain(replica),
            Self::None => {}
        }
    }

    /// Returns when something happened that a look should see; never without a balancer.
    pub(crate) async fn changed(&self) {
        match self {
            Self::Proxy(Served { proxy, .. }) => proxy.changed().await,
            Self::Haproxy(haproxy) => haproxy.changed().await,
            Self::None => std::future::pending().await,
            #[cfg(test)]
            Self::Scripted(_) => std::future::pending().await,
        }
    }

    /// Takes no more requests and lets those under way end. HAProxy serves on by itself.
    pub(crate) async fn shutdown(self) {
        match self {
            Self::Proxy(served) => served.shutdown().await,
            Self::Haproxy(haproxy) => haproxy.shutdown().await,
            Self::None => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }
}
