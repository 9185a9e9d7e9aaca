//! What may go wrong with replicas and their balancer; callers choose when. A lost request is
//! counted as lost.

use std::cmp::Reverse;

use flyball_core::observation::Exit;
use flyball_core::units::ReplicaId;

use super::World;
use super::arrivals::MS;
use super::replica::{Kind, Replica, ReplicaEnd};

/// Exits that an engine remembers.
const EXITS_MAX: usize = 20;

impl World {
    /// The replica in `slot` ends by itself. The balancer keeps its server until it is drained.
    pub fn crash(&mut self, slot: usize, reason: &str) {
        let replica = &self.replicas[slot];
        if replica.phase.is_none() {
            return;
        }
        let ready_ms = replica.ready_ns.map(|at| (self.now_ns - at) / MS);
        let replica = replica.id.clone();
        let at = self.now();
        let reason = reason.to_owned();
        if self.exits.len() == EXITS_MAX {
            self.exits.pop_front();
        }
        self.exits.push_back(Exit { replica, at, ready_ms, reason });
        self.vanish(slot);
    }

    /// The balancer begins again, and everything on its way through it is lost; all that it knew of
    /// servers, too, if `servers`.
    pub fn restart_balancer(&mut self, servers: bool) {
        let waiting = self.line.len() as u64;
        self.line.clear();
        self.shown.outdated = true;
        self.fail(waiting);
        for slot in 0..self.replicas.len() {
            self.lose(slot);
            let replica = &mut self.replicas[slot];
            replica.served = 0;
            replica.first_served_ns = None;
            if servers {
                replica.route = None;
            }
            self.reopen(slot);
            self.leave(slot);
        }
        self.counters = super::Counters { epoch: self.counters.epoch + 1, arrivals: 0, errors: 0 };
    }

    /// Requests that arrive from now on are `factor` times the work.
    pub fn change_work(&mut self, factor: f64) {
        self.work_factor = factor;
    }

    /// Somebody else starts a replica called `id`.
    pub fn start_foreign(&mut self, id: &ReplicaId) {
        self.start(id);
    }

    /// CPU counters begin again from zero, as of containers that were restarted in place.
    pub fn forget_cpu(&mut self) {
        self.replicas.iter_mut().for_each(Replica::forget_cpu);
    }

    /// What has not gone wrong yet does not any more.
    pub fn mend(&mut self) {
        self.fate = ReplicaEnd::Lives;
        self.changes.retain(|Reverse(change)| change.kind != Kind::Ends);
        self.replicas.iter_mut().for_each(|replica| replica.protected = false);
    }
}
