//! The world of the benchmark: replicas that serve requests as a fluid, tick by tick. It has what a
//! policy may not know of: waiting by chance in a busy pool, CPU burnt by starts, work that
//! changes, a slow replica.

mod lateness;

use flyball_core::observation::{
    CpuCounter, Observation, Phase, Route, ServerHealth, ServerReport,
};
use flyball_core::plan::Step;
use flyball_core::units::{ReplicaId, Timestamp, seconds};
use rand::RngExt;

use super::load::PER_S;
use crate::seed::{Purpose, Seed};
use crate::world::Overload;
use crate::world::backlog::{Backlog, Flow};
use crate::world::sight::{Counters, Engine, Sight, State};

pub use lateness::{LIMIT_S, SLOTS};

/// Requests are given up after so long in the queue: the common setting of a balancer.
const PATIENCE_S: f64 = 30.0;
/// The first tick, on the clock that policies see; what was there before had been there as long.
pub(super) const BEGINS: Timestamp = Timestamp::from_ms(1_000_000);

/// How the pool differs from the model that a policy may have of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolModel {
    /// Time from a start to readiness, in milliseconds; each start is drawn within a tenth of it.
    pub start_lag_ms: u64,
    /// Cores that a replica burns while it starts and for as long again.
    pub start_burn: f64,
    /// The work of a request becomes this many times as much half way through.
    pub work_factor: f64,
    /// The slowest replica gets requests as the others do but serves this share of their rate.
    pub slowest: f64,
    /// The balancer counts requests that are late; otherwise only its queue shows them.
    pub counts_late: bool,
}

impl PoolModel {
    /// A pool that is as it should be.
    pub fn plain(start_lag_ms: u64) -> Self {
        Self { start_lag_ms, start_burn: 0.0, work_factor: 1.0, slowest: 1.0, counts_late: true }
    }
}

/// What one tick came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tick {
    /// Requests that arrived.
    pub arrived: f64,
    /// Of these, those that waited longer than the limit or were given up.
    pub late: f64,
    /// Replicas that were paid for.
    pub paid: u32,
    /// Replicas that served.
    pub serving: u32,
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    nature: PoolModel,
    seed: Seed,
    tick_ms: u64,
    now_ms: u64,
    work_s: f64,
    backlog: Backlog,
    bodies: Vec<Body>,
    next_number: u64,
    arrivals: f64,
    given_up: f64,
    late: f64,
    sight: Sight,
    /// A replica or server came or went since the sight was written.
    outdated: bool,
}

/// One replica, in the order of their names.
#[derive(Clone, Debug)]
struct Body {
    id: ReplicaId,
    asked_ms: u64,
    ready_ms: u64,
    /// As of the last tick.
    ready: bool,
    route: Option<Route>,
    in_flight: u32,
    used_s: f64,
    served: f64,
    first_served_at: Option<Timestamp>,
    /// None before its first tick.
    counted: bool,
}

impl Pool {
    /// A pool of `count` replicas that have been there for long.
    pub fn new(nature: PoolModel, tick_ms: u64, count: u32, seed: Seed) -> Self {
        let mut pool = Self {
            nature,
            seed,
            tick_ms,
            now_ms: BEGINS.as_ms(),
            work_s: 1.0 / PER_S,
            backlog: Backlog::default(),
            bodies: Vec::new(),
            next_number: 1,
            arrivals: 0.0,
            given_up: 0.0,
            late: 0.0,
            sight: Sight::new(true),
            outdated: true,
        };
        for _ in 0..count {
            let id = ReplicaId::numbered("pool", pool.next_number);
            pool.add(id, 0, 0);
        }
        pool.promote();
        pool.route();
        pool
    }

    /// What there is to be seen now.
    pub fn look(&mut self) -> &Observation {
        let now = Timestamp::from_ms(self.now_ms);
        let counters = Counters {
            epoch: 1,
            arrivals: whole(self.arrivals),
            errors: whole(self.given_up),
            waiting: u32::try_from(whole(self.backlog.waiting())).unwrap_or(u32::MAX),
            latency: None,
            late: self.nature.counts_late.then(|| whole(self.late)),
        };
        let states = |body: &Body| body.state(now);
        if std::mem::take(&mut self.outdated) {
            let named = self.bodies.iter().map(|body| (&body.id, states(body)));
            self.sight.write(named, std::iter::empty());
        }
        self.sight.renew(now, 0, self.bodies.iter().map(states), counters);
        self.sight.seen()
    }

    /// Lets the work of a request change, as the nature says.
    pub fn change_work(&mut self) {
        self.work_s = self.nature.work_factor / PER_S;
    }

