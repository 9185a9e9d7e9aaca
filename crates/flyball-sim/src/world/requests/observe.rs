//! What a look sees: the same counters that live engines and balancers hand over.
//!
//! Decides nothing. Invariant: every reading carries the time at which it was true; with a metric
//! lag, counters are those of a moment that far back and say so.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use flyball_core::observation::{
    BalancerReport, CpuCounter, EngineReport, Observation, Reading, ReplicaReport, ServerReport,
};
use flyball_core::units::{ReplicaId, Timestamp};

use super::World;
use super::arrivals::MS;
use super::replica::Replica;

/// Counters of an earlier look.
#[derive(Debug)]
pub(super) struct Past {
    at: Timestamp,
    balancer: BalancerReport,
    cpu: BTreeMap<ReplicaId, CpuCounter>,
}

impl World {
    /// What a look sees now.
    pub fn observe(&mut self) -> Observation {
        let at = self.now();
        let mut engine = self.engine_report();
        let balancer = self.setup.balanced.then(|| self.balancer_report());
        let (balancer_at, balancer) = match (self.setup.metric_lag_ms, balancer) {
            (0, balancer) => (at, balancer),
            (_, None) => (at, None),
            (lag_ms, Some(balancer)) => self.of_the_past(lag_ms, balancer, &mut engine),
        };
        Observation {
            at,
            wall_ms: i64::try_from(at.as_ms()).unwrap_or(i64::MAX),
            engine: Reading::Taken { at, value: engine },
            balancer: balancer.map(|value| Reading::Taken { at: balancer_at, value }),
            manual: None,
            advice: None,
        }
    }

    /// Every replica there is, with its CPU counter of now.
    pub(crate) fn engine_report(&mut self) -> EngineReport {
        let (now_ns, at) = (self.now_ns, self.now());
        let mut replicas = Vec::new();
        for replica in self.replicas.iter_mut() {
            replica.accrue(now_ns, &self.setup);
            replicas.extend(report(replica, at, self.setup.cpu_limit_cores));
        }
        replicas.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let exits = self.exits.iter().cloned().collect();
        EngineReport { replicas, exits, busy: None, pending: None }
    }

    /// The balancer's counters and servers.
    pub(crate) fn balancer_report(&self) -> BalancerReport {
        let server = |replica: &Replica| {
            let report = ServerReport {
                route: replica.route?,
                in_flight: replica.in_flight,
                served: replica.served,
                first_served_at: replica.first_served_ns.map(timestamp),
            };
            Some((replica.id.clone(), report))
        };
        BalancerReport {
            epoch: self.counters.epoch,
            arrivals: self.counters.arrivals,
            errors: self.counters.errors,
            waiting: u32::try_from(self.line.len()).unwrap_or(u32::MAX),
            servers: self.replicas.iter().filter_map(server).collect(),
            latency: self.latencies.told(),
        }
    }

    /// The newest counters that are `lag_ms` old; today's are kept for later. CPU of replicas that
    /// are too young to have any is missing.
    fn of_the_past(
        &mut self,
        lag_ms: u64,
        balancer: BalancerReport,
        engine: &mut EngineReport,
    ) -> (Timestamp, Option<BalancerReport>) {
        let at = self.now();
        let replicas = engine.replicas.iter();
        let cpu = replicas.filter_map(|r| Some((r.id.clone(), r.cpu?))).collect();
        self.past.push_back(Past { at, balancer, cpu });
        while self.past.get(1).is_some_and(|past| at.ms_since(past.at) >= lag_ms) {
            self.past.pop_front();
        }
        let Some(past) = self.past.front() else { return (at, None) };
        for replica in &mut engine.replicas {
            replica.cpu = past.cpu.get(&replica.id).copied();
        }
        (past.at, Some(past.balancer.clone()))
    }
}

fn report(replica: &Replica, at: Timestamp, cpu_limit_cores: f64) -> Option<ReplicaReport> {
    Some(ReplicaReport {
        id: replica.id.clone(),
        phase: replica.phase?,
        asked_at: timestamp(replica.asked_ns),
        ready_at: replica.ready_ns.map(timestamp),
        address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        cpu: Some(CpuCounter { at, used_ns: replica.cpu_ns() }),
        throttled: None,
        cpu_limit_cores,
        protected: replica.protected,
    })
}

fn timestamp(ns: u64) -> Timestamp {
    Timestamp::from_ms(ns / MS)
}
