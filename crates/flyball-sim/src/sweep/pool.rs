//! The world of the benchmark: a pool of replicas that serve requests as a fluid.
//!
//! Decides nothing. It moves on by ticks, makes one observation in place (a look costs no
//! allocation), and carries out what was decided. What finds no free replica waits; CPU saturates
//! at the limit; what one replica burns while it starts shows in its counter. Invariant: requests
//! are neither made nor lost but by patience that ends.

mod lateness;

use std::net::SocketAddr;

use flyball_core::observation::{
    BalancerReport, CpuCounter, EngineReport, Observation, Phase, Reading, ReplicaReport, Route,
    ServerReport,
};
use flyball_core::plan::Step;
use flyball_core::units::{ReplicaId, Timestamp, seconds};
use rand::RngExt;

use super::load::PER_S;
use crate::seed::{Purpose, Seed};
use crate::world::ORIGIN;

pub use lateness::{LIMIT_S, SLOTS};

/// Requests are given up after so long in the queue: the common setting of a balancer.
const PATIENCE_S: f64 = 30.0;
/// What was there before the first tick had been there for so long: runs of every world begin then.
const BEFORE_MS: u64 = ORIGIN.as_ms();

/// How the pool differs from the model that a policy may have of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nature {
    /// Time from a start to readiness, in milliseconds; each start is drawn within a tenth of it.
    pub start_lag_ms: u64,
    /// Cores that a replica burns while it starts and for as long again.
    pub start_burn: f64,
    /// The work of a request becomes this many times as much half way through.
    pub work_factor: f64,
    /// The slowest replica gets requests as the others do but serves this share of their rate.
    pub slowest: f64,
}