    /// Lets one tick pass in which `arrived` requests come.
    pub fn pass(&mut self, arrived: f64) -> Tick {
        let tick_s = seconds(self.tick_ms);
        let serving = self.serving();
        let per_s = self.rate(serving);
        let before = self.backlog.waiting();
        // By the tick, so that what arrives is served to the last digit where nothing waits.
        let flow = Flow { arrivals: arrived, capacity: per_s * tick_s };
        let patience = Overload::Waits { patience_s: PATIENCE_S / tick_s };
        let passed = self.backlog.pass(flow, 1.0, patience, LIMIT_S / tick_s);
        let after = self.backlog.waiting() + passed.unserved;
        let fluid = lateness::Fluid { before, after, arrived, per_s };
        let late = arrived * fluid.late_share(serving, passed.served * self.work_s / tick_s);
        self.given_up += passed.unserved;
        self.arrivals += arrived;
        self.late += late;
        let paid = u32::try_from(self.bodies.len()).unwrap_or(u32::MAX);
        self.now_ms += self.tick_ms;
        self.count(passed.served, serving);
        self.promote();
        Tick { arrived, late, paid, serving }
    }

    /// Requests that `serving` replicas serve each second: the slowest, which gets as many as the
    /// others, holds all of them up.
    fn rate(&self, serving: u32) -> f64 {
        let serving = f64::from(serving);
        let held_up = if serving > 0.0 { (1.0 / self.nature.slowest - 1.0) / serving } else { 0.0 };
        serving / (1.0 + held_up) / self.work_s
    }

    /// Carries out a plan of the core.
    pub fn carry_out(&mut self, plan: &[Step]) {
        for step in plan {
            match step {
                Step::Start { replica, .. } => self.start(replica.clone()),
                Step::Route { replica, .. } => self.set_route(replica, Route::Routed),
                Step::Drain { replica } => self.set_route(replica, Route::Draining),
                Step::Stop { replica, .. } => self.remove(|body| body.id == *replica),
                // The pool's engine keeps no count of its own.
                Step::Scale { .. } => {}
            }
        }
    }

    /// Brings the pool to `count` as an engine without a plan of flyball's does: new replicas serve
    /// once they are ready, those that start go first, then the newest, which drain for a tick.
    pub fn resize(&mut self, count: u32) {
        self.remove(|body| body.route == Some(Route::Draining));
        self.route();
        let there = u32::try_from(self.bodies.len()).unwrap_or(u32::MAX);
        for _ in there..count {
            self.start(ReplicaId::numbered("pool", self.next_number));
        }
        for _ in count..there {
            self.take_away();
        }
    }

    fn take_away(&mut self) {
        self.outdated = true;
        if let Some(index) = self.bodies.iter().rposition(|body| !body.ready) {
            self.bodies.remove(index);
        } else if let Some(body) = self.bodies.iter_mut().rev().find(|body| body.serves()) {
            body.route = Some(Route::Draining);
        }
    }

    fn serving(&self) -> u32 {
        u32::try_from(self.bodies.iter().filter(|body| body.serves()).count()).unwrap_or(u32::MAX)
    }

    fn start(&mut self, id: ReplicaId) {
        let lane = u32::try_from(self.next_number).unwrap_or(u32::MAX);
        let part = self.seed.lane(Purpose::StartLags, lane).random_range(0.9..1.1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive time of minutes"
        )]
        let lag_ms = (seconds(self.nature.start_lag_ms) * part * 1000.0) as u64;
        self.add(id, self.now_ms, self.now_ms + lag_ms);
    }

    fn add(&mut self, id: ReplicaId, asked_ms: u64, ready_ms: u64) {
        self.next_number = self.next_number.max(id.number().unwrap_or(0) + 1);
        self.outdated = true;
        self.bodies.push(Body {
            id,
            asked_ms,
            ready_ms,
            ready: false,
            route: None,
            in_flight: 0,
            used_s: 0.0,
            served: 0.0,
            first_served_at: None,
            counted: false,
        });
    }

    fn remove(&mut self, leaves: impl Fn(&Body) -> bool) {
        let before = self.bodies.len();
        self.bodies.retain(|body| !leaves(body));
        self.outdated |= self.bodies.len() < before;
    }

    fn set_route(&mut self, id: &ReplicaId, route: Route) {
        self.outdated = true;
        if let Some(body) = self.bodies.iter_mut().find(|body| body.id == *id) {
            body.route = Some(route);
        }
    }

    /// Gives every ready replica its requests.
    fn route(&mut self) {
        for body in self.bodies.iter_mut().filter(|body| body.ready && body.route.is_none()) {
            body.route = Some(Route::Routed);
            self.outdated = true;
        }
    }

    fn promote(&mut self) {
        self.bodies.iter_mut().for_each(|body| body.ready |= body.ready_ms <= self.now_ms);
    }

    /// Moves all counters on by one tick in which `served` requests were answered by `serving`.
    fn count(&mut self, served: f64, serving: u32) {
        let now = Timestamp::from_ms(self.now_ms);
        let tick_s = seconds(self.tick_ms);
        let PoolModel { start_burn, start_lag_ms, .. } = self.nature;
        let each = if serving > 0 { served / f64::from(serving) } else { 0.0 };
        let busy_s = (each * self.work_s).min(tick_s);
        let in_flight = in_flight(served * self.work_s / tick_s, serving);
        let mut spread = Spread::new(in_flight, serving);
        for body in &mut self.bodies {
            let young = self.now_ms < body.ready_ms + start_lag_ms;
            let burnt_s = if young { start_burn * tick_s } else { 0.0 };
            body.counted = true;
            if body.serves() {
                body.served += each;
                body.used_s += (busy_s + burnt_s).min(tick_s);
                body.in_flight = spread.next();
            } else {
                body.used_s += if body.route.is_none() { burnt_s } else { 0.0 };
                body.in_flight = 0;
            }
            if whole(body.served) > 0 && body.first_served_at.is_none() {
                body.first_served_at =
                    Some(if body.ready { Timestamp::from_ms(body.ready_ms) } else { now });
            }
        }
    }
}

