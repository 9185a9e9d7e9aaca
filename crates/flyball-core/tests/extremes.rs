//! The largest numbers that an engine, a balancer or a clock may report. Random input found them;
//! each is kept as its smallest case.

mod world;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::invariants;
use flyball_core::memory::Memory;
use flyball_core::observation::{
    BalancerReport, Observation, Reading, Route, ServerHealth, ServerReport,
};
use flyball_core::plan::Step;
use flyball_core::policy::{Policy, Rule, Target};
use flyball_core::units::{ReplicaId, Timestamp};

use world::{World, governor, policy};

/// One replica that serves, as a balancer and an engine see it.
fn observation() -> Observation {
    let mut world = World::new(governor(1, 10));
    world.load = 5.0;
    world.pass(5_000);
    world.observe()
}

fn balancer(observation: &mut Observation) -> &mut BalancerReport {
    match &mut observation.balancer {
        Some(Reading::Taken { value, .. }) => value,
        _ => unreachable!("the world has a balancer"),
    }
}

/// Everything true at `ms`.
fn at(observation: &Observation, ms: u64) -> Observation {
    let (mut observation, now) = (observation.clone(), Timestamp::from_ms(ms));
    observation.at = now;
    if let Reading::Taken { at, .. } = &mut observation.engine {
        *at = now;
    }
    if let Some(Reading::Taken { at, .. }) = &mut observation.balancer {
        *at = now;
    }
    observation
}

fn looked(policy: &Policy, memory: &mut Memory, observation: &Observation) -> Decision {
    let decision = decide(policy, memory, observation);
    assert_eq!(invariants::check(policy, observation, &decision), [], "{decision}");
    decision
}

#[test]
fn the_last_moment_of_a_clock_is_like_any_other() {
    let rules = [governor(1, 10), policy(Rule::Target(Target::default()), 1, 10)];
    for policy in rules {
        let (observation, mut memory) = (observation(), Memory::default());
        for ms in [u64::MAX - 3_000, u64::MAX - 1_000, u64::MAX, u64::MAX] {
            let mut observation = at(&observation, ms);
            balancer(&mut observation).arrivals += ms % 1_000;
            let _decision = looked(&policy, &mut memory, &observation);
        }
    }
}

#[test]
fn counters_at_their_largest_are_no_load() {
    let (policy, mut memory, mut observation) = (governor(1, 10), Memory::default(), observation());
    let report = balancer(&mut observation);
    (report.errors, report.arrivals, report.waiting) = (u64::MAX, u64::MAX, 7);
    let server = ServerReport {
        route: Route::Draining,
        in_flight: u32::MAX,
        served: u64::MAX,
        first_served_at: None,
        health: ServerHealth::Up,
    };
    report.servers.insert(ReplicaId::numbered("web", 8), server.clone());
    report.servers.insert(ReplicaId::numbered("web", 9), server);
    let decision = looked(&policy, &mut memory, &observation);
    assert_eq!(decision.signals.in_flight, u32::MAX);
}

#[test]
fn a_start_lag_without_end_is_remembered_and_waited_for() {
    let (policy, mut memory, observation) = (governor(1, 10), Memory::default(), observation());
    let _decision = looked(&policy, &mut memory, &observation);
    let mut observation = at(&observation, u64::MAX);
    for (number, server) in (2_u64..).zip(balancer(&mut observation).servers.values_mut()) {
        server.first_served_at = Some(Timestamp::from_ms(u64::MAX - number));
    }
    let _decision = looked(&policy, &mut memory, &observation);
}

#[test]
fn a_container_with_the_highest_number_does_not_end_the_numbers() {
    for foreign in ["web-18446744073709551615", "web-281474976710655", "web-281474976710656"] {
        let mut world = World::new(governor(3, 10));
        world.add(ReplicaId::new(foreign)).protected = true;
        let decision = world.run(4_000);
        assert_eq!((world.ready(), decision.desired), (3, 3), "{foreign}: {decision}");
        let started = world.replicas.keys().filter(|id| id.as_str() != foreign).count();
        assert_eq!(started, 2, "{foreign}");
        assert!(!decision.plan.iter().any(|step| matches!(step, Step::Start { .. })), "{decision}");
    }
}
