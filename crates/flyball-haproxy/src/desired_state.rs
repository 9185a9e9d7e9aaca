//! The ordered servers beside those last seen in HAProxy, and the difference.
//!
//! A report contains what was seen, never what was ordered. A flyball server without an order
//! (after a restart, or from a file) is adopted as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use flyball_core::observation::{BalancerReport, Reading, Route, ServerReport};
use flyball_core::units::{ReplicaId, Timestamp};

use crate::beside;
use crate::change::{Change, What};
use crate::error::HaproxyError;
use crate::ids::Free;
use crate::mark;
use crate::settings::{HaproxySettings, Mode, Slots};
use crate::sick::Sick;
use crate::slots::SlotPool;
use crate::stat::{Admin, Process, Server, Snapshot};
use crate::worker::Departed;

/// Beyond the drain limit, for the replica to be stopped: only then are its connections cut here.
const CUT_AFTER_MS: u64 = 10_000;
/// A slot in use that no order has claimed for this long is reported as a server of its own, so
/// that the plan drains it. Until then a restarted flyball finds its replicas again.
const CLAIM_MS: u64 = 60_000;
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
    rules: Rules,
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

/// The settings that decide what has to change.
struct Rules {
    slots: Option<Slots>,
    backend: String,
    drain_limit_ms: u64,
    /// Of flyball's servers where they are alone.
    weight: u16,
    must_ask: bool,
}

/// What was ordered for one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    address: SocketAddr,
    route: Route,
    since: Timestamp,
    /// The slot it has, where there are slots.
    slot: Option<String>,
    /// The number of its server, where there are none.
    id: Option<u32>,
}

/// One line of the file. What has no address is a free slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) id: Option<u32>,
}

