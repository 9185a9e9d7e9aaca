//! The balancers behind one enum. Every call has a deadline; the next look shows what an order did.

use std::net::SocketAddr;
use std::sync::Arc;

use flyball_config as config;
use flyball_core::observation::{BalancerReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_haproxy::{Checks, Haproxy, HaproxySettings, OwnedFile, ServerOptions, Slots};
use flyball_proxy::{Proxy, ProxySettings, Times};
use flyball_web::Spread;

use super::hosts::{HaproxyPlace, Hosts, Proxies};
use crate::clock;
use crate::failure::Failure;

/// Running requests get this long to end when flyball stops.
const GOODBYE_MS: u64 = 5_000;

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
    /// The balancer that `service` asks for, listening already.
    pub(crate) async fn build(service: &config::Service, hosts: &Hosts) -> Result<Self, Failure> {
        match &service.balancer {
            config::Balancer::None => Ok(Self::None),
            config::Balancer::Proxy { listen, slots } => {
                let settings = proxy_settings(service, hosts, *listen, *slots);
                let proxy = Proxy::bind(settings, clock::now).await;
                Ok(Self::Proxy(proxy.map_err(|error| of_service(service, &error, error.hint()))?))
            }
            config::Balancer::Haproxy { backend, slots } => {
                let settings = haproxy_settings(service, backend, *slots, hosts.haproxy().clone());
                let haproxy = Haproxy::connect(settings, clock::now).await;
                Ok(Self::Haproxy(
                    haproxy.map_err(|error| of_service(service, &error, error.hint()))?,
                ))
            }
        }
    }

    /// As in `flyball.toml`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Proxy(_) => "proxy",
            Self::Haproxy(_) => "haproxy",
            Self::None => "none",
            #[cfg(test)]
            Self::Scripted(_) => "scripted",
        }
    }

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
            Self::Proxy(proxy) => proxy.shutdown(GOODBYE_MS).await,
            Self::Haproxy(haproxy) => haproxy.shutdown().await,
            Self::None => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }
}

fn proxy_settings(
    service: &config::Service,
    hosts: &Hosts,
    listen: SocketAddr,
    slots: Option<u32>,
) -> ProxySettings {
    let Proxies { room, trusted } = hosts.proxies();
    let preset = ProxySettings::default();
    ProxySettings {
        listen,
        slots,
        connections_max: room.per_proxy,
        connections_per_client: room.per_client,
        budget: Arc::clone(&room.budget),
        trusted: trusted.clone(),
        eject_max: service.policy.timing.eject_max,
        ..preset
    }
}

fn of_service(
    service: &config::Service,
    error: &impl std::fmt::Display,
    hint: Option<String>,
) -> Failure {
    Failure::hinted(format!("service {}: {error}", service.name), hint)
}

pub(crate) fn haproxy_settings(
    service: &config::Service,
    backend: &config::Backend,
    slots: Option<u32>,
    haproxy: HaproxyPlace,
) -> HaproxySettings {
    let checks = match backend.check {
        None => Checks::WhereHttp,
        Some(true) => Checks::Always,
        Some(false) => Checks::Never,
    };
    let words = backend.options.clone();
    let file = |file: &config::OwnedFile| OwnedFile {
        path: file.path.clone(),
        directory: haproxy.directory.clone(),
        lines: file.lines.iter().map(|line| format!("{line}\n")).collect(),
    };
    let template = |t: &config::Template| Slots { prefix: t.prefix.clone(), count: t.count };
    HaproxySettings {
        service: service.name.clone(),
        server_options: ServerOptions { slots, checks, words, ..ServerOptions::default() },
        file: backend.file.as_ref().map(file),
        files: haproxy.files.clone(),
        must_ask: backend.must_ask,
        slots: backend.template.as_ref().map(template),
        drain_limit_ms: service.policy.timing.drain_limit_ms,
        ..HaproxySettings::new(haproxy.socket, backend.name.clone())
    }
}
