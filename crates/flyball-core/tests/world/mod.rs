//! A small world for tests of decisions: replicas that start after a lag, serve at a fixed cost and
//! drain at once. It carries out plans and makes the next observation; it decides nothing.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    dead_code,
    reason = "a world of small numbers, for tests only, each of which uses its own part of it"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::generation::Generation;
use flyball_core::invariants;
use flyball_core::memory::Memory;
use flyball_core::observation::*;
use flyball_core::plan::Step;
use flyball_core::policy::*;
use flyball_core::rollout::RolloutOrder;
use flyball_core::units::{ReplicaId, Timestamp};

pub(crate) const LOOK_MS: u64 = 200;

pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) memory: Memory,
    pub(crate) now_ms: u64,
    /// Time from a start to readiness.
    pub(crate) lag_ms: u64,
    /// Replica-seconds that a request costs.
    pub(crate) work_s: f64,
    /// Requests per second.
    pub(crate) load: f64,
    /// Requests per second that something behind the replicas lets pass, all of them together.
    pub(crate) ceiling_per_s: Option<f64>,
    /// Share of a core that a ready replica uses without any request.
    pub(crate) noise: f64,
    /// Time in which each replica's limit holds it back, as a share of the time it works; `None`
    /// where it is not measured.
    pub(crate) held_per_used: Option<f64>,
    pub(crate) replicas: BTreeMap<ReplicaId, Replica>,
    pub(crate) exits: Vec<Exit>,
    /// What readiness checks are answered.
    pub(crate) not_ready: BTreeMap<ReplicaId, String>,
    pub(crate) arrivals: f64,
    pub(crate) errors: u64,
    /// Those of them whose cause is known.
    pub(crate) failures: FailureCounts,
    pub(crate) waiting: f64,
    pub(crate) balanced: bool,
    pub(crate) balancer_silent_since: Option<u64>,
    pub(crate) engine_silent_since: Option<u64>,
    pub(crate) manual: Option<Manual>,
    /// What another program advises, renewed at every look.
    pub(crate) advice: Option<Advice>,
    pub(crate) busy: Option<String>,
    /// Replicas that fail their probe.
    pub(crate) failing: BTreeMap<ReplicaId, ProbeFailure>,
    /// The wanted count of an engine that keeps one of its own; it removes the newest first.
    pub(crate) wanted_count: Option<u32>,
    /// What the engine makes now; `None`: it knows no generations.
    pub(crate) offered: Option<Generation>,
    /// Generations whose replicas end at once (true) or never get ready (false).
    pub(crate) broken: BTreeMap<Generation, bool>,
    /// What an operator asked for about generations.
    pub(crate) rollout: RolloutOrder,
    /// How long it takes until it shows that.
    pub(crate) leave_ms: u64,
    lowered_ms: u64,
    /// Whether the caller that lowers that count names which replicas leave.
    pub(crate) chosen: bool,
}

pub(crate) struct Replica {
    pub(crate) asked_ms: u64,
    pub(crate) ready_ms: Option<u64>,
    pub(crate) used_ns: f64,
    pub(crate) served: f64,
    pub(crate) first_served_ms: Option<u64>,
    pub(crate) route: Option<Route>,
    pub(crate) in_flight: u32,
    pub(crate) protected: bool,
    pub(crate) may_sleep: bool,
    pub(crate) generation: Option<Generation>,
    pub(crate) never_ready: bool,
    pub(crate) unhealthy: bool,
    /// What the balancer holds against it.
    pub(crate) down: Option<&'static str>,
}

pub(crate) fn policy(rule: Rule, min: u32, max: u32) -> Policy {
    Policy {
        service: "web".into(),
        bounds: Bounds { min, max },
        rule,
        timing: Timing { start_lag_prior_ms: 1_000, ..Timing::default() },
        rollout: RolloutPolicy::default(),
        sleep: None,
    }
}