impl Body {
    fn serves(&self) -> bool {
        self.route == Some(Route::Routed)
    }

    fn state(&self, now: Timestamp) -> State {
        let cpu = CpuCounter { at: now, used_ns: whole(self.used_s * 1e9) };
        let said = Engine {
            phase: if self.ready { Phase::Ready } else { Phase::Starting },
            asked_at: Timestamp::from_ms(self.asked_ms),
            ready_at: self.ready.then_some(Timestamp::from_ms(self.ready_ms)),
            cpu: self.counted.then_some(cpu),
            cpu_limit_cores: 1.0,
            protected: false,
        };
        let server = self.route.map(|route| ServerReport {
            route,
            in_flight: self.in_flight,
            served: whole(self.served),
            first_served_at: self.first_served_at,
            health: ServerHealth::Up,
        });
        State { replica: Some(said), server }
    }
}

/// Requests in all replicas together while `busy` replicas' worth of work is done.
fn in_flight(busy: f64, serving: u32) -> u32 {
    let slots = f64::from(serving) * SLOTS;
    u32::try_from(whole((busy * SLOTS).min(slots).round())).unwrap_or(u32::MAX)
}

/// A count spread evenly, the first ones get one more.
struct Spread {
    each: u32,
    more: u32,
}

impl Spread {
    fn new(count: u32, parts: u32) -> Self {
        let parts = parts.max(1);
        Self { each: count / parts, more: count % parts }
    }

    fn next(&mut self) -> u32 {
        let one = u32::from(self.more > 0);
        self.more -= one;
        self.each + one
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a simulation; the cast saturates"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_served_waits_and_is_late_and_cpu_saturates() {
        let mut pool = Pool::new(PoolModel::plain(10_000), 2_000, 2, Seed(1));
        let calm = pool.pass(40.0);
        assert!(calm.late < 0.4, "{calm:?}");
        let full = pool.pass(200.0);
        assert!(full.late > 150.0 && full.serving == 2, "{full:?}");
        let seen = pool.look();
        let report = seen.balancer.as_ref().unwrap().value().unwrap();
        assert_eq!((report.waiting, report.arrivals), (120, 240));
        let engine = seen.engine.value().unwrap();
        let used_ns = engine.replicas[0].cpu.unwrap().used_ns;
        assert_eq!(used_ns, 3_000_000_000, "half of the first tick, the whole of the second");
    }

    #[test]
    fn a_replica_serves_after_its_start_lag_and_drains_for_a_tick() {
        let mut pool = Pool::new(PoolModel::plain(10_000), 2_000, 1, Seed(1));
        pool.resize(3);
        let counts: Vec<(u32, u32)> = (0..8)
            .map(|_| {
                let tick = pool.pass(10.0);
                pool.resize(3);
                (tick.paid, tick.serving)
            })
            .collect();
        assert_eq!(counts[3], (3, 1));
        assert_eq!(counts[7], (3, 3));
        pool.resize(1);
        assert_eq!(pool.pass(10.0), Tick { paid: 3, serving: 1, ..pool_tick(10.0) });
        pool.resize(1);
        assert_eq!(pool.pass(10.0).paid, 1);
    }

    fn pool_tick(arrived: f64) -> Tick {
        let fluid = lateness::Fluid { before: 0.0, after: 0.0, arrived, per_s: PER_S };
        Tick {
            arrived,
            late: arrived * fluid.late_share(1, arrived / PER_S / 2.0),
            ..Tick::default()
        }
    }
}
