//! What the plan has asked for and what became of it, kept in step with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Failures;
use crate::observation::{BalancerReport, EngineReport, Phase, ReplicaReport, Route};
use crate::units::{ReplicaId, Timestamp};

/// Higher numbers in names are not counted: with a start each millisecond, this takes 8,000 years.
const NUMBER_MAX: u64 = 1 << 48;

/// What the plan remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanMemory {
    /// Replicas being drained, and since when.
    pub draining: BTreeMap<ReplicaId, Timestamp>,
    /// Replicas that were asked for since the engine's last report was made, and when.
    pub(crate) asked: BTreeMap<ReplicaId, Timestamp>,
    /// Where each replica was ordered to be routed to.
    pub(crate) routed: BTreeMap<ReplicaId, SocketAddr>,
    /// When a ready replica was last removed.
    pub removed_at: Option<Timestamp>,
    /// Starts that failed one after another.
    pub failures: Failures,
    /// Starts that were given up, of replicas that are still there.
    given_up: BTreeSet<ReplicaId>,
    /// The number of the next replica to be named.
    pub(crate) next_number: u64,
}

impl Default for PlanMemory {
    fn default() -> Self {
        Self {
            draining: BTreeMap::new(),
            asked: BTreeMap::new(),
            routed: BTreeMap::new(),
            removed_at: None,
            failures: Failures::default(),
            given_up: BTreeSet::new(),
            next_number: 1,
        }
    }
}

impl PlanMemory {
    /// Whether `replica` is ready and not being drained.
    pub(crate) fn serves(&self, replica: &ReplicaReport) -> bool {
        replica.phase == Phase::Ready && !self.draining.contains_key(&replica.id)
    }

    /// Those of `engine` that are ready and not being drained.
    pub(crate) fn serving<'a>(
        &'a self,
        engine: &'a EngineReport,
    ) -> impl Iterator<Item = &'a ReplicaReport> {
        engine.replicas.iter().filter(|replica| self.serves(replica))
    }

    /// Takes in what became of what was asked for. `is_first`: whether this is the first look.
    pub(super) fn follow(
        &mut self,
        now: Timestamp,
        engine: &EngineReport,
        balancer: Option<&BalancerReport>,
        is_first: bool,
    ) {
        self.forget_gone(engine);
        self.count_names(engine, balancer);
        if let Some(balancer) = balancer.filter(|_| is_first) {
            self.adopt_drains(now, engine, balancer);
        }
        self.failures.see(now, engine, self.next_number);
    }

    fn forget_gone(&mut self, engine: &EngineReport) {
        if !self.draining.is_empty() {
            // A replica that became protected while it drained comes back.
            let may_go = engine.replicas.iter().filter(|r| !r.protected);
            let may_go: BTreeSet<&ReplicaId> = may_go.map(|r| &r.id).collect();
            self.draining.retain(|id, _| may_go.contains(id));
        }
        if !self.given_up.is_empty() {
            let there: BTreeSet<&ReplicaId> = engine.replicas.iter().map(|r| &r.id).collect();
            self.given_up.retain(|id| there.contains(id));
        }
    }

    fn count_names(&mut self, engine: &EngineReport, balancer: Option<&BalancerReport>) {
        // A server may outlive its replica: its name is taken, too.
        let servers = balancer.iter().flat_map(|b| b.servers.keys());
        let names = engine.replicas.iter().map(|r| &r.id).chain(servers);
        // Somebody else's container may be called anything, and must not end the numbers.
        let numbers = names.filter_map(ReplicaId::number).filter(|number| *number < NUMBER_MAX);
        self.next_number = self.next_number.max(numbers.max().map_or(1, |used| used + 1));
    }

    /// Drains that an earlier run began go on.
    fn adopt_drains(&mut self, now: Timestamp, engine: &EngineReport, balancer: &BalancerReport) {
        for replica in engine.replicas.iter().filter(|replica| !replica.protected) {
            let server = balancer.servers.get(&replica.id);
            if server.is_some_and(|server| server.route == Route::Draining) {
                self.draining.insert(replica.id.clone(), now);
            }
        }
    }

    /// Takes a start for failed that has not become ready in time: once, however often the order to
    /// end it has to be given; gives the reason then. `answered` is what its readiness check was
    /// last answered.
    pub(crate) fn give_up(
        &mut self,
        now: Timestamp,
        replica: &ReplicaReport,
        answered: Option<&String>,
    ) -> Option<String> {
        self.given_up.insert(replica.id.clone()).then(|| {
            let took_ms = now.ms_since(replica.asked_at);
            let mut why = format!("{} was not ready after {} s", replica.id, took_ms / 1000);
            if let Some(answered) = answered {
                why += &format!(": {answered}");
            }
            let said = why.clone();
            self.failures.give_up(now, &replica.id, self.next_number, took_ms, said);
            why
        })
    }
}