impl DesiredState {
    pub(crate) fn new(settings: &HaproxySettings, now: Timestamp) -> Self {
        let (slots, backend) = (settings.slots.clone(), settings.backend.clone());
        Self {
            rules: Rules {
                slots,
                backend,
                drain_limit_ms: settings.drain_limit_ms,
                weight: settings.server_options.weight,
                must_ask: settings.must_ask,
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
            slot: None,
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

    /// Takes in one look made at `at`. Returns whether the loop should look, too: a drained server
    /// is idle, one has given its first answer, or another process answered.
    pub(crate) fn take_in(&mut self, at: Timestamp, snapshot: Snapshot) -> bool {
        let (seen_at, before) = self.seen.take().unzip();
        // Looks may overlap; each is taken in after it was made, so the newest is the truth.
        let at = seen_at.map_or(at, |seen_at: Timestamp| seen_at.max(at));
        let idle_before = before.as_ref().map_or(0, |before| self.idle_drains(before));
        let replaced = before.filter(|before| before.process != snapshot.process);
        if let Some(before) = &replaced {
            self.departed.push(Departed::new(&before.process, &snapshot.process, at));
            self.left_behind.extend(self.orders.keys().cloned());
            self.sick.restart();
        }
        self.first_seen.get_or_insert(at);
        self.see_departed(at);
        self.adopt(at, &snapshot);
        self.claim_slots(at, &snapshot);
        self.number(&snapshot);
        self.see_faults(at, &snapshot);
        let answered = self.see_answers(at, &snapshot);
        let idle = self.idle_drains(&snapshot) > idle_before;
        self.forget_gone(&snapshot);
        self.seen = Some((at, snapshot));
        self.silence = None;
        answered || idle || replaced.is_some()
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

    /// Servers that carry the mark and were not ordered.
    fn adopt(&mut self, at: Timestamp, snapshot: &Snapshot) {
        if self.rules.slots.is_some() {
            return;
        }
        for (name, server) in &snapshot.servers {
            let Some((replica, address)) = mark::replica(name).zip(server.address) else {
                continue;
            };
            let order = adopted(server, address, at, None);
            self.orders.entry(replica).or_insert(order);
        }
    }

    /// Gives each order without a slot the one that has its address already, or else a free one.
    fn claim_slots(&mut self, at: Timestamp, snapshot: &Snapshot) {
        let Some(slots) = self.rules.slots.clone() else { return };
        let mut pool = SlotPool::new(&slots, snapshot);
        let owners = self.orders.iter_mut().filter(|(replica, _)| !is_stray(replica));
        let mut owners: Vec<&mut Order> = owners.map(|(_, order)| order).collect();
        for order in &mut owners {
            // A reload may have left fewer slots.
            order.slot = order.slot.take_if(|slot| pool.take(slot));
        }
        for order in owners.into_iter().filter(|order| order.slot.is_none()) {
            order.slot = pool.claim(order.address);
        }
        // A unclaimed whose slot has found its owner, or is gone, is none any more.
        self.orders.retain(|replica, order| {
            !is_stray(replica) || order.slot.as_ref().is_some_and(|slot| pool.take(slot))
        });
        let waited = self.first_seen.is_some_and(|first| at.ms_since(first) >= CLAIM_MS);
        for (name, server, address) in pool.in_use() {
            if waited || server.admin == Admin::Drain {
                let order = adopted(server, address, at, Some(name.to_owned()));
                self.orders.insert(unclaimed(name), order);
            }
        }
    }

    /// Gives each order its server's number, or one that no server has.
    fn number(&mut self, snapshot: &Snapshot) {
        if self.rules.slots.is_some() {
            return;
        }
        let seen = |replica: &ReplicaId| snapshot.servers.get(&mark::server_name(replica));
        let mut taken: BTreeSet<u32> = snapshot.servers.values().filter_map(|s| s.id).collect();
        for (replica, order) in &mut self.orders {
            match seen(replica) {
                Some(server) => order.id = server.id,
                // After a reload its number may belong to another server.
                None => order.id = order.id.filter(|id| taken.insert(*id)),
            }
        }
        let mut free = Free::beside(taken);
        for (replica, order) in &mut self.orders {
            if order.id.is_none() && seen(replica).is_none() {
                order.id = Some(free.take());
            }
        }
    }

    fn see_faults(&mut self, at: Timestamp, snapshot: &Snapshot) {
        let mut sick = std::mem::take(&mut self.sick);
        let routed = self.orders.iter().filter(|(_, order)| order.route == Route::Routed);
        sick.take_in(at, routed.filter_map(|(id, o)| Some((id, self.row(id, o, snapshot)?))));
        self.sick = sick;
    }

    fn see_departed(&mut self, at: Timestamp) {
        let limit_ms = self.rules.drain_limit_ms;
        self.departed.retain(|departed| departed.may_live(at, limit_ms));
        if self.departed.is_empty() {
            self.left_behind.clear();
        }
    }

    /// Dates first answers; returns whether there is one.
    fn see_answers(&mut self, at: Timestamp, snapshot: &Snapshot) -> bool {
        let known = self.first_served.len();
        for (replica, order) in &self.orders {
            if self.row(replica, order, snapshot).is_some_and(|server| server.served > 0) {
                self.first_served.entry(replica.clone()).or_insert(at);
            }
        }
        self.first_served.len() > known
    }

    fn idle_drains(&self, snapshot: &Snapshot) -> usize {
        let idle = |(replica, order): &(&ReplicaId, &Order)| {
            let server = self.row(replica, order, snapshot);
            let in_flight = server.map_or(0, |server| server.in_flight);
            order.route == Route::Draining
                && in_flight == 0
                && server.is_none_or(|server| !server.takes_requests())
                && !self.left_behind.contains(*replica)
        };
        self.orders.iter().filter(idle).count()
    }

    /// A drained server that is deleted needs no order any more.
    fn forget_gone(&mut self, snapshot: &Snapshot) {
        let stays = |replica: &ReplicaId, order: &Order| {
            let server = self.row(replica, order, snapshot);
            order.route == Route::Routed
                || self.left_behind.contains(replica)
                || server.is_some_and(|server| order.slot.is_none() || server.is_used())
        };
        let gone: Vec<ReplicaId> = self
            .orders
            .iter()
            .filter(|(replica, order)| !stays(replica, order))
            .map(|(replica, _)| replica.clone())
            .collect();
        for replica in gone {
            self.orders.remove(&replica);
            self.first_served.remove(&replica);
        }
    }

    fn row<'a>(
        &self,
        replica: &ReplicaId,
        order: &Order,
        snapshot: &'a Snapshot,
    ) -> Option<&'a Server> {
        snapshot.servers.get(&self.rules.name(replica, order)?)
    }

    /// The process that was seen last.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.seen.as_ref().map(|(_, snapshot)| &snapshot.process)
    }

    /// That nothing may be changed, if only a label named a backend that does not ask for flyball.
    pub(crate) fn not_asked(&self) -> Option<HaproxyError> {
        let (_, snapshot) = self.seen.as_ref()?;
        let backend = self.rules.backend.clone();
        let refused = self.rules.must_ask && !beside::asks(snapshot);
        refused.then_some(HaproxyError::NotAsked { backend })
    }

    /// The weight that flyball's servers have, as of the last look.
    pub(crate) fn weight(&self) -> u16 {
        let Rules { slots, weight, .. } = &self.rules;
        let seen = self.seen.as_ref();
        seen.map_or(*weight, |(_, snapshot)| beside::weight(snapshot, slots.as_ref(), *weight))
    }

    /// The servers of others that share the requests.
    pub(crate) fn others(&self) -> Vec<String> {
        let seen = self.seen.iter();
        let all =
            seen.flat_map(|(_, snapshot)| beside::others(snapshot, self.rules.slots.as_ref()));
        all.filter(|(_, server)| !server.is_backup).map(|(name, _)| name.to_owned()).collect()
    }

    /// What has to be done for HAProxy to hold what was ordered, as of the last look.
    pub(crate) fn changes(&self, now: Timestamp) -> Vec<Change> {
        let Some((_, snapshot)) = self.seen.as_ref().filter(|_| self.not_asked().is_none()) else {
            return Vec::new();
        };
        let weight = self.weight();
        let change = |(replica, order): (&ReplicaId, &Order)| {
            let name = self.rules.name(replica, order)?;
            let server = snapshot.servers.get(&name);
            let what = match order.route {
                Route::Routed => self
                    .rules
                    .to_route(order, server, weight)
                    .or_else(|| self.to_spare(replica, server?))
                    .or_else(|| self.to_hold(replica, server?, now)),
                Route::Draining => self.rules.to_drain(order, server?, now),
            };
            Some(Change { name, what: what? })
        };
        self.orders.iter().filter_map(change).collect()
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
        let slots = self.rules.slots.as_ref()?;
        let (_, snapshot) = self.seen.as_ref()?;
        let waiting = self.orders.values().filter(|order| order.slot.is_none()).count();
        let count = snapshot.servers.keys().filter(|name| slots.has(name)).count();
        let backend = self.rules.backend.clone();
        (waiting > 0).then_some(HaproxyError::NoSlot { backend, count, waiting })
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
            let name = self.rules.name(id, order)?;
            let line = Line { name: name.clone(), address: Some(order.address), id: order.id };
            Some((name, line))
        };
        let mut lines: BTreeMap<String, Line> = routed.filter_map(line).collect();
        let Some(slots) = &self.rules.slots else { return Some(lines.into_values().collect()) };
        let slot =
            |name: String| lines.remove(&name).unwrap_or(Line { name, address: None, id: None });
        Some(slots.names().map(slot).collect())
    }

