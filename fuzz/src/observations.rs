//! Sequences of looks at one service. `decide` never panics, is deterministic and keeps the core's
//! invariants; decisions survive a round trip. Observations have unique ordered names and positive
//! limits; all else is random.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use arbitrary::{Result, Unstructured};
use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::generation::Generation;
use flyball_core::invariants;
use flyball_core::memory::Memory;
use flyball_core::observation::{
    Advice, Ask, BalancerReport, CpuCounter, EngineCount, EngineReport, Exit, FailureCounts,
    LatencyReport, Leaving, Manual, Observation, Phase, ProbeFailure, Reading, ReplicaReport,
    Route, ServerHealth, ServerReport, ThrottleCounter,
};
use flyball_core::plan::Step;
use flyball_core::policy::{
    Advised, Bounds, Governor, Objective, Policy, RolloutPolicy, Rule, SleepPolicy, StepRule,
    Surge, Target, Timing, Update,
};
use flyball_core::rollout::{Deployed, RolloutOrder};
use flyball_core::units::{ReplicaId, Timestamp};

/// Looks at most.
const LOOKS_MAX: u32 = 24;
/// Replicas at most: names are drawn from this many.
const NUMBERS: u64 = 12;

/// Bytes as a policy and what is seen, look by look.
pub fn observations(data: &[u8]) {
    // Ends where the bytes end.
    let _end = Look::all(&mut Unstructured::new(data));
}

/// What there is, as it is changed from look to look.
struct Look {
    policy: Policy,
    now_ms: u64,
    replicas: BTreeMap<ReplicaId, ReplicaReport>,
    servers: BTreeMap<ReplicaId, ServerReport>,
    counters: (u64, u64, u64),
    exits: Vec<Exit>,
    wanted_count: Option<u32>,
    /// What a start makes.
    offered: Option<Generation>,
}

impl Look {
    fn all(u: &mut Unstructured<'_>) -> Result<()> {
        let policy = policy(u)?;
        let wanted_count = u.ratio(1, 4)?.then_some(1);
        let mut look = Self {
            policy,
            now_ms: time(u)?,
            replicas: BTreeMap::new(),
            servers: BTreeMap::new(),
            counters: (0, 0, 0),
            exits: Vec::new(),
            wanted_count,
            offered: generation(u)?,
        };
        let mut memory = Memory::default();
        for _ in 0..LOOKS_MAX {
            if u.is_empty() {
                return Ok(());
            }
            look.change(u)?;
            let seen = look.seen(u)?;
            let decision = decided(&look.policy, &mut memory, &seen);
            if u.ratio(1, 8)? {
                recorded(&decision);
            }
            if u.ratio(3, 4)? {
                decision.plan.iter().for_each(|step| look.carry_out(step));
            }
        }
        Ok(())
    }

