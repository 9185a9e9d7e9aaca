//! What a look sees of the fluid world: the same observation as the daemon's.
//!
//! Decides nothing. Meters lag: CPU and the balancer's counters are seen as they were a metric lag
//! ago, replicas as they are. Invariant: a replica without a reading shows none, never 0.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use flyball_core::observation::{
    BalancerReport, CpuCounter, EngineReport, Observation, Phase, Reading, ReplicaReport, Route,
    ServerReport,
};
use flyball_core::units::{ReplicaId, Timestamp};

use super::{Fluid, Replica};

/// Readings kept while they are younger than the metric lag; more looks than that see older ones.
const METERED_MAX: usize = 1_024;
/// Every replica of a simulation serves here.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What all meters said at one moment.
#[derive(Clone, Debug)]
pub(super) struct Metered {
    at: Timestamp,
    balancer: BalancerReport,
    used_ns: BTreeMap<ReplicaId, u64>,
}

impl Fluid<'_> {
    /// What a look sees now.
    pub fn observe(&mut self) -> Observation {
        let now = self.now();
        let lag_ms = self.physics.metric_lag_ms;
        let (engine, balancer) = if lag_ms == 0 {
            let engine = self.engine(|r| Some(CpuCounter { at: now, used_ns: whole(r.used_ns) }));
            (engine, Reading::Taken { at: now, value: self.balancer() })
        } else {
            self.read_meters();
            let seen = self.metered.front().filter(|m| now.ms_since(m.at) >= lag_ms);
            let cpu = |r: &Replica| {
                let used_ns = *seen?.used_ns.get(&r.id)?;
                Some(CpuCounter { at: seen?.at, used_ns })
            };
            let balancer = match seen {
                Some(seen) => Reading::Taken { at: seen.at, value: self.current_routes(seen) },
                None => Reading::Missing { since: super::ORIGIN, why: "no reading yet".to_owned() },
            };
            (self.engine(cpu), balancer)
        };
        Observation {
            at: now,
            wall_ms: i64::try_from(self.now_ms).unwrap_or(i64::MAX),
            engine: Reading::Taken { at: now, value: engine },
            balancer: Some(balancer),
            manual: None,
            advice: None,
        }
    }

    /// Reads every meter now, to be seen a metric lag later; drops what is older than the newest
    /// reading that can be seen.
    pub fn read_meters(&mut self) {
        let (now, lag_ms) = (self.now(), self.physics.metric_lag_ms);
        let used = |r: &Replica| (r.ready_at <= now).then(|| (r.id.clone(), whole(r.used_ns)));
        let used_ns = self.replicas.iter().filter_map(used).collect();
        self.metered.push_back(Metered { at: now, balancer: self.balancer(), used_ns });
        let seen = |m: &Metered| now.ms_since(m.at) >= lag_ms;
        while self.metered.get(1).is_some_and(seen) || self.metered.len() > METERED_MAX {
            self.metered.pop_front();
        }
    }

    /// Old counters with the routes of now: a balancer's orders are known at once.
    fn current_routes(&self, seen: &Metered) -> BalancerReport {
        let mut report = seen.balancer.clone();
        report.servers = self.balancer().servers;
        for (id, server) in &mut report.servers {
            server.served = seen.balancer.servers.get(id).map_or(0, |before| before.served);
        }
        report
    }

    fn engine(&self, cpu: impl Fn(&Replica) -> Option<CpuCounter>) -> EngineReport {
        let now = self.now();
        let report = |r: &Replica| {
            let ready = r.ready_at <= now;
            ReplicaReport {
                id: r.id.clone(),
                phase: if ready { Phase::Ready } else { Phase::Starting },
                asked_at: r.asked_at,
                ready_at: ready.then_some(r.ready_at),
                address: Some(ADDRESS),
                cpu: cpu(r),
                throttled: None,
                cpu_limit_cores: 1.0,
                protected: false,
            }
        };
        EngineReport {
            replicas: self.replicas.iter().map(report).collect(),
            ..EngineReport::default()
        }
    }

    fn balancer(&self) -> BalancerReport {
        let now = self.now();
        let busy = self.busy_slots();
        let server = |r: &Replica| {
            let route = r.route?;
            let in_flight = match route {
                Route::Routed => busy,
                Route::Draining => u32::from(r.drained_at.is_some_and(|at| at > now)),
            };
            let (served, first_served_at) = (count(r.served), r.first_served_at);
            Some((r.id.clone(), ServerReport { route, in_flight, served, first_served_at }))
        };
        BalancerReport {
            epoch: 1,
            arrivals: count(self.arrived),
            errors: count(self.unserved),
            waiting: u32::try_from(count(self.backlog.waiting())).unwrap_or(u32::MAX),
            servers: self.replicas.iter().filter_map(server).collect(),
            latency: None,
        }
    }

    /// Requests in each serving replica, as the load of the last piece of time has it.
    fn busy_slots(&self) -> u32 {
        let step = self.step_at(self.now_ms.saturating_sub(1));
        let load = self.trace.values[step.min(self.trace.values.len() - 1)];
        let serving = self.replicas.iter().filter(|r| r.serves()).count();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 replicas")]
        let share = load / (self.physics.replica_capacity * serving.max(1) as f64);
        let full = self.backlog.waiting() > 0.0;
        let slots = f64::from(self.physics.slots);
        let busy = if full { slots } else { (share.min(1.0) * slots).round() };
        u32::try_from(count(busy)).unwrap_or(u32::MAX)
    }
}

/// A counter's whole part.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter of at least 0; the cast saturates"
)]
fn count(amount: f64) -> u64 {
    // A counter that was summed up from parts may fall a hair short of the whole.
    (amount + 1e-6) as u64
}

fn whole(ns: f64) -> u64 {
    count(ns)
}
