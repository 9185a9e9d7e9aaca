//! The invariants under random observations: anything an engine or a balancer may report, in any
//! order, including nonsense. `invariants::check` checks each decision from outside.

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
use flyball_core::rollout::{Deployed, RolloutOrder};
use flyball_core::rules::{Arithmetic, Recommendation};
use flyball_core::units::{ReplicaId, Timestamp};
use proptest::prelude::*;

prop_compose! {
    fn bounds()(min in 0_u32..6, more in 0_u32..20) -> Bounds {
        Bounds { min, max: (min + more).max(1) }
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (
            0.2..1.0,
            proptest::option::of(1_u32..20),
            proptest::option::of(0_u64..60_000),
            proptest::option::of((0.0001..0.5, 1_u64..1_000))
        )
            .prop_map(|(busy_cap, slots, hold_ms, objective)| {
                let objective = objective.map(|(late, within_ms)| Objective { late, within_ms });
                Rule::Governor(Governor { busy_cap, slots, hold_ms, objective })
            }),
        (0.1..1.0, 0_u64..60_000, 0.0..1.0).prop_map(|(cpu, in_window_ms, in_share)| {
            Rule::Target(Target { cpu, in_window_ms, in_share, ..Target::default() })
        }),
        (0.3..0.9, 0.0..0.3, 1_u32..5, 0_u64..20_000).prop_map(
            |(out_at, in_at, by, cooldown_ms)| {
                Rule::Step(StepRule { out_at, in_at, by, cooldown_ms, cpu_window_ms: 1_000 })
            }
        ),
        (1_u32..5, 0_u64..20_000).prop_map(|(by, cooldown_ms)| {
            Rule::Advised(Advised { by, cooldown_ms, cpu_window_ms: 1_000, ..Advised::default() })
        }),
        Just(Rule::External),
    ]
}

prop_compose! {
    fn policy()(bounds in bounds(), rule in rule(), drain_limit_ms in 0_u64..20_000,
                start_limit_ms in 500_u64..20_000, stale_after_ms in 200_u64..10_000,
                sleep in proptest::option::of(100_u64..20_000), surge in 0_u32..4, share in 0.0..1.0_f64, abort_after in 0_u32..5) -> Policy {
        let surge = if surge == 0 { Surge::Share(share) } else { Surge::Count(surge) };
        let update = if abort_after % 2 == 0 { Update::Auto } else { Update::Manual };
        let rollout = RolloutPolicy { surge, abort_after, update };
        let timing = Timing { drain_limit_ms, start_limit_ms, stale_after_ms, ..Timing::default() };
        let sleep = sleep.map(|after_ms| SleepPolicy { after_ms });
        Policy { service: "web".into(), bounds, rule, timing, rollout, sleep }
    }
}

prop_compose! {
    fn replica()(number in 1_u64..12, phase in 0_u8..4, age_ms in 0_u64..30_000,
                 used_ns in proptest::option::of(0_u64..u64::MAX / 2),
                 held_ns in proptest::option::of(0_u64..u64::MAX / 2), cores in 0.05_f64..4.0,
                 protected in proptest::bool::weighted(0.1), addressed in proptest::bool::weighted(0.9))
                 -> ReplicaDraw {
        (number, phase, age_ms, (used_ns, held_ns), cores, protected, addressed)
    }
}

prop_compose! {
    fn look()(step_ms in 0_u64..3_000, replicas in proptest::collection::vec(replica(), 0..10),
              engine_age in proptest::option::weighted(0.9, 0_u64..12_000),
              balancer in proptest::option::weighted(0.8, (proptest::option::weighted(0.9, 0_u64..12_000), 0_u64..3)),
              arrivals in 0_u64..100_000, errors in 0_u64..1_000, waiting in 0_u32..500,
              servers in proptest::collection::vec((1_u64..14, any::<bool>(), 0_u32..9, 0_u64..9_999), 0..12),
              exits in proptest::collection::vec((1_u64..14, proptest::option::of(0_u64..20_000)), 0..4),
              manual in proptest::option::weighted(0.2, (proptest::option::of(0_u32..40), proptest::option::of(0_u64..9_000))),
              advice in proptest::option::weighted(0.8, (0_u8..3, 0_u64..12_000)),
              busy in proptest::bool::weighted(0.05),
              count in proptest::option::weighted(0.9, (0_u32..14, proptest::option::of(proptest::collection::vec(1_u64..14, 0..12))))) -> Look {
        Look { step_ms, replicas, engine_age, balancer, arrivals, errors, waiting, servers, exits, manual, advice, busy, count }
    }
}

