//! What one look changes: orders for servers that were found, their places, and first answers.

use std::collections::BTreeSet;

use flyball_core::observation::Route;
use flyball_core::units::{ReplicaId, Timestamp};

use super::DesiredState;
use super::order::{Order, adopted, is_unclaimed, unclaimed};
use crate::ids::Free;
use crate::mark;
use crate::stat::{Admin, Snapshot};
use crate::template_servers::FreeServers;
use crate::worker::Departed;

/// A template server in use that no order has claimed for this long is reported as a server of its
/// own, so that the plan drains it. Until then a restarted flyball finds its replicas again.
const CLAIM_MS: u64 = 60_000;

impl DesiredState {
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
        self.claim_template_servers(at, &snapshot);
        self.number(&snapshot);
        self.see_faults(at, &snapshot);
        let answered = self.see_answers(at, &snapshot);
        let idle = self.idle_drains(&snapshot) > idle_before;
        self.forget_gone(&snapshot);
        self.seen = Some((at, snapshot));
        self.silence = None;
        answered || idle || replaced.is_some()
    }

    /// Servers that carry the mark and were not ordered.
    fn adopt(&mut self, at: Timestamp, snapshot: &Snapshot) {
        if self.settings.template_servers.is_some() {
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

    /// Gives each order without a template server the one that has its address already, or else a
    /// free one.
    fn claim_template_servers(&mut self, at: Timestamp, snapshot: &Snapshot) {
        let Some(template_servers) = self.settings.template_servers.clone() else { return };
        let mut pool = FreeServers::new(&template_servers, snapshot);
        let claims = self.orders.iter_mut().filter(|(replica, _)| !is_unclaimed(replica));
        let mut claims: Vec<&mut Order> = claims.map(|(_, order)| order).collect();
        for order in &mut claims {
            // A reload may have left fewer template servers.
            order.template_server =
                order.template_server.take_if(|template_server| pool.take(template_server));
        }
        for order in claims.into_iter().filter(|order| order.template_server.is_none()) {
            order.template_server = pool.claim(order.address);
        }
        // An unclaimed server whose replica has been found, or that is gone, needs no order.
        self.orders.retain(|replica, order| {
            !is_unclaimed(replica)
                || order
                    .template_server
                    .as_ref()
                    .is_some_and(|template_server| pool.take(template_server))
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
        if self.settings.template_servers.is_some() {
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
        let limit_ms = self.settings.drain_limit_ms;
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
                || server.is_some_and(|server| order.template_server.is_none() || server.is_used())
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
}