    /// What happens between two looks.
    fn change(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let span_ms = *u.choose(&[0, 1, 100, 200, 1_000, 2_000, 30_000, 600_000])?;
        self.now_ms = if u.ratio(1, 64)? { time(u)? } else { self.now_ms.saturating_add(span_ms) };
        let arrived =
            if u.ratio(1, 16)? { u.arbitrary()? } else { u64::from(u.arbitrary::<u16>()?) };
        self.counters.1 = self.counters.1.wrapping_add(arrived);
        if u.ratio(1, 8)? {
            self.counters = (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
        }
        if u.ratio(1, 8)? {
            self.offered = generation(u)?;
        }
        for _ in 0..u.int_in_range(0..=3)? {
            self.change_one(u)?;
        }
        Ok(())
    }

    fn change_one(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let id = name(u)?;
        match u.int_in_range(0..=7_u8)? {
            0 => drop(self.replicas.remove(&id)),
            1 => drop(self.servers.remove(&id)),
            2 => drop(self.servers.insert(id, server(u, self.now_ms)?)),
            3 => {
                let ready_ms = u.arbitrary::<Option<u32>>()?.map(u64::from);
                let at = self.around(u)?;
                self.exits.push(Exit { replica: id, at, ready_ms, reason: "killed".to_owned() });
                // As engines keep them: the latest, at most 20.
                self.exits.sort_by_key(|exit| exit.at);
                let surplus = self.exits.len().saturating_sub(20);
                self.exits.drain(..surplus);
            }
            4..=6 => self.age(u, &id)?,
            _ => {
                let replica = self.replica(u, &id)?;
                self.replicas.insert(id, replica);
            }
        }
        Ok(())
    }

    /// A replica grows older as replicas do.
    fn age(&mut self, u: &mut Unstructured<'_>, id: &ReplicaId) -> Result<()> {
        let (now, used_ns) = (Timestamp::from_ms(self.now_ms), u64::from(u.arbitrary::<u32>()?));
        let Some(replica) = self.replicas.get_mut(id) else { return Ok(()) };
        replica.phase = phase(u)?;
        if let Some(server) = self.servers.get_mut(id) {
            server.health = health(u)?;
        }
        replica.ready_at = (replica.phase != Phase::Starting).then_some(now);
        let before_ns = replica.cpu.map_or(0, |cpu| cpu.used_ns);
        replica.cpu = Some(CpuCounter { at: now, used_ns: before_ns.saturating_add(used_ns) });
        Ok(())
    }

    fn replica(&self, u: &mut Unstructured<'_>, id: &ReplicaId) -> Result<ReplicaReport> {
        let phase = phase(u)?;
        let at = self.around(u)?;
        Ok(ReplicaReport {
            ready_at: if phase == Phase::Starting { None } else { Some(self.around(u)?) },
            address: u.ratio(7, 8)?.then(address),
            cpu: u.arbitrary::<Option<u64>>()?.map(|used_ns| CpuCounter { at, used_ns }),
            throttled: u.arbitrary::<Option<u64>>()?.map(|held_ns| ThrottleCounter { at, held_ns }),
            cpu_limit_cores: *u.choose(&[1.0, 0.5, 0.001, 64.0, 1e-9, 1e9])?,
            protected: u.ratio(1, 8)?,
            may_sleep: u.arbitrary()?,
            generation: generation(u)?,
            ..ReplicaReport::new(id.clone(), phase, self.around(u)?)
        })
    }

    /// A moment, mostly of the last minute.
    fn around(&self, u: &mut Unstructured<'_>) -> Result<Timestamp> {
        let ago_ms = u64::from(u.arbitrary::<u16>()?);
        let ms = if u.ratio(1, 32)? { time(u)? } else { self.now_ms.saturating_sub(ago_ms) };
        Ok(Timestamp::from_ms(ms))
    }

    fn seen(&self, u: &mut Unstructured<'_>) -> Result<Observation> {
        let engine = EngineReport {
            replicas: self.replicas.values().cloned().collect(),
            exits: self.exits.clone(),
            busy: u.ratio(1, 16)?.then(|| "a rollout".to_owned()),
            pending: None,
            notices: Vec::new(),
            count: match self.wanted_count {
                Some(wanted) => Some(EngineCount { wanted, leaving: leaving(u)? }),
                None => None,
            },
            not_ready: self.not_ready(u)?,
            generation: self.offered,
        };
        let balancer = BalancerReport {
            epoch: self.counters.0,
            arrivals: self.counters.1,
            errors: self.counters.2,
            failures: if u.ratio(1, 8)? { failures(u)? } else { FailureCounts::default() },
            waiting: if u.ratio(1, 8)? { u.arbitrary()? } else { u.int_in_range(0..=9)? },
            servers: self.servers.clone(),
            late: u.arbitrary::<Option<u8>>()?.map(u64::from),
            trouble: None,
            wakeful: None,
            latency: if u.ratio(1, 4)? { Some(latency(u)?) } else { None },
        };
        let advice = if u.ratio(1, 4)? {
            let advice = *u.choose(&[Advice::More, Advice::Fewer, Advice::Keep])?;
            Some(self.reading(u, advice)?)
        } else {
            None
        };
        Ok(Observation {
            wall_ms: u.arbitrary()?,
            balancer: if u.ratio(7, 8)? { Some(self.reading(u, balancer)?) } else { None },
            manual: if u.ratio(1, 8)? { Some(self.manual(u)?) } else { None },
            advice,
            failing: self.failing(u)?,
            rollout: rollout_order(u, Timestamp::from_ms(self.now_ms))?,
            ..Observation::new(Timestamp::from_ms(self.now_ms), self.reading(u, engine)?)
        })
    }

    /// What some of them answered, whether they are starting or not.
    fn not_ready(&self, u: &mut Unstructured<'_>) -> Result<BTreeMap<ReplicaId, String>> {
        if u.ratio(3, 4)? {
            return Ok(BTreeMap::new());
        }
        let why = "GET / answers 404".to_owned();
        Ok(self.replicas.keys().cloned().map(|id| (id, why.clone())).collect())
    }

    /// Some of those that are there, and now and then one that is not.
    fn failing(&self, u: &mut Unstructured<'_>) -> Result<BTreeMap<ReplicaId, ProbeFailure>> {
        let mut failing = BTreeMap::new();
        if u.ratio(3, 4)? {
            return Ok(failing);
        }
        for id in self.replicas.keys() {
            if u.arbitrary()? {
                failing.insert(id.clone(), probe_failure(u)?);
            }
        }
        if u.ratio(1, 8)? {
            failing.insert(name(u)?, probe_failure(u)?);
        }
        Ok(failing)
    }

    fn reading<T>(&self, u: &mut Unstructured<'_>, value: T) -> Result<Reading<T>> {
        Ok(match u.int_in_range(0..=15_u8)? {
            0 => Reading::Missing { since: self.around(u)?, why: "no answer".to_owned() },
            1 => Reading::Taken { at: self.around(u)?, value },
            _ => Reading::Taken { at: Timestamp::from_ms(self.now_ms), value },
        })
    }

    fn manual(&self, u: &mut Unstructured<'_>) -> Result<Manual> {
        let ask = if u.arbitrary()? { Ask::Pause } else { Ask::Pin(u.arbitrary()?) };
        let until = u.arbitrary::<Option<u16>>()?;
        let until = until.map(|ms| Timestamp::from_ms(self.now_ms.saturating_add(ms.into())));
        Ok(Manual { ask, until, by: "fuzz".to_owned() })
    }

    /// As an engine and a balancer carry out orders.
    fn carry_out(&mut self, step: &Step) {
        let now = Timestamp::from_ms(self.now_ms);
        match step {
            Step::Start { replica, .. } => {
                let report = ReplicaReport {
                    address: Some(address()),
                    ..ReplicaReport::new(replica.clone(), Phase::Starting, now)
                };
                self.replicas.entry(replica.clone()).or_insert(report);
            }
            Step::Route { replica, .. } => {
                let fresh = ServerReport {
                    route: Route::Routed,
                    in_flight: 0,
                    served: 0,
                    first_served_at: None,
                    health: ServerHealth::Up,
                };
                self.servers.entry(replica.clone()).or_insert(fresh).route = Route::Routed;
            }
            Step::Drain { replica } => {
                if let Some(server) = self.servers.get_mut(replica) {
                    (server.route, server.in_flight) = (Route::Draining, 0);
                }
            }
            Step::Stop { replica, .. } => drop(self.replicas.remove(replica)),
            Step::Scale { to, leaving } => {
                self.wanted_count = Some(*to);
                self.replicas.retain(|id, _| !leaving.contains(id));
            }
        }
    }
}

fn decided(policy: &Policy, memory: &mut Memory, seen: &Observation) -> Decision {
    let mut twin = memory.clone();
    let decision = decide(policy, memory, seen);
    let again = decide(policy, &mut twin, seen);
    assert_eq!(again, decision, "the same look, another decision, or a figure that is no number");
    assert_eq!(invariants::check(policy, seen, &decision), [], "{seen:#?}\n{decision}");
    assert!(decision.next_look_ms > 0, "a look without end");
    decision
}

/// A record can be shown, and is the same when it was written and read.
fn recorded(decision: &Decision) {
    assert!(!decision.reason().is_empty() && !decision.to_string().is_empty());
    let text = serde_json::to_string(&decision).expect("a record can be written");
    let read: Decision = serde_json::from_str(&text).expect("and read");
    assert_eq!(serde_json::to_string(&read).expect("written again"), text, "a record changes");
}

fn policy(u: &mut Unstructured<'_>) -> Result<Policy> {
    let min = u.int_in_range(0..=4)?;
    let max = u.int_in_range(min.max(1)..=16)?;
    let max = if u.ratio(1, 16)? { 300 } else { max };
    let timing = Timing {
        interval_ms: u.arbitrary::<Option<u16>>()?.map(|ms| u64::from(ms).max(1)),
        start_lag_prior_ms: u64::from(u.arbitrary::<u16>()?),
        start_limit_ms: u64::from(u.arbitrary::<u16>()?),
        drain_limit_ms: u64::from(u.arbitrary::<u16>()?),
        stale_after_ms: u64::from(u.arbitrary::<u16>()?),
        sick_after_ms: u64::from(u.arbitrary::<u16>()?),
        eject_max: share(u, 0)?,
    };
    let bounds = Bounds { min, max };
    let surge = if u.arbitrary()? {
        Surge::Count(u.int_in_range(0..=5)?)
    } else {
        Surge::Share(share(u, 0)?)
    };
    let update = *u.choose(&[Update::Auto, Update::Manual])?;
    let after_ms = u64::from(u.arbitrary::<u16>()?);
    let sleep = u.arbitrary::<bool>()?.then_some(SleepPolicy { after_ms });
    let rollout = RolloutPolicy { surge, abort_after: u.int_in_range(0..=5)?, update };
    Ok(Policy { service: "web".to_owned(), bounds, rule: rule(u)?, timing, rollout, sleep })
}

/// One of two, or none.
fn generation(u: &mut Unstructured<'_>) -> Result<Option<Generation>> {
    let digest = u.int_in_range(0..=2_u64)?;
    Ok((digest > 0).then(|| Generation::of_digest(digest << 32)))
}

fn rollout_order(u: &mut Unstructured<'_>, now: Timestamp) -> Result<RolloutOrder> {
    let deployed = generation(u)?.map(|generation| Deployed { generation, at: now });
    Ok(RolloutOrder { paused: u.ratio(1, 4)?, deployed, back_to: generation(u)? })
}

fn rule(u: &mut Unstructured<'_>) -> Result<Rule> {
    let by = u.int_in_range(1..=5)?;
    let cooldown_ms = u64::from(u.arbitrary::<u16>()?);
    let cpu_window_ms = u64::from(u.arbitrary::<u16>()?).max(1_000);
    Ok(match u.int_in_range(0..=6_u8)? {
        0..=2 => Rule::Governor(Governor {
            busy_cap: share(u, 1)?,
            slots: u.arbitrary::<Option<u8>>()?.map(|slots| u32::from(slots).max(1)),
            hold_ms: u.arbitrary::<Option<u32>>()?.map(u64::from),
            objective: match u.arbitrary::<Option<u16>>()? {
                Some(ms) => Some(Objective { late: share(u, 1)?, within_ms: u64::from(ms).max(1) }),
                None => None,
            },
        }),
        3 => Rule::Target(Target {
            cpu: share(u, 1)?,
            tolerance: share(u, 0)?,
            in_window_ms: cooldown_ms,
            out_window_ms: u64::from(u.arbitrary::<u16>()?),
            out_by: by,
            out_share: share(u, 0)? * 100.0,
            in_share: share(u, 1)?,
            cpu_window_ms,
        }),
        4 => {
            let out_at = share(u, 1)?;
            let in_at = out_at * 0.5;
            Rule::Step(StepRule { out_at, in_at, by, cooldown_ms, cpu_window_ms })
        }
        5 => {
            let out_at = share(u, 1)?;
            let in_at = out_at * 0.5;
            Rule::Advised(Advised { out_at, in_at, by, cooldown_ms, cpu_window_ms })
        }
        _ => Rule::External,
    })
}

/// A share in hundredths, from `from` on.
fn share(u: &mut Unstructured<'_>, from: u8) -> Result<f64> {
    Ok(f64::from(u.int_in_range(from..=100)?) / 100.0)
}

/// Any time at all, some of them more often.
fn time(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0 => 0,
        1 => u64::MAX,
        2 => u.arbitrary()?,
        _ => 86_400_000,
    })
}

