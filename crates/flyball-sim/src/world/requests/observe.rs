//! What a look sees: the same counters that live engines and balancers hand over. Every reading
//! carries the time at which it was true; with a metric lag, counters are those of a moment that
//! far back and say so.

use flyball_core::observation::{CpuCounter, Observation, Reading, ServerHealth, ServerReport};
use flyball_core::units::Timestamp;

use super::World;
use super::arrivals::MS;
use super::replica::Replica;
use crate::world::past::Pasts;
use crate::world::sight::{Counters, Engine, Sight, State};

/// What is shown of a world, and what of it must be written anew.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    sight: Sight,
    /// Places in the order of their replicas' names.
    order: Vec<usize>,
    /// A replica or server came or went.
    pub(super) outdated: bool,
    pasts: Pasts,
    /// With a metric lag: the present replicas with counters of the past.
    late: Option<Observation>,
}

impl Shown {
    pub(super) fn new(balanced: bool) -> Self {
        let (order, pasts) = Default::default();
        Self { sight: Sight::new(balanced), order, outdated: true, pasts, late: None }
    }
}

impl World {
    /// What a look sees now, to keep.
    pub fn observe(&mut self) -> Observation {
        self.look().clone()
    }

    /// What a look sees now; to be given back as it was.
    pub fn look(&mut self) -> &mut Observation {
        self.show();
        if self.setup.metric_lag_ms == 0 || !self.setup.balanced {
            return self.shown.sight.seen_mut();
        }
        let late = self.of_the_past();
        self.shown.late.insert(late)
    }

    fn show(&mut self) {
        let now_ns = self.now_ns;
        let at = self.now();
        self.replicas.iter_mut().for_each(|replica| replica.accrue(now_ns, &self.setup));
        let counters = Counters {
            epoch: self.counters.epoch,
            arrivals: self.counters.arrivals,
            errors: self.counters.errors,
            waiting: u32::try_from(self.line.len()).unwrap_or(u32::MAX),
            latency: self.latencies.told(),
            late: Some(self.latencies.late + self.latencies.unserved),
        };
        let replicas = &self.replicas;
        let limit_cores = self.setup.cpu_limit_cores;
        let Shown { sight, order, outdated, .. } = &mut self.shown;
        let states = |slot: &usize| state(&replicas[*slot], at, limit_cores);
        if std::mem::take(outdated) {
            order.clear();
            order.extend((0..replicas.len()).filter(|slot| replicas[*slot].exists()));
            order.sort_unstable_by(|a, b| replicas[*a].id.cmp(&replicas[*b].id));
            let named = order.iter().map(|slot| (&replicas[*slot].id, states(slot)));
            sight.write(named, self.exits.iter().cloned());
        }
        sight.renew(at, at.as_ms(), order.iter().map(states), counters);
    }

    /// The newest counters that are a metric lag old; today's are kept for later. CPU of replicas
    /// that are too young to have any is missing.
    fn of_the_past(&mut self) -> Observation {
        let Shown { sight, pasts, .. } = &mut self.shown;
        pasts.keep(sight.seen(), self.setup.metric_lag_ms);
        let mut seen = sight.seen().clone();
        let Some(past) = pasts.oldest() else { return seen };
        if let Reading::Taken { value: engine, .. } = &mut seen.engine {
            for replica in &mut engine.replicas {
                replica.cpu = past.cpu.get(&replica.id).copied();
            }
        }
        seen.balancer = Some(Reading::Taken { at: past.at, value: past.balancer.clone() });
        seen
    }
}

/// What is to be said of `replica`, whose CPU counter is up to date.
fn state(replica: &Replica, at: Timestamp, cpu_limit_cores: f64) -> State {
    let said = replica.phase.map(|phase| Engine {
        phase,
        asked_at: timestamp(replica.asked_ns),
        ready_at: replica.ready_ns.map(timestamp),
        cpu: Some(CpuCounter { at, used_ns: replica.cpu_ns() }),
        cpu_limit_cores,
        protected: replica.protected,
    });
    let server = replica.route.map(|route| ServerReport {
        route,
        in_flight: replica.in_flight,
        served: replica.served,
        first_served_at: replica.first_served_ns.map(timestamp),
        health: ServerHealth::Up,
    });
    State { replica: said, server }
}

fn timestamp(ns: u64) -> Timestamp {
    Timestamp::from_ms(ns / MS)
}
