//! What may go wrong with replicas and their balancer, whoever causes it.
//!
//! Decides nothing: when and how often is somebody else's. Invariant: a request that is lost is
//! counted as lost.

use flyball_core::observation::Exit;
use flyball_core::units::ReplicaId;

use super::World;
use super::arrivals::MS;

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
        let (replica, at, reason) = (replica.id.clone(), self.now(), reason.to_owned());
        if self.exits.len() == EXITS_MAX {
            self.exits.pop_front();
        }
        self.exits.push_back(Exit { replica, at, ready_ms, reason });
        self.vanish(slot);
    }

    /// The balancer begins again: its counters, and all it knew of servers, if `servers`.
    pub fn restart_balancer(&mut self, servers: bool) {
        self.counters = super::Counters { epoch: self.counters.epoch + 1, arrivals: 0, errors: 0 };
        for slot in 0..self.replicas.len() {
            self.replicas[slot].served = 0;
            self.replicas[slot].first_served_ns = None;
            if servers {
                self.replicas[slot].route = None;
                self.reopen(slot);
            }
        }
    }

    /// Somebody else starts a replica called `id`.
    pub fn start_foreign(&mut self, id: &ReplicaId) {
        self.start(id);
    }

    /// CPU counters begin again from zero, as of containers that were restarted in place.
    pub fn forget_cpu(&mut self) {
        self.replicas.iter_mut().for_each(super::Replica::forget_cpu);
    }
}
