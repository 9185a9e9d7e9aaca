//! A plan's steps carried out. Every order is idempotent, and one for something unknown does
//! nothing, as with the real engines and balancers.

use flyball_core::observation::{Phase, Route};
use flyball_core::plan::Step;
use flyball_core::units::ReplicaId;

use super::World;
use super::arrivals::MS;
use super::replica::{Kind, Replica, ReplicaEnd};
use super::service::Spread;
use crate::seed::Purpose;

impl World {
    /// Carries out one step.
    pub fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Start { replica, .. } => self.start(replica),
            Step::Route { replica, .. } => self.route(replica),
            Step::Drain { replica } => self.drain(replica),
            Step::Stop { replica, .. } => self.stop(replica),
            // No engine of this world keeps a count of its own.
            Step::Scale { .. } => {}
        }
    }

    /// Asks for a replica; nothing if there is one of that name.
    pub(super) fn start(&mut self, id: &ReplicaId) {
        if self.index_of(id).is_some() {
            return;
        }
        let mut chance = self.seed.lane(Purpose::StartLags, self.starts);
        self.starts += 1;
        let lag_ns = self.setup.start_lag.draw_ns(&mut chance);
        let slowness = match self.setup.imbalance_cv {
            0.0 => 1.0,
            cv => Spread::Lognormal { cv }.factor(&mut chance),
        };
        let now_ns = self.now_ns;
        let fate = self.fate;
        let slot = self.place(|before| Replica::asked(id.clone(), now_ns, slowness, before));
        if fate != ReplicaEnd::Hangs {
            self.later(slot, lag_ns, Kind::Ready);
        }
        if let ReplicaEnd::EndsAfterMs(ms) = fate {
            self.later(slot, ms * MS, Kind::Ends);
        }
    }

    /// A replica that has long been there and serves from now on.
    pub(super) fn stand(&mut self, id: ReplicaId) {
        let now_ns = self.now_ns;
        let slot = self.place(|before| Replica::asked(id, now_ns, 1.0, before));
        let replica = &mut self.replicas[slot];
        replica.phase = Some(Phase::Ready);
        replica.route = Some(Route::Routed);
        let long_ago_ns = Some(now_ns / 2);
        replica.ready_ns = long_ago_ns;
        replica.first_served_ns = long_ago_ns;
        replica.asked_ns = 0;
        self.reopen(slot);
    }

    fn route(&mut self, id: &ReplicaId) {
        if !self.setup.balanced {
            return;
        }
        if let Some(slot) = self.index_of(id) {
            self.replicas[slot].route = Some(Route::Routed);
            self.shown.outdated = true;
            self.reopen(slot);
        }
    }

    fn drain(&mut self, id: &ReplicaId) {
        if let Some(slot) = self.index_of(id)
            && self.replicas[slot].route.is_some()
        {
            self.replicas[slot].route = Some(Route::Draining);
            self.reopen(slot);
            self.leave(slot);
        }
    }

    fn stop(&mut self, id: &ReplicaId) {
        let Some(slot) = self.index_of(id) else { return };
        let replica = &mut self.replicas[slot];
        if matches!(replica.phase, None | Some(Phase::Stopping)) {
            return;
        }
        replica.accrue(self.now_ns, &self.setup);
        replica.phase = Some(Phase::Stopping);
        self.reopen(slot);
        self.later(slot, self.setup.stop_ms * MS, Kind::Stops);
        self.later(slot, self.setup.grace_ms.max(self.setup.stop_ms) * MS, Kind::Killed);
    }
}
