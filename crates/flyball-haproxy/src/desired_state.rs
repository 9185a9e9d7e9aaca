//! What HAProxy is to have: an order for each replica, beside what was last seen there, and the
//! difference. A server of flyball's without an order (after a restart, or from a file) is adopted
//! as it is.

mod activator;
mod observe;
mod order;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use flyball_core::observation::Route;
use flyball_core::units::{ReplicaId, Timestamp};

use crate::beside;
use crate::change::{Change, What};
use crate::error::HaproxyError;
use crate::mark;
use crate::settings::{HaproxySettings, Mode};
use crate::sick::Sick;
use crate::stat::{Process, Server, Snapshot};
use crate::worker::Departed;

use order::{Order, OrderSettings};

/// A server that was ordered no longer ago than this and has answered nothing is looked at often.
const YOUNG_MS: u64 = 1_000;
/// A drain that takes longer than this is not in a hurry any more.
const LONG_DRAIN_MS: u64 = 5_000;
/// Between looks while something is under way. A look costs HAProxy 0.2 to 0.4 ms of CPU with 10
/// to 100 servers.
const BUSY_PACE_MS: u64 = 50;
/// Between looks while only long drains are under way, and servers kept out.
const SLOW_PACE_MS: u64 = 500;

/// What one adapter knows.
pub(crate) struct DesiredState {
    settings: OrderSettings,
    orders: BTreeMap<ReplicaId, Order>,
    seen: Option<(Timestamp, Snapshot)>,
    /// Why the last look failed.
    silence: Option<String>,
    /// What HAProxy, or the file, did not do as asked in the last round.
    refusal: Option<String>,
    sick: Sick,
    started: Timestamp,
    first_seen: Option<Timestamp>,
    first_served: BTreeMap<ReplicaId, Timestamp>,
    /// Processes that reloads have replaced.
    departed: Vec<Departed>,
    /// Replicas that they may still have requests for.
    left_behind: BTreeSet<ReplicaId>,
}

/// One line of the file. What has no address is a free template server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) id: Option<u32>,
}

impl DesiredState {
    pub(crate) fn new(settings: &HaproxySettings, now: Timestamp) -> Self {
        let (template_servers, backend) =
            (settings.template_servers.clone(), settings.backend.clone());
        Self {
            settings: OrderSettings {
                template_servers,
                backend,
                drain_limit_ms: settings.drain_limit_ms,
                weight: settings.server_options.weight,
                must_ask: settings.must_ask,
                activator: settings.activator,
            },
            orders: BTreeMap::new(),
            seen: None,
            silence: None,
            refusal: None,
            sick: Sick::default(),
            started: now,
            first_seen: None,
            first_served: BTreeMap::new(),
            departed: Vec::new(),
            left_behind: BTreeSet::new(),
        }
    }

    /// Orders that `replica` gets requests at `address`.
    pub(crate) fn route(&mut self, replica: &ReplicaId, address: SocketAddr, now: Timestamp) {
        let order = self.orders.entry(replica.clone()).or_insert(Order {
            address,
            route: Route::Routed,
            since: now,
            template_server: None,
            id: None,
        });
        if (order.address, order.route) != (address, Route::Routed) {
            (order.address, order.route, order.since) = (address, Route::Routed, now);
        }
    }

    /// Orders that `replica` gets no more requests.
    pub(crate) fn drain(&mut self, replica: &ReplicaId, now: Timestamp) {
        if let Some(order) = self.orders.get_mut(replica).filter(|o| o.route == Route::Routed) {
            (order.route, order.since) = (Route::Draining, now);
        }
    }

    /// A look failed.
    pub(crate) fn look_failed(&mut self, error: &HaproxyError) {
        self.silence = Some(error.in_one_line());
    }

    /// Why the last look failed, if it did. The reading is the one before, as old as it is.
    pub(crate) fn silence(&self) -> Option<String> {
        self.silence.clone()
    }

    /// A round has ended, with an order that was refused or with none.
    pub(crate) fn round_ended(&mut self, refusal: Option<&HaproxyError>) {
        self.refusal = refusal.map(HaproxyError::in_one_line);
    }