impl Nature {
    /// A pool that is as it should be.
    pub fn plain(start_lag_ms: u64) -> Self {
        Self { start_lag_ms, start_burn: 0.0, work_factor: 1.0, slowest: 1.0 }
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
    nature: Nature,
    seed: Seed,
    tick_ms: u64,
    now_ms: u64,
    work_s: f64,
    waiting: f64,
    seen: Observation,
    bodies: Vec<Body>,
    next_number: u64,
    arrivals: f64,
    given_up: f64,
}

/// What of a replica is not in a report: exact counters, and when it will be ready.
#[derive(Clone, Copy, Debug, Default)]
struct Body {
    ready_ms: u64,
    used_s: f64,
    served: f64,
}

impl Pool {
    /// A pool of `count` replicas that have been there for long.
    pub fn new(nature: Nature, tick_ms: u64, count: u32, seed: Seed) -> Self {
        let at = Timestamp::from_ms(BEFORE_MS);
        let engine = Reading::Taken { at, value: EngineReport::default() };
        let balancer =
            Reading::Taken { at, value: BalancerReport { epoch: 1, ..Default::default() } };
        let seen = Observation { at, wall_ms: 0, engine, balancer: Some(balancer), manual: None };
        let mut pool = Self {
            nature,
            seed,
            tick_ms,
            now_ms: BEFORE_MS,
            work_s: 1.0 / PER_S,
            waiting: 0.0,
            seen,
            bodies: Vec::new(),
            next_number: 1,
            arrivals: 0.0,
            given_up: 0.0,
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
    pub fn observation(&self) -> &Observation {
        &self.seen
    }

    /// Lets the work of a request change, as the nature says.
    pub fn change_work(&mut self) {
        self.work_s = self.nature.work_factor / PER_S;
    }

    /// Lets one tick pass in which `arrived` requests come.
    pub fn pass(&mut self, arrived: f64) -> Tick {
        let tick_s = seconds(self.tick_ms);
        let serving = self.serving();
        let even = serving as f64
            / (1.0
                + if serving > 0 {
                    (1.0 / self.nature.slowest - 1.0) / serving as f64
                } else {
                    0.0
                });
        let per_s = even / self.work_s;
        let before = self.waiting;
        let served = (before + arrived).min(per_s * tick_s);
        let after = before + arrived - served;
        let fluid = lateness::Fluid { before, after, arrived, per_s };
        let late = arrived * fluid.late_share(serving, served * self.work_s / tick_s);
        let kept = after.min(PATIENCE_S * per_s.max(arrived / tick_s));
        self.given_up += after - kept;
        self.waiting = kept;
        self.arrivals += arrived;
        let paid = u32::try_from(self.bodies.len()).unwrap_or(u32::MAX);
        self.now_ms += self.tick_ms;
        self.count(served, serving);
        self.promote();
        Tick { arrived, late, paid, serving }
    }

    /// Carries out a plan of the core.
    pub fn carry_out(&mut self, plan: &[Step]) {
        for step in plan {
            match step {
                Step::Start { replica } => self.start(replica.clone()),
                Step::Route { replica, .. } => self.set_route(replica, Route::Routed),
                Step::Drain { replica } => self.set_route(replica, Route::Draining),
                Step::Stop { replica, .. } => self.remove(replica),
            }
        }
    }

    /// Brings the pool to `count` as an engine without a plan of flyball's does: new replicas serve
    /// once they are ready, those that start go first, then the newest, which drain for a tick.
    pub fn resize(&mut self, count: u32) {
        let drained: Vec<ReplicaId> = self.drained();
        drained.iter().for_each(|id| self.remove(id));
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
        let (engine, balancer) = parts(&mut self.seen);
        let starting = engine.replicas.iter().rev().find(|r| r.phase == Phase::Starting);
        if let Some(id) = starting.map(|r| r.id.clone()) {
            return self.remove(&id);
        }
        let routed = balancer.servers.iter_mut().rev().find(|(_, s)| s.route == Route::Routed);
        if let Some((_, server)) = routed {
            server.route = Route::Draining;
        }
    }

    fn drained(&mut self) -> Vec<ReplicaId> {
        let (_, balancer) = parts(&mut self.seen);
        let drains = balancer.servers.iter().filter(|(_, s)| s.route == Route::Draining);
        drains.map(|(id, _)| id.clone()).collect()
    }

    fn serving(&self) -> u32 {
        let report = self.seen.balancer.as_ref().and_then(Reading::value);
        let servers = report.iter().flat_map(|b| b.servers.values());
        u32::try_from(servers.filter(|s| s.route == Route::Routed).count()).unwrap_or(u32::MAX)
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
        let number = id.number().unwrap_or(0);
        self.next_number = self.next_number.max(number + 1);
        self.bodies.push(Body { ready_ms, ..Body::default() });
        let report = ReplicaReport {
            id,
            phase: Phase::Starting,
            asked_at: Timestamp::from_ms(asked_ms),
            ready_at: None,
            address: Some(SocketAddr::from(([127, 0, 0, 1], 80))),
            cpu: None,
            throttled: None,
            cpu_limit_cores: 1.0,
            protected: false,
        };
        parts(&mut self.seen).0.replicas.push(report);
    }

    fn remove(&mut self, id: &ReplicaId) {
        let (engine, balancer) = parts(&mut self.seen);
        if let Some(index) = engine.replicas.iter().position(|r| r.id == *id) {
            engine.replicas.remove(index);
            self.bodies.remove(index);
        }
        balancer.servers.remove(id);
    }

    fn set_route(&mut self, id: &ReplicaId, route: Route) {
        let server = || ServerReport { route, in_flight: 0, served: 0, first_served_at: None };
        let (_, balancer) = parts(&mut self.seen);
        balancer.servers.entry(id.clone()).or_insert_with(server).route = route;
    }

    /// Gives every ready replica its requests.
    fn route(&mut self) {
        let (engine, balancer) = parts(&mut self.seen);
        let new: Vec<ReplicaId> = engine
            .replicas
            .iter()
            .filter(|r| r.phase == Phase::Ready && !balancer.servers.contains_key(&r.id))
            .map(|r| r.id.clone())
            .collect();
        new.iter().for_each(|id| self.set_route(id, Route::Routed));
    }

    fn promote(&mut self) {
        let now_ms = self.now_ms;
        let (engine, _) = parts(&mut self.seen);
        for (report, body) in engine.replicas.iter_mut().zip(&self.bodies) {
            if report.phase == Phase::Starting && body.ready_ms <= now_ms {
                report.phase = Phase::Ready;
                report.ready_at = Some(Timestamp::from_ms(body.ready_ms));
            }
        }
    }

    /// Moves all counters on by one tick in which `served` requests were answered by `serving`.
    fn count(&mut self, served: f64, serving: u32) {
        let now = Timestamp::from_ms(self.now_ms);
        let tick_s = seconds(self.tick_ms);
        let burn = self.nature.start_burn;
        let lag_ms = self.nature.start_lag_ms;
        let each = if serving > 0 { served / f64::from(serving) } else { 0.0 };
        let busy_s = (each * self.work_s).min(tick_s);
        let in_flight = in_flight(served * self.work_s / tick_s, serving);
        let mut spread = Spread::new(in_flight, serving);
        self.seen.at = now;
        let (waiting, arrivals, given_up) = (self.waiting, self.arrivals, self.given_up);
        let (engine, balancer) = parts(&mut self.seen);
        let mut servers = balancer.servers.iter_mut().peekable();
        for (report, body) in engine.replicas.iter_mut().zip(&mut self.bodies) {
            let young = self.now_ms < body.ready_ms + lag_ms;
            let burnt_s = if young { burn * tick_s } else { 0.0 };
            let server = servers.next_if(|(id, _)| **id == report.id);
            if let Some((_, server)) = server {
                let routed = server.route == Route::Routed;
                body.served += if routed { each } else { 0.0 };
                body.used_s += if routed { (busy_s + burnt_s).min(tick_s) } else { 0.0 };
                server.in_flight = if routed { spread.next() } else { 0 };
                server.served = whole(body.served);
                if server.served > 0 && server.first_served_at.is_none() {
                    server.first_served_at = Some(report.ready_at.unwrap_or(now));
                }
            } else {
                body.used_s += burnt_s;
            }
            report.cpu = Some(CpuCounter { at: now, used_ns: whole(body.used_s * 1e9) });
        }
        balancer.arrivals = whole(arrivals);
        balancer.errors = whole(given_up);
        balancer.waiting = u32::try_from(whole(waiting)).unwrap_or(u32::MAX);
        stamp(&mut self.seen, now);
    }
}

fn stamp(seen: &mut Observation, now: Timestamp) {
    if let Reading::Taken { at, .. } = &mut seen.engine {
        *at = now;
    }
    if let Some(Reading::Taken { at, .. }) = &mut seen.balancer {
        *at = now;
    }
}

/// Both reports of a pool's observation, which are never missing.
fn parts(seen: &mut Observation) -> (&mut EngineReport, &mut BalancerReport) {
    match (&mut seen.engine, &mut seen.balancer) {
        (Reading::Taken { value: engine, .. }, Some(Reading::Taken { value: balancer, .. })) => {
            (engine, balancer)
        }
        _ => unreachable!("a pool is always seen"),
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
        let mut pool = Pool::new(Nature::plain(10_000), 2_000, 2, Seed(1));
        let calm = pool.pass(40.0);
        assert!(calm.late < 0.4, "{calm:?}");
        let full = pool.pass(200.0);
        assert!(full.late > 150.0 && full.serving == 2, "{full:?}");
        let report = pool.observation().balancer.as_ref().unwrap().value().unwrap();
        assert_eq!((report.waiting, report.arrivals), (120, 240));
        let engine = pool.observation().engine.value().unwrap();
        let used_ns = engine.replicas[0].cpu.unwrap().used_ns;
        assert_eq!(used_ns, 3_000_000_000, "half of the first tick, the whole of the second");
    }

    #[test]
    fn a_replica_serves_after_its_start_lag_and_drains_for_a_tick() {
        let mut pool = Pool::new(Nature::plain(10_000), 2_000, 1, Seed(1));
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
