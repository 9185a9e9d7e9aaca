//! What a look sees of the fluid world: the same observation as the daemon's. Meters lag: CPU and
//! the balancer's counters are seen as they were a metric lag ago, replicas as they are. A replica
//! without a reading shows none, never 0.

use flyball_core::observation::{
    BalancerReport, CpuCounter, EngineReport, Observation, Phase, Reading, Route, ServerHealth,
    ServerReport,
};
use flyball_core::units::Timestamp;

use super::{Fluid, Replica};
use crate::world::ORIGIN;
use crate::world::past::{Past, Pasts};
use crate::world::sight::{Counters, Engine, Sight, State};

/// What is shown of a world, and whether it must be written anew.
#[derive(Debug)]
pub(super) struct Shown {
    sight: Sight,
    /// A replica or server came or went.
    pub(super) outdated: bool,
    /// What meters said, while that is not seen yet.
    pasts: Pasts,
    /// With a metric lag: what is there with counters of the past.
    late: Option<Observation>,
}

impl Default for Shown {
    fn default() -> Self {
        let (pasts, late) = Default::default();
        Self { sight: Sight::new(true), outdated: true, pasts, late }
    }
}

impl Fluid<'_> {
    /// What a look sees now; to be given back as it was.
    pub fn look(&mut self) -> &mut Observation {
        if self.physics.metric_lag_ms == 0 {
            self.show();
            return self.shown.sight.seen_mut();
        }
        self.read_meters();
        let late = self.of_the_past();
        self.shown.late.insert(late)
    }

    /// Reads every meter now, to be seen a metric lag later; drops what is older than the newest
    /// reading that can be seen.
    pub fn read_meters(&mut self) {
        self.show();
        let Shown { sight, pasts, .. } = &mut self.shown;
        pasts.keep(sight.seen(), self.physics.metric_lag_ms);
    }

    fn show(&mut self) {
        self.sweep();
        let now = self.now();
        let counters = Counters {
            epoch: 1,
            arrivals: count(self.arrived),
            errors: count(self.unserved),
            waiting: u32::try_from(count(self.backlog.waiting())).unwrap_or(u32::MAX),
            latency: None,
            late: None,
        };
        let busy = self.busy_slots();
        let states = |replica: &Replica| state(replica, now, busy);
        let Shown { sight, outdated, .. } = &mut self.shown;
        if std::mem::take(outdated) {
            let named = self.replicas.iter().map(|replica| (&replica.id, states(replica)));
            sight.write(named, std::iter::empty());
        }
        sight.renew(now, self.now_ms, self.replicas.iter().map(states), counters);
    }

    /// Old counters with the replicas and routes of now: a balancer's orders are known at once.
    fn of_the_past(&self) -> Observation {
        let now = self.now();
        let lag_ms = self.physics.metric_lag_ms;
        let mut seen = self.shown.sight.seen().clone();
        let old = self.shown.pasts.oldest().filter(|past| now.ms_since(past.at) >= lag_ms);
        if let Reading::Taken { value: engine, .. } = &mut seen.engine {
            for replica in &mut engine.replicas {
                // One that was still starting then had none to speak of.
                let ready = |past: &&Past| replica.ready_at.is_some_and(|at| at <= past.at);
                let old = old.filter(ready);
                replica.cpu = old.and_then(|past| past.cpu.get(&replica.id).copied());
            }
        }
        let Some(old) = old else {
            let why = "no reading yet".to_owned();
            return Observation { balancer: Some(Reading::Missing { since: ORIGIN, why }), ..seen };
        };
        let mut report = old.balancer.clone();
        report.servers.clone_from(&reports(self.shown.sight.seen()).1.servers);
        for (id, server) in &mut report.servers {
            server.served = old.balancer.servers.get(id).map_or(0, |before| before.served);
        }
        let balancer = Some(Reading::Taken { at: old.at, value: report });
        Observation { balancer, ..seen }
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

/// What is to be said of `replica` while each that serves works on `busy` requests.
fn state(replica: &Replica, now: Timestamp, busy: u32) -> State {
    let ready = replica.ready_at <= now;
    let said = Engine {
        phase: if ready { Phase::Ready } else { Phase::Starting },
        asked_at: replica.asked_at,
        ready_at: ready.then_some(replica.ready_at),
        cpu: Some(CpuCounter { at: now, used_ns: count(replica.used_ns) }),
        cpu_limit_cores: 1.0,
        protected: false,
    };
    let server = replica.route.map(|route| ServerReport {
        route,
        in_flight: match route {
            Route::Routed => busy,
            Route::Draining => u32::from(replica.drained_at.is_some_and(|at| at > now)),
        },
        served: count(replica.served),
        first_served_at: replica.first_served_at,
        health: ServerHealth::Up,
    });
    State { replica: Some(said), server }
}

/// Both reports of a sight, which are never missing.
fn reports(seen: &Observation) -> (&EngineReport, &BalancerReport) {
    match (seen.engine.value(), seen.balancer.as_ref().and_then(Reading::value)) {
        (Some(engine), Some(balancer)) => (engine, balancer),
        _ => unreachable!("a sight shows both"),
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
