//! The embedded balancer: built and checked from the configuration.

mod room;

use std::net::SocketAddr;
use std::sync::Arc;

use flyball_config::{Balancer, Config, Service};
use flyball_proxy::{HostEntry, Proxy, ProxySettings};
use ipnet::IpNet;

use crate::clock;
use crate::daemon::labelled;
use crate::descriptors::Budget;
use crate::failure::Failure;
use crate::finding::Finding;
use room::Room;

/// Running requests get this long to end when flyball stops.
pub(super) const GOODBYE_MS: u64 = 5_000;

/// A proxy, and whether its service is reached by host names, too.
pub(crate) struct Served {
    pub(crate) proxy: Proxy,
    pub(crate) hosts: Option<HostEntry>,
}

impl Served {
    /// Takes no more requests and lets those under way end.
    pub(super) async fn shutdown(self) {
        drop(self.hosts);
        self.proxy.shutdown(GOODBYE_MS).await;
    }
}

/// Requests and connections that `proxy` answered itself, by reason.
pub(super) fn refusals(proxy: &Proxy) -> Vec<(&'static str, u64)> {
    proxy.refusals().into_iter().map(|(reason, count)| (reason.slug(), count)).collect()
}

/// What all embedded proxies share.
pub(super) struct ProxyHost {
    room: Room,
    trusted: Vec<IpNet>,
}

impl ProxyHost {
    pub(super) fn of(config: &Config, budget: &Budget) -> Self {
        Self { room: Room::of(&config.proxy, budget), trusted: config.proxy.trusted.clone() }
    }

    pub(super) async fn build(
        &self,
        service: &Service,
        listen: SocketAddr,
        slots: Option<u32>,
        ignore: &[String],
    ) -> Result<Proxy, Failure> {
        let settings = self.settings(service, listen, slots);
        let settings = ProxySettings { ignore: ignore.to_vec(), ..settings };
        let proxy = Proxy::bind(settings, clock::now).await;
        proxy.map_err(|error| Failure::of_service(&service.name, &error, error.hint()))
    }

    pub(super) fn settings(
        &self,
        service: &Service,
        listen: SocketAddr,
        slots: Option<u32>,
    ) -> ProxySettings {
        ProxySettings {
            slots,
            service: service.name.clone(),
            page: service.hold.page,
            wait_limit_ms: service.hold.limit_ms,
            eject_max: service.policy.timing.eject_max,
            late_after_ms: service.policy.rule.objective().map(|objective| objective.within_ms),
            ..self.connections(listen)
        }
    }

    /// The settings for an address that belongs to no service.
    pub(super) fn connections(&self, listen: SocketAddr) -> ProxySettings {
        let Self { room, trusted } = self;
        ProxySettings {
            listen,
            connections_max: room.per_proxy,
            connections_per_client: room.per_client,
            budget: Arc::clone(&room.budget),
            trusted: trusted.clone(),
            ..ProxySettings::default()
        }
    }

    /// How many connections the embedded proxies take, where there are any.
    pub(super) fn check(&self, config: &Config) -> Option<Finding> {
        let is_proxy = |service: &Service| matches!(service.balancer, Balancer::Proxy { .. });
        if !labelled::anywhere(config) && !config.services.values().any(is_proxy) {
            return None;
        }
        let Room { connections, per_client, .. } = &self.room;
        let text = format!("up to {connections} client connections, {per_client} per client");
        Some(Finding::good("proxy.connections", text))
    }
}
