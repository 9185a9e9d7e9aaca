//! The observation that a world shows. Each look writes over what the last one left, so that it
//! allocates nothing while replicas neither come nor go. A part that is not there is left out,
//! never 0.

use std::net::{Ipv4Addr, SocketAddr};

use flyball_core::observation::{
    BalancerReport, CpuCounter, EngineReport, Exit, LatencyReport, Observation, Phase, Reading,
    ReplicaReport, ServerReport,
};
use flyball_core::units::{ReplicaId, Timestamp};

/// Every replica of a simulation serves here.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What its engine and its balancer say of one replica; none from whoever does not know it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) replica: Option<Engine>,
    pub(crate) server: Option<ServerReport>,
}

/// What an engine says of one replica, but for its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Engine {
    pub(crate) phase: Phase,
    pub(crate) asked_at: Timestamp,
    pub(crate) ready_at: Option<Timestamp>,
    pub(crate) cpu: Option<CpuCounter>,
    pub(crate) cpu_limit_cores: f64,
    pub(crate) protected: bool,
}

/// What a balancer counts of all its servers together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) epoch: u64,
    pub(crate) arrivals: u64,
    pub(crate) errors: u64,
    pub(crate) waiting: u32,
    pub(crate) latency: Option<LatencyReport>,
    pub(crate) late: Option<u64>,
}

/// What is shown.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    seen: Observation,
}

impl Sight {
    /// Nothing yet.
    pub(crate) fn new(balanced: bool) -> Self {
        let at = Timestamp::default();
        let engine = Reading::Taken { at, value: EngineReport::default() };
        let balancer = balanced.then(|| Reading::Taken { at, value: BalancerReport::default() });
        Self { seen: Observation { balancer, ..Observation::new(at, engine) } }
    }

    /// As it was written last.
    pub(crate) fn seen(&self) -> &Observation {
        &self.seen
    }

    /// The same, to be given back as it was.
    pub(crate) fn seen_mut(&mut self) -> &mut Observation {
        &mut self.seen
    }

    /// Writes everything anew: `replicas` in the order of their names, and ends nobody asked for.
    pub(crate) fn write<'a>(
        &mut self,
        replicas: impl Iterator<Item = (&'a ReplicaId, State)>,
        exits: impl Iterator<Item = Exit>,
    ) {
        let (engine, mut balancer) = parts(&mut self.seen);
        engine.exits = exits.collect();
        engine.replicas.clear();
        if let Some(balancer) = &mut balancer {
            balancer.servers.clear();
        }
        for (id, state) in replicas {
            engine.replicas.extend(state.replica.map(|said| report(id.clone(), said)));
            if let (Some(balancer), Some(server)) = (&mut balancer, state.server) {
                balancer.servers.insert(id.clone(), server);
            }
        }
    }

    /// Writes what is true at `at` over what was written of the same replicas and servers, in the
    /// same order.
    pub(crate) fn renew(
        &mut self,
        at: Timestamp,
        wall_ms: u64,
        states: impl Iterator<Item = State>,
        counters: Counters,
    ) {
        self.seen.at = at;
        self.seen.wall_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        stamp(&mut self.seen.engine, at);
        if let Some(reading) = &mut self.seen.balancer {
            stamp(reading, at);
        }
        let (engine, mut balancer) = parts(&mut self.seen);
        let mut reports = engine.replicas.iter_mut();
        let mut servers = balancer.iter_mut().flat_map(|b| b.servers.values_mut());
        for state in states {
            if let Some(said) = state.replica
                && let Some(report) = reports.next()
            {
                report.phase = said.phase;
                report.ready_at = said.ready_at;
                report.cpu = said.cpu;
                report.protected = said.protected;
            }
            if let Some(said) = state.server
                && let Some(server) = servers.next()
            {
                *server = said;
            }
        }
        if let Some(balancer) = balancer {
            balancer.epoch = counters.epoch;
            balancer.arrivals = counters.arrivals;
            balancer.errors = counters.errors;
            balancer.waiting = counters.waiting;
            balancer.latency = counters.latency;
            balancer.late = counters.late;
        }
    }
}

fn report(id: ReplicaId, said: Engine) -> ReplicaReport {
    ReplicaReport {
        ready_at: said.ready_at,
        address: Some(ADDRESS),
        cpu: said.cpu,
        cpu_limit_cores: said.cpu_limit_cores,
        protected: said.protected,
        ..ReplicaReport::new(id, said.phase, said.asked_at)
    }
}

fn stamp<T>(reading: &mut Reading<T>, now: Timestamp) {
    if let Reading::Taken { at, .. } = reading {
        *at = now;
    }
}

/// Both reports; the engine's is never missing.
fn parts(seen: &mut Observation) -> (&mut EngineReport, Option<&mut BalancerReport>) {
    let balancer = match &mut seen.balancer {
        Some(Reading::Taken { value, .. }) => Some(value),
        _ => None,
    };
    match &mut seen.engine {
        Reading::Taken { value, .. } => (value, balancer),
        Reading::Missing { .. } => unreachable!("a sight is made with an engine"),
    }
}
