//! Sleep under races: requests come between the look and what follows from it, reports are missing,
//! and streams outlast the drain limit. Seeded, in simulated time.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::invariants;
use flyball_core::memory::Memory;
use flyball_core::observation::*;
use flyball_core::plan::{Step, StopReason};
use flyball_core::policy::*;
use flyball_core::units::{ReplicaId, Timestamp};

const TRIES: u64 = 10_000;
const LOOKS: u64 = 60;
const LOOK_MS: u64 = 1_000;
const AFTER_MS: u64 = 8_000;

/// A small generator of pseudo-random numbers (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

struct Replica {
    asked_ms: u64,
    route: Option<Route>,
    /// When each request in flight ends.
    ends_ms: Vec<u64>,
    used_ns: u64,
}

struct House {
    chance: Chance,
    policy: Policy,
    memory: Memory,
    now_ms: u64,
    lag_ms: u64,
    replicas: BTreeMap<ReplicaId, Replica>,
    /// How long each request that waits will take.
    waiting: Vec<u64>,
    arrivals: u64,
    /// When anything was last in flight, waited, or arrived.
    used_ms: u64,
    quiet: bool,
}

impl House {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let rule = match chance.below(4) {
            0 => Rule::Governor(Governor { hold_ms: Some(2_000), ..Governor::default() }),
            1 => Rule::Target(Target { in_window_ms: 2_000, ..Target::default() }),
            2 => Rule::Step(StepRule {
                cooldown_ms: 2_000,
                cpu_window_ms: 2_000,
                ..StepRule::default()
            }),
            _ => Rule::External,
        };
        let policy = Policy {
            service: "web".into(),
            bounds: Bounds { min: 0, max: if chance.below(2) == 0 { 1 } else { 4 } },
            rule,
            timing: Timing {
                start_lag_prior_ms: 1_000,
                drain_limit_ms: 2_000,
                ..Timing::default()
            },
            rollout: RolloutPolicy::default(),
            sleep: Some(SleepPolicy { after_ms: AFTER_MS }),
        };
        let lag_ms = [0, 1_000, 3_000, 20_000][usize::try_from(chance.below(4)).unwrap()];
        Self {
            chance,
            policy,
            memory: Memory::default(),
            now_ms: 100_000,
            lag_ms,
            replicas: BTreeMap::new(),
            waiting: Vec::new(),
            arrivals: 0,
            used_ms: 100_000,
            quiet: false,
        }
    }

    fn is_ready(&self, replica: &Replica) -> bool {
        self.now_ms >= replica.asked_ms + self.lag_ms
    }

    /// Requests that wait go to whoever is ready and routed; those that are over end.
    fn serve(&mut self) {
        let now_ms = self.now_ms;
        let lag_ms = self.lag_ms;
        let routed =
            |r: &&mut Replica| now_ms >= r.asked_ms + lag_ms && r.route == Some(Route::Routed);
        if let Some(replica) = self.replicas.values_mut().find(|r| routed(r)) {
            replica.ends_ms.extend(self.waiting.drain(..).map(|takes_ms| now_ms + takes_ms));
        }
        for replica in self.replicas.values_mut() {
            let before = replica.ends_ms.len();
            replica.ends_ms.retain(|ends_ms| *ends_ms > now_ms);
            replica.used_ns += 1_000_000 + 50_000_000 * before as u64;
            if before > 0 {
                self.used_ms = now_ms;
            }
        }
        if !self.waiting.is_empty() {
            self.used_ms = now_ms;
        }
    }

    /// Now and then requests come: some short, some that last for longer than the drain limit.
    fn ask(&mut self) {
        if self.quiet || self.chance.below(9) > 0 {
            return;
        }
        for _ in 0..=self.chance.below(3) {
            let takes_ms = [10, 900, 5_000, 25_000][usize::try_from(self.chance.below(4)).unwrap()];
            self.waiting.push(takes_ms);
            self.arrivals += 1;
        }
        self.used_ms = self.now_ms;
        self.serve();
    }

    fn observe(&mut self) -> Observation {
        let now = Timestamp::from_ms(self.now_ms);
        let report = |(id, r): (&ReplicaId, &Replica)| {
            let phase = if self.is_ready(r) { Phase::Ready } else { Phase::Starting };
            let ready_at = Timestamp::from_ms(r.asked_ms + self.lag_ms);
            ReplicaReport {
                ready_at: (phase == Phase::Ready).then_some(ready_at),
                address: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
                cpu: Some(CpuCounter { at: now, used_ns: r.used_ns }),
                ..ReplicaReport::new(id.clone(), phase, Timestamp::from_ms(r.asked_ms))
            }
        };
        let engine = EngineReport {
            replicas: self.replicas.iter().map(report).collect(),
            ..EngineReport::default()
        };
        let server = |(id, r): (&ReplicaId, &Replica)| {
            let in_flight = u32::try_from(r.ends_ms.len()).unwrap();
            let server = ServerReport {
                route: r.route?,
                in_flight,
                served: 0,
                first_served_at: None,
                health: ServerHealth::Up,
            };
            Some((id.clone(), server))
        };
        let balancer = BalancerReport {
            epoch: 1,
            arrivals: self.arrivals,
            waiting: u32::try_from(self.waiting.len()).unwrap(),
            servers: self.replicas.iter().filter_map(server).collect(),
            ..BalancerReport::default()
        };
        let missing = Reading::Missing { since: now, why: "no answer".into() };
        let blind = !self.quiet && self.chance.below(20) == 0;
        let balancer = if blind { missing } else { Reading::Taken { at: now, value: balancer } };
        Observation {
            balancer: Some(balancer),
            ..Observation::new(now, Reading::Taken { at: now, value: engine })
        }
    }

    fn look(&mut self, seed: u64) -> Decision {
        self.now_ms += LOOK_MS;
        self.serve();
        let seen = self.observe();
        let used_ms = self.used_ms;
        let before = self.replicas.len();
        let decision = decide(&self.policy, &mut self.memory, &seen);
        let at = format!("seed {seed}:\n{decision}");
        assert_eq!(invariants::check(&self.policy, &seen, &decision), [], "{at}");
        let waits = seen.balancer.as_ref().and_then(|b| Some(b.value()?.waiting > 0));
        assert!(decision.desired > 0 || waits != Some(true), "asleep with one waiting, {at}");
        let idle_ms = self.now_ms - used_ms;
        let stays = before == 0 || decision.desired > 0 || idle_ms + LOOK_MS >= AFTER_MS;
        assert!(stays, "asleep after {idle_ms} ms, {at}");
        // Some come before anything is carried out.
        self.ask();
        for step in &decision.plan {
            self.carry_out(step, decision.desired, &at);
        }
        self.ask();
        decision
    }

    fn carry_out(&mut self, step: &Step, desired: u32, at: &str) {
        match step {
            Step::Start { replica, .. } => {
                let started =
                    Replica { asked_ms: self.now_ms, route: None, ends_ms: vec![], used_ns: 0 };
                self.replicas.insert(replica.clone(), started);
            }
            Step::Route { replica, .. } => self.route(replica, Route::Routed),
            Step::Drain { replica } => self.route(replica, Route::Draining),
            Step::Stop { replica, why } => {
                let stopped = self.replicas.remove(replica).unwrap();
                // One of several that leaves has its drain limit, as ever.
                let is_late = desired > 0 && *why == StopReason::DrainLimit;
                assert!(stopped.ends_ms.is_empty() || is_late, "{replica} stopped in use, {at}");
            }
            Step::Scale { .. } => unreachable!("this engine keeps no count"),
        }
    }

    fn route(&mut self, replica: &ReplicaId, route: Route) {
        self.replicas.get_mut(replica).unwrap().route = Some(route);
        self.serve();
    }
}

#[test]
fn in_ten_thousand_tries_nothing_in_use_is_stopped_and_nobody_waits_for_one_asleep() {
    let mut slept = 0;
    for seed in 0..TRIES {
        let mut house = House::new(seed);
        for _ in 0..LOOKS {
            slept += u64::from(house.look(seed).is_asleep());
        }
        // Left alone, it serves everybody, and then sleeps.
        house.quiet = true;
        let end = (0..120).map(|_| house.look(seed)).last().unwrap();
        assert!(house.waiting.is_empty() && end.is_asleep(), "seed {seed}:\n{end}");
    }
    assert!(slept > TRIES, "they hardly ever slept: {slept} looks");
}