pub(crate) fn governor(min: u32, max: u32) -> Policy {
    policy(Rule::Governor(Governor::default()), min, max)
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            memory: Memory::default(),
            now_ms: 10_000,
            lag_ms: 1_000,
            work_s: 0.05,
            load: 0.0,
            ceiling_per_s: None,
            noise: 0.0,
            held_per_used: None,
            replicas: BTreeMap::new(),
            exits: Vec::new(),
            not_ready: BTreeMap::new(),
            arrivals: 0.0,
            errors: 0,
            failures: FailureCounts::default(),
            waiting: 0.0,
            balanced: true,
            balancer_silent_since: None,
            engine_silent_since: None,
            manual: None,
            advice: None,
            busy: None,
            failing: BTreeMap::new(),
            wanted_count: None,
            offered: None,
            broken: BTreeMap::new(),
            rollout: RolloutOrder::default(),
            leave_ms: 0,
            lowered_ms: 0,
            chosen: false,
        }
    }

    /// Looks until `ms` have passed; the last decision.
    pub(crate) fn run(&mut self, ms: u64) -> Decision {
        let end = self.now_ms + ms;
        loop {
            let decision = self.look();
            if self.now_ms >= end {
                return decision;
            }
        }
    }

    /// Looks until `ms` have passed.
    pub(crate) fn pass(&mut self, ms: u64) {
        let _last = self.run(ms);
    }

    /// One look: the world moves on, a decision is made, checked and carried out.
    pub(crate) fn look(&mut self) -> Decision {
        self.look_seeing(|_| {})
    }

    /// The same, with an observation that `change` has been at.
    pub(crate) fn look_seeing(&mut self, change: impl FnOnce(&mut Observation)) -> Decision {
        self.advance(LOOK_MS);
        let mut observation = self.observe();
        change(&mut observation);
        let decision = decide(&self.policy, &mut self.memory, &observation);
        assert_eq!(invariants::check(&self.policy, &observation, &decision), [], "{decision}");
        for step in &decision.plan {
            self.carry_out(step);
        }
        decision
    }

    pub(crate) fn ready(&self) -> usize {
        self.replicas.values().filter(|r| r.ready_ms.is_some()).count()
    }

    pub(crate) fn kill_all(&mut self) {
        let now = Timestamp::from_ms(self.now_ms);
        for (id, replica) in std::mem::take(&mut self.replicas) {
            let ready_ms = replica.ready_ms.map(|at| self.now_ms - at);
            self.exits.push(Exit { replica: id, at: now, ready_ms, reason: "killed".into() });
        }
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        self.follow_count();
        self.end_broken();
        let span_s = ms as f64 / 1000.0;
        for replica in self.replicas.values_mut() {
            let due = self.now_ms >= replica.asked_ms + self.lag_ms && !replica.never_ready;
            if due && replica.ready_ms.is_none() {
                replica.ready_ms = Some(replica.asked_ms + self.lag_ms);
            }
        }
        self.arrivals += self.load * span_s;
        self.waiting += self.load * span_s;
        let routed = |r: &Replica| !self.balanced || r.route == Some(Route::Routed);
        let serving = self.replicas.values().filter(|r| r.ready_ms.is_some() && routed(r)).count();
        let capacity = serving as f64 * span_s / self.work_s;
        let let_pass = self.ceiling_per_s.map_or(f64::MAX, |per_s| per_s * span_s);
        let served = self.waiting.min(capacity).min(let_pass);
        self.waiting -= served;
        let now_ms = self.now_ms;
        let balanced = self.balanced;
        for replica in self.replicas.values_mut() {
            let serves =
                replica.ready_ms.is_some() && (!balanced || replica.route == Some(Route::Routed));
            replica.in_flight = 0;
            if replica.ready_ms.is_some() {
                replica.used_ns += self.noise * span_s * 1e9;
            }
            if serves && served > 0.0 {
                let share = served / serving as f64;
                replica.served += share;
                replica.used_ns += share * self.work_s * 1e9;
                replica.in_flight = 1;
                replica.first_served_ms.get_or_insert(now_ms);
            }
        }
    }

    pub(crate) fn observe(&self) -> Observation {
        let now = Timestamp::from_ms(self.now_ms);
        let silent =
            |since: Option<u64>| since.map(|ms| (Timestamp::from_ms(ms), "no answer".to_owned()));
        let engine = match silent(self.engine_silent_since) {
            Some((since, why)) => Reading::Missing { since, why },
            None => Reading::Taken { at: now, value: self.engine(now) },
        };
        let balancer = match silent(self.balancer_silent_since) {
            Some((since, why)) => Reading::Missing { since, why },
            None => Reading::Taken { at: now, value: self.balancer() },
        };
        let wall_ms = i64::try_from(self.now_ms).unwrap();
        let balancer = self.balanced.then_some(balancer);
        let advice = self.advice.map(|value| Reading::Taken { at: now, value });
        Observation {
            wall_ms,
            balancer,
            manual: self.manual.clone(),
            advice,
            failing: self.failing.clone(),
            rollout: self.rollout,
            ..Observation::new(now, engine)
        }
    }

    fn engine(&self, now: Timestamp) -> EngineReport {
        let report = |(id, r): (&ReplicaId, &Replica)| {
            let phase = match r.ready_ms {
                Some(_) if r.unhealthy => Phase::Unhealthy,
                Some(_) => Phase::Ready,
                None => Phase::Starting,
            };
            let asked_at = Timestamp::from_ms(r.asked_ms);
            let held_ns = self.held_per_used.map(|held| (r.used_ns * held) as u64);
            ReplicaReport {
                ready_at: r.ready_ms.map(Timestamp::from_ms),
                address: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
                cpu: Some(CpuCounter { at: now, used_ns: r.used_ns as u64 }),
                throttled: held_ns.map(|held_ns| ThrottleCounter { at: now, held_ns }),
                protected: r.protected,
                may_sleep: r.may_sleep,
                generation: r.generation,
                ..ReplicaReport::new(id.clone(), phase, asked_at)
            }
        };
        EngineReport {
            replicas: self.replicas.iter().map(report).collect(),
            exits: self.exits.clone(),
            busy: self.busy.clone(),
            count: self.wanted_count.map(|wanted| EngineCount { wanted, leaving: self.leaving() }),
            not_ready: self.not_ready.clone(),
            generation: self.offered,
            ..EngineReport::default()
        }
    }

    /// What is broken ends before it is ready.
    fn end_broken(&mut self) {
        let at = Timestamp::from_ms(self.now_ms);
        let broken = &self.broken;
        let ends = |r: &Replica| r.generation.is_some_and(|g| broken.get(&g) == Some(&true));
        let ended = self.replicas.extract_if(.., |_, replica| ends(replica));
        let exit =
            |(replica, _)| Exit { replica, at, ready_ms: None, reason: "exit status 1".into() };
        self.exits.extend(ended.map(exit));
    }

    fn leaving(&self) -> Leaving {
        match self.chosen {
            true => Leaving::Chosen,
            false => Leaving::Predicted(self.replicas.keys().rev().cloned().collect()),
        }
    }

    /// What an engine does by itself to reach its count.
    fn follow_count(&mut self) {
        let Some(wanted_count) = self.wanted_count else { return };
        let shows = self.now_ms >= self.lowered_ms + self.leave_ms;
        while shows && self.replicas.len() > wanted_count as usize {
            self.replicas.pop_last();
        }
        while self.replicas.len() < wanted_count as usize {
            let number = self.replicas.keys().filter_map(ReplicaId::number).max().unwrap_or(0) + 1;
            self.add(ReplicaId::numbered("web", number));
        }
    }

    fn balancer(&self) -> BalancerReport {
        let server = |(id, r): (&ReplicaId, &Replica)| {
            let route = r.route?;
            let first_served_at = r.first_served_ms.map(Timestamp::from_ms);
            let (in_flight, served) = (r.in_flight, r.served as u64);
            let down = |why: &str| ServerHealth::Down { why: why.to_owned() };
            let health = r.down.map_or(ServerHealth::Up, down);
            let server = ServerReport { route, in_flight, served, first_served_at, health };
            Some((id.clone(), server))
        };
        BalancerReport {
            epoch: 1,
            arrivals: self.arrivals as u64,
            errors: self.errors,
            failures: self.failures,
            waiting: self.waiting as u32,
            servers: self.replicas.iter().filter_map(server).collect(),
            ..BalancerReport::default()
        }
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Start { replica, generation } => {
                assert_eq!(generation.is_some(), self.offered.is_some());
                let never_ready = generation.is_some_and(|g| self.broken.get(&g) == Some(&false));
                let added = self.add(replica.clone());
                added.generation = *generation;
                added.never_ready = never_ready;
            }
            Step::Route { replica, .. } => {
                self.replicas.get_mut(replica).unwrap().route = Some(Route::Routed);
            }
            Step::Drain { replica } => {
                if let Some(replica) = self.replicas.get_mut(replica) {
                    replica.route = Some(Route::Draining);
                }
            }
            Step::Stop { replica, .. } => {
                self.replicas.remove(replica);
            }
            Step::Scale { to, leaving } => {
                assert!(self.wanted_count.is_some());
                if self.chosen {
                    self.replicas.retain(|id, _| !leaving.contains(id));
                }
                if self.wanted_count > Some(*to) {
                    self.lowered_ms = self.now_ms;
                }
                self.wanted_count = Some(*to);
            }
        }
    }

    pub(crate) fn add(&mut self, id: ReplicaId) -> &mut Replica {
        self.replicas.entry(id).or_insert(Replica {
            asked_ms: self.now_ms,
            ready_ms: None,
            used_ns: 0.0,
            served: 0.0,
            first_served_ms: None,
            route: None,
            in_flight: 0,
            protected: false,
            may_sleep: false,
            generation: None,
            never_ready: false,
            unhealthy: false,
            down: None,
        })
    }
}
