//! The embedded balancer: built and checked from the configuration.

mod room;

use std::net::SocketAddr;
use std::sync::Arc;

use flyball_config::{Balancer, Config, Service};
use flyball_proxy::{Proxy, ProxySettings};
use ipnet::IpNet;

use crate::clock;
use crate::daemon::labelled;
use crate::descriptors::Budget;
use crate::failure::Failure;
use crate::finding::Finding;
use room::Room;

/// Running requests get this long to end when flyball stops.
pub(super) const GOODBYE_MS: u64 = 5_000;

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

    fn settings(&self, service: &Service, listen: SocketAddr, slots: Option<u32>) -> ProxySettings {
        let Self { room, trusted } = self;
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