    /// The last thing that was seen, with its own time.
    pub(crate) fn reading(&self) -> Reading<BalancerReport> {
        match &self.seen {
            Some((at, snapshot)) => Reading::Taken { at: *at, value: self.report(snapshot) },
            None => Reading::Missing {
                since: self.started,
                why: self.silence.clone().unwrap_or_default(),
            },
        }
    }

    fn report(&self, snapshot: &Snapshot) -> BalancerReport {
        let server = |(replica, order): (&ReplicaId, &Order)| {
            let seen = self.row(replica, order, snapshot);
            let behind = order.route == Route::Draining && self.left_behind.contains(replica);
            let route = match seen {
                Some(server) if server.takes_requests() => Route::Routed,
                Some(server) if server.admin == Admin::Ready => order.route,
                Some(server) if server.is_used() || order.slot.is_none() => Route::Draining,
                _ if behind => Route::Draining,
                _ => return None,
            };
            let in_flight = seen.map_or(0, |server| server.in_flight);
            Some((
                replica.clone(),
                ServerReport {
                    route,
                    in_flight: if behind { in_flight.max(1) } else { in_flight },
                    served: seen.map_or(0, |server| server.served),
                    first_served_at: self.first_served.get(replica).copied(),
                    health: self.sick.health(replica),
                },
            ))
        };
        BalancerReport {
            epoch: snapshot.process.epoch(),
            arrivals: snapshot.backend.arrivals,
            errors: snapshot.backend.errors,
            failures: snapshot.backend.failures,
            waiting: snapshot.backend.queued,
            servers: self.orders.iter().filter_map(server).collect(),
            latency: None,
            trouble: self.refusal.clone().or_else(|| self.sick.trouble()),
        }
    }
}

impl Rules {
    /// The server of an order; `None` while it has no slot.
    fn name(&self, replica: &ReplicaId, order: &Order) -> Option<String> {
        match self.slots {
            Some(_) => order.slot.clone(),
            None => Some(mark::server_name(replica)),
        }
    }

    fn to_route(&self, order: &Order, server: Option<&Server>, weight: u16) -> Option<What> {
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

    fn to_drain(&self, order: &Order, server: &Server, now: Timestamp) -> Option<What> {
        let cut_after_ms = self.drain_limit_ms.saturating_add(CUT_AFTER_MS);
        match server.admin {
            Admin::Ready if server.takes_requests() => Some(What::Drain),
            _ if server.in_flight > 0 && now.ms_since(order.since) > cut_after_ms => {
                Some(What::Cut)
            }
            // It is down, and whether it drains does not show: it must not come back to requests.
            Admin::Ready if server.in_flight > 0 => Some(What::Drain),
            _ if server.in_flight > 0 => None,
            _ if self.slots.is_none() => Some(What::Delete),
            Admin::Ready | Admin::Drain => Some(What::Vacate),
            Admin::Maintenance => None,
        }
    }
}

fn adopted(server: &Server, address: SocketAddr, at: Timestamp, slot: Option<String>) -> Order {
    let route = if server.admin == Admin::Ready { Route::Routed } else { Route::Draining };
    let id = server.id.filter(|_| slot.is_none());
    Order { address, route, since: at, slot, id }
}

const STRAY: &str = "slot:";

/// The name under which a slot of an unknown replica is reported.
fn unclaimed(slot: &str) -> ReplicaId {
    ReplicaId::new(format!("{STRAY}{slot}"))
}

fn is_stray(replica: &ReplicaId) -> bool {
    replica.as_str().starts_with(STRAY)
}

#[cfg(test)]
mod tests;
