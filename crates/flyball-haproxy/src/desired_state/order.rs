//! What is ordered for one replica, and the change that brings its server there.

use std::net::SocketAddr;

use flyball_core::observation::Route;
use flyball_core::units::{ReplicaId, Timestamp};

use crate::change::What;
use crate::mark;
use crate::settings::TemplateServers;
use crate::stat::{Admin, Server};

/// Beyond the drain limit, for the replica to be stopped: only then are its connections cut here.
const CUT_AFTER_MS: u64 = 10_000;

/// The settings that decide what has to change.
pub(super) struct OrderSettings {
    pub(super) template_servers: Option<TemplateServers>,
    pub(super) backend: String,
    pub(super) drain_limit_ms: u64,
    /// Of flyball's servers where they are alone.
    pub(super) weight: u16,
    pub(super) must_ask: bool,
    /// Where requests go while no server is up.
    pub(super) activator: Option<SocketAddr>,
}

/// What was ordered for one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) address: SocketAddr,
    pub(super) route: Route,
    pub(super) since: Timestamp,
    /// Its server, where servers come from a template.
    pub(super) template_server: Option<String>,
    /// The number of its server, where there is no template.
    pub(super) id: Option<u32>,
}

impl OrderSettings {
    /// The server of an order; `None` while it has no template server.
    pub(super) fn name(&self, replica: &ReplicaId, order: &Order) -> Option<String> {
        match self.template_servers {
            Some(_) => order.template_server.clone(),
            None => Some(mark::server_name(replica)),
        }
    }

    pub(super) fn to_route(
        &self,
        order: &Order,
        server: Option<&Server>,
        weight: u16,
    ) -> Option<What> {
        match server {
            None => Some(What::Add { address: order.address, id: order.id?, weight }),
            Some(server) if server.address != Some(order.address) => {
                Some(What::Move(order.address))
            }
            Some(server) if server.weight.is_some_and(|it| it != weight) => {
                Some(What::Weigh(weight))
            }
            Some(server) if server.admin != Admin::Ready => Some(What::Ready),
            Some(_) => None,
        }
    }

    pub(super) fn to_drain(&self, order: &Order, server: &Server, now: Timestamp) -> Option<What> {
        let cut_after_ms = self.drain_limit_ms.saturating_add(CUT_AFTER_MS);
        match server.admin {
            Admin::Ready if server.takes_requests() => Some(What::Drain),
            _ if server.in_flight > 0 && now.ms_since(order.since) > cut_after_ms => {
                Some(What::Cut)
            }
            // It is down, and whether it drains does not show: it must not come back to requests.
            Admin::Ready if server.in_flight > 0 => Some(What::Drain),
            _ if server.in_flight > 0 => None,
            _ if self.template_servers.is_none() => Some(What::Delete),
            Admin::Ready | Admin::Drain => Some(What::Vacate),
            Admin::Maintenance => None,
        }
    }
}

pub(super) fn adopted(
    server: &Server,
    address: SocketAddr,
    at: Timestamp,
    template_server: Option<String>,
) -> Order {
    let route = if server.admin == Admin::Ready { Route::Routed } else { Route::Draining };
    let id = server.id.filter(|_| template_server.is_none());
    Order { address, route, since: at, template_server, id }
}

const UNCLAIMED: &str = "unclaimed:";

/// The name under which a template server of an unknown replica is reported.
pub(super) fn unclaimed(template_server: &str) -> ReplicaId {
    ReplicaId::new(format!("{UNCLAIMED}{template_server}"))
}

pub(super) fn is_unclaimed(replica: &ReplicaId) -> bool {
    replica.as_str().starts_with(UNCLAIMED)
}