fn phase(u: &mut Unstructured<'_>) -> Result<Phase> {
    let phases = [Phase::Ready, Phase::Ready, Phase::Starting, Phase::Unhealthy, Phase::Stopping];
    u.choose(&phases).copied()
}

fn server(u: &mut Unstructured<'_>, now_ms: u64) -> Result<ServerReport> {
    Ok(ServerReport {
        route: if u.arbitrary()? { Route::Routed } else { Route::Draining },
        in_flight: if u.ratio(1, 16)? { u.arbitrary()? } else { u.int_in_range(0..=5)? },
        served: if u.ratio(1, 16)? { u.arbitrary()? } else { u64::from(u.arbitrary::<u16>()?) },
        first_served_at: u.arbitrary::<bool>()?.then_some(Timestamp::from_ms(now_ms)),
        health: health(u)?,
    })
}

fn health(u: &mut Unstructured<'_>) -> Result<ServerHealth> {
    let down = || ServerHealth::Down { why: "5 answers in a row were 500".to_owned() };
    Ok(if u.ratio(1, 4)? { down() } else { ServerHealth::Up })
}

fn probe_failure(u: &mut Unstructured<'_>) -> Result<ProbeFailure> {
    Ok(ProbeFailure { silent: u.arbitrary()?, why: "`GET /` was answered with 500".to_owned() })
}