    fn row<'a>(
        &self,
        replica: &ReplicaId,
        order: &Order,
        snapshot: &'a Snapshot,
    ) -> Option<&'a Server> {
        snapshot.servers.get(&self.settings.name(replica, order)?)
    }

    /// The process that was seen last.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.seen.as_ref().map(|(_, snapshot)| &snapshot.process)
    }

    /// That nothing may be changed, if only a label named a backend that does not ask for flyball.
    pub(crate) fn not_asked(&self) -> Option<HaproxyError> {
        let (_, snapshot) = self.seen.as_ref()?;
        let backend = self.settings.backend.clone();
        let refused = self.settings.must_ask && !beside::asks(snapshot);
        refused.then_some(HaproxyError::NotAsked { backend })
    }

    /// The weight that flyball's servers have, as of the last look.
    pub(crate) fn weight(&self) -> u16 {
        let OrderSettings { template_servers, weight, .. } = &self.settings;
        let seen = self.seen.as_ref();
        seen.map_or(*weight, |(_, snapshot)| {
            beside::weight(snapshot, template_servers.as_ref(), *weight)
        })
    }

    /// The servers of others that share the requests.
    pub(crate) fn others(&self) -> Vec<String> {
        let seen = self.seen.iter();
        let all = seen.flat_map(|(_, snapshot)| {
            beside::others(snapshot, self.settings.template_servers.as_ref())
        });
        all.filter(|(_, server)| !server.is_backup).map(|(name, _)| name.to_owned()).collect()
    }

    /// What has to be done for HAProxy to hold what was ordered, as of the last look.
    pub(crate) fn changes(&self, now: Timestamp) -> Vec<Change> {
        let Some((_, snapshot)) = self.seen.as_ref().filter(|_| self.not_asked().is_none()) else {
            return Vec::new();
        };
        let weight = self.weight();
        let change = |(replica, order): (&ReplicaId, &Order)| {
            let name = self.settings.name(replica, order)?;
            let server = snapshot.servers.get(&name);
            let what = match order.route {
                Route::Routed => self
                    .settings
                    .to_route(order, server, weight)
                    .or_else(|| self.to_spare(replica, server?))
                    .or_else(|| self.to_hold(replica, server?, now)),
                Route::Draining => self.settings.to_drain(order, server?, now),
            };
            Some(Change { name, what: what? })
        };
        let activator = self.settings.to_activator(snapshot);
        activator.into_iter().chain(self.orders.iter().filter_map(change)).collect()
    }

    /// What takes the activator away, if it was seen there.
    pub(crate) fn activator_leaves(&self) -> Option<Change> {
        let (_, snapshot) = self.seen.as_ref().filter(|_| self.not_asked().is_none())?;
        let there =
            self.settings.activator.is_some() && snapshot.servers.contains_key(mark::ACTIVATOR);
        let (name, can_delete) = (mark::ACTIVATOR.to_owned(), snapshot.process.takes_servers());
        let what = if can_delete { What::Delete } else { What::Vacate };
        there.then_some(Change { name, what })
    }

    fn to_spare(&self, replica: &ReplicaId, server: &Server) -> Option<What> {
        (server.fault.is_some() && self.sick.is_spared(replica)).then_some(What::Spare)
    }

    fn to_hold(&self, replica: &ReplicaId, server: &Server, now: Timestamp) -> Option<What> {
        let comes_back = server.coming || server.fault.is_none();
        (comes_back && self.sick.is_held(replica, now)).then_some(What::Hold)
    }

    /// What the backend passes on; `None` before the first look.
    pub(crate) fn mode(&self) -> Option<Mode> {
        self.seen.as_ref().map(|(_, snapshot)| snapshot.backend.mode)
    }

    /// Why an order cannot be carried out at all, if one cannot.
    pub(crate) fn shortage(&self) -> Option<HaproxyError> {
        let template_servers = self.settings.template_servers.as_ref()?;
        let (_, snapshot) = self.seen.as_ref()?;
        let waiting = self.orders.values().filter(|order| order.template_server.is_none()).count();
        let count = snapshot.servers.keys().filter(|name| template_servers.has(name)).count();
        let backend = self.settings.backend.clone();
        (waiting > 0).then_some(HaproxyError::NoTemplateServer { backend, count, waiting })
    }

    /// How soon the next look is due, if the loop's own may be too late: a server drains, is new
    /// and has not answered yet, or is used or not used against HAProxy's will. `None` also while
    /// HAProxy does not answer: the loop's looks ask.
    pub(crate) fn pace_ms(&self, now: Timestamp) -> Option<u64> {
        let pace = |(replica, order): (&ReplicaId, &Order)| {
            let age_ms = now.ms_since(order.since);
            match order.route {
                Route::Draining if age_ms < LONG_DRAIN_MS => Some(BUSY_PACE_MS),
                Route::Draining => Some(SLOW_PACE_MS),
                Route::Routed if age_ms >= YOUNG_MS => None,
                Route::Routed => (!self.first_served.contains_key(replica)).then_some(BUSY_PACE_MS),
            }
        };
        let spares = self.sick.spares().then_some(BUSY_PACE_MS);
        // Checks are 2 s apart, and two of them let a server back in.
        let holds = self.sick.holds(now).then_some(SLOW_PACE_MS);
        let pace = self.orders.iter().filter_map(pace).chain(spares).chain(holds).min();
        pace.filter(|_| self.silence.is_none())
    }

    /// The server lines for the file; `None` before the first look. Draining servers are left out: a
    /// reload gives them nothing more.
    pub(crate) fn lines(&self) -> Option<Vec<Line>> {
        self.seen.as_ref()?;
        let routed = self.orders.iter().filter(|(_, order)| order.route == Route::Routed);
        let line = |(id, order): (&ReplicaId, &Order)| {
            let name = self.settings.name(id, order)?;
            let line = Line { name: name.clone(), address: Some(order.address), id: order.id };
            Some((name, line))
        };
        let mut lines: BTreeMap<String, Line> = routed.filter_map(line).collect();
        let Some(template_servers) = &self.settings.template_servers else {
            return Some(lines.into_values().collect());
        };
        let template_server =
            |name: String| lines.remove(&name).unwrap_or(Line { name, address: None, id: None });
        Some(template_servers.names().map(template_server).collect())
    }
}

#[cfg(test)]
mod tests;