/// Looks at one engine, which keeps a count of its own in every other case.
fn looks(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Look>> {
    (any::<bool>(), proptest::collection::vec(look(), count)).prop_map(|(counts, mut looks)| {
        for look in &mut looks {
            look.count = if counts { look.count.take().or(Some((1, None))) } else { None };
        }
        looks
    })
}

/// Number, phase, age, counters of CPU and of throttling, cores, protected, addressed.
type ReplicaDraw = (u64, u8, u64, (Option<u64>, Option<u64>), f64, bool, bool);

#[derive(Clone, Debug)]
struct Look {
    step_ms: u64,
    replicas: Vec<ReplicaDraw>,
    engine_age: Option<u64>,
    balancer: Option<(Option<u64>, u64)>,
    arrivals: u64,
    errors: u64,
    waiting: u32,
    servers: Vec<(u64, bool, u32, u64)>,
    exits: Vec<(u64, Option<u64>)>,
    manual: Option<(Option<u32>, Option<u64>)>,
    advice: Option<(u8, u64)>,
    busy: bool,
    /// The count that the engine has, and which replicas are predicted to leave; they can be chosen
    /// if none is.
    count: Option<(u32, Option<Vec<u64>>)>,
}

fn name(number: u64) -> ReplicaId {
    ReplicaId::numbered("web", number)
}

/// One of two, or none.
fn generation(drawn: u64) -> Option<Generation> {
    (!drawn.is_multiple_of(3)).then(|| Generation::of_digest((drawn % 3) << 32))
}

fn ago(now: u64, age_ms: u64) -> Timestamp {
    Timestamp::from_ms(now.saturating_sub(age_ms))
}

impl Look {
    fn observe(&self, now: u64) -> Observation {
        let balancer = self.balancer.map(|(age, epoch)| match age {
            Some(age) => Reading::Taken { at: ago(now, age), value: self.balancer(now, epoch) },
            None => Reading::Missing { since: ago(now, 5_000), why: "no answer".into() },
        });
        let engine = match self.engine_age {
            Some(age) => Reading::Taken { at: ago(now, age), value: self.engine(now) },
            None => Reading::Missing { since: ago(now, 5_000), why: String::new() },
        };
        let manual = self.manual.map(|(pin, for_ms)| Manual {
            ask: pin.map_or(Ask::Pause, Ask::Pin),
            until: for_ms.map(|ms| Timestamp::from_ms(now + ms)),
            by: "test".into(),
        });
        let at = Timestamp::from_ms(now);
        let advice = self.advice.map(|(kind, age_ms)| {
            let value = [Advice::More, Advice::Fewer, Advice::Keep][usize::from(kind)];
            Reading::Taken { at: ago(now, age_ms), value }
        });
        let rollout = RolloutOrder {
            paused: self.waiting.is_multiple_of(5),
            deployed: generation(self.errors).map(|generation| Deployed { generation, at }),
            back_to: if self.errors.is_multiple_of(4) {
                generation(self.arrivals / 3)
            } else {
                None
            },
        };
        Observation { balancer, manual, advice, rollout, ..Observation::new(at, engine) }
    }

    fn without_throttling(mut self) -> Self {
        self.replicas.iter_mut().for_each(|replica| replica.3.1 = None);
        self
    }

    fn engine(&self, now: u64) -> EngineReport {
        let mut replicas = BTreeMap::new();
        for &(number, phase, age_ms, counters, cpu_limit_cores, protected, addressed) in
            &self.replicas
        {
            let (used_ns, held_ns) = counters;
            let phase = [Phase::Starting, Phase::Ready, Phase::Stopping, Phase::Unhealthy]
                [usize::from(phase)];
            let report = ReplicaReport {
                ready_at: (phase != Phase::Starting).then(|| ago(now, age_ms / 2)),
                address: addressed.then(|| SocketAddr::from(([127, 0, 0, 1], 80))),
                cpu: used_ns.map(|used_ns| CpuCounter { at: ago(now, 0), used_ns }),
                throttled: held_ns.map(|held_ns| ThrottleCounter { at: ago(now, 0), held_ns }),
                cpu_limit_cores,
                protected,
                may_sleep: protected && age_ms.is_multiple_of(2),
                generation: generation(number),
                ..ReplicaReport::new(name(number), phase, ago(now, age_ms))
            };
            replicas.insert(name(number), report);
        }
        let exit = |&(number, ready_ms): &(u64, Option<u64>)| Exit {
            replica: name(number),
            at: ago(now, number),
            ready_ms,
            reason: "exit status 1".into(),
        };
        EngineReport {
            replicas: replicas.into_values().collect(),
            exits: self.exits.iter().map(exit).collect(),
            busy: self.busy.then(|| "a rollout".to_owned()),
            pending: None,
            notices: Vec::new(),
            count: self.count.clone().map(|(wanted, leaving)| EngineCount {
                wanted,
                leaving: leaving.map_or(Leaving::Chosen, |numbers| {
                    Leaving::Predicted(numbers.into_iter().map(name).collect())
                }),
            }),
            not_ready: BTreeMap::new(),
            generation: generation(self.arrivals),
        }
    }

    fn balancer(&self, now: u64, epoch: u64) -> BalancerReport {
        let server = |&(number, draining, in_flight, served): &(u64, bool, u32, u64)| {
            let route = if draining { Route::Draining } else { Route::Routed };
            let first_served_at = (served > 0).then(|| ago(now, served));
            let health = ServerHealth::Up;
            (name(number), ServerReport { route, in_flight, served, first_served_at, health })
        };
        BalancerReport {
            epoch,
            arrivals: self.arrivals,
            errors: self.errors,
            failures: FailureCounts::default(),
            waiting: self.waiting,
            servers: self.servers.iter().map(server).collect(),
            latency: self.errors.is_multiple_of(2).then(|| LatencyReport {
                window_ms: 10_000,
                count: self.arrivals,
                p50_ms: f64::from(self.waiting),
                p99_ms: f64::from(self.waiting) * 10.0,
            }),
            late: self.errors.is_multiple_of(3).then_some(self.errors),
            trouble: None,
            wakeful: None,
        }
    }
}

/// Replicas' worth of CPU in use, and of throttled time.
fn cpu_usage(recommendation: &Recommendation) -> Option<(f64, f64)> {
    match recommendation.arithmetic {
        Arithmetic::Cpu(terms) => Some((terms.used, terms.held.unwrap_or(0.0))),
        _ => None,
    }
}

/// Runs the looks through one memory; each with what was seen and decided.
fn run(policy: &Policy, looks: &[Look]) -> Vec<(Observation, Decision)> {
    let (mut memory, mut now) = (Memory::default(), 100_000);
    let mut out = Vec::new();
    for look in looks {
        now += look.step_ms;
        let observation = look.observe(now);
        let decision = decide(policy, &mut memory, &observation);
        out.push((observation, decision));
    }
    out
}

/// Whether each of the looks takes something away that serves or is about to. An engine with a
/// count of its own gets an order; what leaves anyway is drained.
fn removals(policy: &Policy, looks: &[Look]) -> Vec<bool> {
    let (mut memory, mut now) = (Memory::default(), 100_000);
    let mut out = Vec::new();
    for look in looks {
        now += look.step_ms;
        let before = std::mem::take(&mut memory.plan.removed_at);
        let decision = decide(policy, &mut memory, &look.observe(now));
        let committed = decision.signals.committed();
        let lowers = |step: &Step, wanted: u32| matches!(step, Step::Scale { to, .. } if *to < wanted.min(committed));
        out.push(match look.count {
            Some((wanted, _)) => decision.plan.iter().any(|step| lowers(step, wanted)),
            None => memory.plan.removed_at.is_some(),
        });
        memory.plan.removed_at = memory.plan.removed_at.or(before);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_decision_breaks_an_invariant(policy in policy(), looks in looks(1..25)) {
        for (observation, decision) in run(&policy, &looks) {
            let broken = invariants::check(&policy, &observation, &decision);
            prop_assert!(broken.is_empty(), "{broken:?}\n{decision}\n{observation:?}");
        }
    }

    #[test]
    fn a_decision_is_the_same_every_time(policy in policy(), looks in looks(1..10)) {
        prop_assert_eq!(run(&policy, &looks), run(&policy, &looks));
    }

    #[test]
    fn a_record_reads_after_storage_as_it_did_before(policy in policy(), looks in looks(1..10)) {
        for (_, decision) in run(&policy, &looks) {
            let read: Decision = serde_json::from_str(&serde_json::to_string(&decision).unwrap()).unwrap();
            prop_assert_eq!(read.to_string(), decision.to_string());
        }
    }

    #[test]
    fn the_count_never_falls_on_stale_readings(policy in policy(), looks in looks(2..25)) {
        let decisions = run(&policy, &looks);
        for ((_, before), (observation, decision)) in decisions.iter().zip(decisions.iter().skip(1)) {
            let limit_ms = policy.timing.stale_after_ms;
            let balancer_stale = observation.balancer.as_ref().is_some_and(|b| b.fresh(observation.at, limit_ms).is_none());
            let stale = observation.engine.fresh(observation.at, limit_ms).is_none() || balancer_stale;
            let by_hand = observation.manual.is_some() || policy.rule == Rule::External;
            if stale && !by_hand {
                // Compared with what was decided on sight: a count decided blind is not kept.
                let kept = decision.signals.current.min(policy.bounds.max);
                prop_assert!(decision.desired >= kept, "{before}\n{decision}");
            }
        }
    }

    #[test]
    fn nothing_is_removed_before_the_hold_window_is_full(policy in policy(), looks in looks(1..25)) {
        let window_ms = match &policy.rule {
            Rule::Governor(_) => policy.windows(policy.timing.start_lag_prior_ms).hold_ms.min(10_000),
            Rule::Target(rule) => rule.in_window_ms,
            Rule::Step(rule) => rule.cooldown_ms,
            Rule::Advised(rule) => rule.cooldown_ms,
            Rule::External => return Ok(()),
        };
        // Its window is its own.
        let policy = Policy { sleep: None, ..policy };
        let set = matches!(policy.rule, Rule::Governor(Governor { hold_ms: Some(_), .. }));
        prop_assume!(!matches!(policy.rule, Rule::Governor(_)) || set);
        let started = looks[0].step_ms + 100_000;
        let looked = run(&policy, &looks).into_iter().zip(removals(&policy, &looks));
        for ((observation, decision), removed) in looked {
            let by_hand = observation.manual.is_some();
            let over = decision.signals.committed().max(decision.signals.current) > policy.bounds.max;
            // One that keeps a count of its own may run more than that while it replaces replicas.
            let replaces = observation.engine.value().is_some_and(|e| e.busy.is_some() && e.count.is_some());
            if observation.at.as_ms() < started + window_ms && !by_hand && !over && !replaces {
                prop_assert!(decision.desired >= decision.signals.current.min(policy.bounds.max), "{decision}");
                prop_assert!(!removed, "{decision}");
            }
        }
    }

    #[test]
    fn throttled_time_never_lowers_a_count_and_at_most_doubles_what_cpu_asks_for(policy in policy(), looks in looks(1..25)) {
        let bare = looks.iter().cloned().map(Look::without_throttling).collect::<Vec<_>>();
        for ((_, held), (_, bare)) in run(&policy, &looks).iter().zip(run(&policy, &bare)) {
            prop_assert!(held.desired >= bare.desired, "{bare}\n{held}");
            if let Some((used, counted)) = held.recommendations.iter().find_map(cpu_usage) {
                prop_assert!((0.0..=used).contains(&counted), "{held}");
            }
            // From here on each has a past of its own.
            if (held.desired, &held.plan) != (bare.desired, &bare.plan) {
                break;
            }
        }
    }

    #[test]
    fn the_floor_is_asked_for_at_the_next_look(policy in policy(), looks in looks(1..10)) {
        let mut asked = Vec::new();
        for (look, (observation, decision)) in looks.iter().zip(run(&policy, &looks)) {
            let blind = observation.engine.fresh(observation.at, policy.timing.stale_after_ms).is_none();
            // What was asked for after the report was made is on its way, though it does not show.
            if !blind && !look.busy {
                asked.retain(|at| observation.engine.age_ms(observation.at) >= observation.at.ms_since(*at));
            }
            let unseen = asked.len();
            // One that was draining may come back without a step, where it was routed all along.
            let starts = decision.plan.iter().filter(|s| matches!(s, Step::Start { .. })).count();
            let signals = &decision.signals;
            // Those that report they cannot serve keep their places, lest they be doubled.
            let there = signals.committed() + signals.draining + signals.unhealthy;
            let coming = there as usize + starts + unseen;
            asked.extend(std::iter::repeat_n(observation.at, starts));
            if !blind && !look.busy && decision.held_starts.is_none() {
                let scaled_to = decision.plan.iter().find_map(|step| match step {
                    Step::Scale { to, .. } => Some(*to),
                    _ => None,
                });
                let count = look.count.as_ref().map(|(wanted, _)| scaled_to.unwrap_or(*wanted));
                let coming = count.map_or(coming, |count| count as usize);
                prop_assert!(coming >= policy.bounds.min as usize, "{decision}");
            }
            prop_assert!(decision.desired >= policy.bounds.min);
        }
    }
}