fn failures(u: &mut Unstructured<'_>) -> Result<FailureCounts> {
    Ok(FailureCounts {
        by_replicas: u.arbitrary()?,
        by_balancer: u.arbitrary()?,
        unreachable: u.arbitrary()?,
    })
}

fn latency(u: &mut Unstructured<'_>) -> Result<LatencyReport> {
    let times = [0.0, 1.0, 250.0, 5_000.0, 1e300];
    let (p50_ms, p99_ms) = (*u.choose(&times)?, *u.choose(&times)?);
    Ok(LatencyReport { window_ms: u.arbitrary()?, count: u.arbitrary()?, p50_ms, p99_ms })
}

fn leaving(u: &mut Unstructured<'_>) -> Result<Leaving> {
    if u.arbitrary()? {
        return Ok(Leaving::Chosen);
    }
    let mut ids: Vec<ReplicaId> = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let id = name(u)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(Leaving::Predicted(ids))
}

/// A name as flyball gives them, or an external one.
fn name(u: &mut Unstructured<'_>) -> Result<ReplicaId> {
    let foreign =
        ["web-18446744073709551615", "web-281474976710655", "proud_newton", "api-3", "-", ""];
    if u.ratio(1, 16)? {
        return Ok(ReplicaId::new(*u.choose(&foreign)?));
    }
    Ok(ReplicaId::numbered("web", u.int_in_range(1..=NUMBERS)?))
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
