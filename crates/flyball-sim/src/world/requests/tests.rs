//! The world of requests against what is known of queues, and against itself.

use flyball_core::decision::Decision;
use flyball_core::observation::{Phase, Reading};
use flyball_core::plan::{Step, StopReason};
use flyball_core::policy::{Bounds, Governor, Objective, Policy, RolloutPolicy, Rule, Timing};
use flyball_core::units::ReplicaId;

use super::arrivals::{Arrivals, MS, nanos};
use super::run::{Outcome, drive, run};
use super::service::{Spread, Times};
use super::{Cold, Setup, World};
use crate::contender::Contender;
use crate::rival::{Fixed, Rival};
use crate::seed::Seed;

fn policy(max: u32) -> Policy {
    let timing = Timing { start_lag_prior_ms: 1_000, ..Timing::default() };
    let rule = Rule::Governor(Governor::default());
    Policy {
        service: "web".to_owned(),
        bounds: Bounds { min: 1, max },
        rule,
        timing,
        rollout: RolloutPolicy::default(),
        sleep: None,
    }
}

/// The last decision after ten minutes of requests of which one in fifty takes as long as ten.
fn kept_late(objective: Option<Objective>) -> Decision {
    let work = Times { mean_ms: 20.0, spread: Spread::Lognormal { cv: 2.0 } };
    let setup = Setup { work, limit_ms: 100, ..Setup::default() };
    let arrivals = Arrivals::of_rates(vec![100.0; 60], 10_000, u64::MAX / MS, Seed(1));
    let rule = Rule::Governor(Governor { objective, ..Governor::default() });
    let mut contender = Contender::own("governor", Policy { rule, ..policy(20) });
    let mut world = World::running(setup, arrivals, Seed(1), "web", 3);
    let (end_ns, mut last) = (world.end_ns(), None);
    drive(&mut contender, &mut world, end_ns, |_, decision| last = Some(decision.clone())).unwrap();
    last.unwrap()
}

#[test]
fn replicas_that_miss_their_slo_as_busy_as_planned_get_headroom_and_say_so() {
    let objective = Objective { late: 0.01, within_ms: 100 };
    let (without, with) = (kept_late(None), kept_late(Some(objective)));
    assert!(with.desired > without.desired, "{with}\n{without}");
    assert!(with.to_string().contains("at most 1 % later than 100 ms: "), "{with}");
    assert!(with.to_string().contains("of late (counted); growth from 9 min"), "{with}");
    assert!(!without.to_string().contains("later than"), "{without}");
}

fn fixed(count: u32) -> Contender {
    let policy = Policy {
        timing: Timing { interval_ms: Some(1_000), ..policy(count).timing },
        ..policy(count)
    };
    Contender::rival("static", policy, Rival::Fixed(Fixed::new(count)))
}

fn over(contender: &mut Contender, setup: &Setup, per_s: f64, seconds: u64) -> Outcome {
    let steps = usize::try_from(seconds / 10).unwrap();
    let arrivals = Arrivals::of_rates(vec![per_s; steps], 10_000, u64::MAX / MS, Seed(1));
    let outcome = run(contender, setup, arrivals, Seed(1));
    assert_eq!(outcome.broken, None);
    let sum = outcome.requests;
    assert_eq!(sum.arrived, sum.served + sum.unserved);
    outcome
}

/// A queue in the textbook: exponential work, one line, replicas that are there at once.
fn textbook() -> Setup {
    let work = Times { mean_ms: 50.0, spread: Spread::Exponential };
    Setup { work, slots: Some(1), start_lag: Times::same(1.0), patience_ms: 0, ..Setup::default() }
}

/// Percent of requests that spend longer than `limit_s` in a queue of `c` servers (M/M/c).
fn late_pct(per_s: f64, work_s: f64, servers: u32, limit_s: f64) -> f64 {
    let (mu, load, c) = (1.0 / work_s, per_s * work_s, f64::from(servers));
    let (mut term, mut sum) = (1.0, 0.0);
    for n in 0..servers {
        sum += term;
        term *= load / (f64::from(n) + 1.0);
    }
    let queued = term / (1.0 - load / c);
    let waits = queued / (sum + queued);
    let k = c - 1.0 - load;
    (-mu * limit_s).exp() * (1.0 + waits * (1.0 - (-mu * limit_s * k).exp()) / k) * 100.0
}

#[test]
fn one_line_and_exponential_work_give_the_latencies_of_the_textbook() {
    for (servers, per_s, seconds) in [(1, 14.0, 20_000), (4, 64.0, 6_000), (12, 204.0, 4_000)] {
        let outcome = over(&mut fixed(servers), &textbook(), per_s, seconds);
        let (here, due) = (outcome.requests.over_limit_pct(), late_pct(per_s, 0.05, servers, 0.25));
        assert!((here - due).abs() < 0.05 * due + 0.1, "{servers}: {here} % late, {due} % due");
    }
}

#[test]
fn heavier_tails_wait_longer_and_cost_the_same_work() {
    let late = |cv| {
        let work = Times { mean_ms: 50.0, spread: Spread::Lognormal { cv } };
        let setup = Setup { work, ..textbook() };
        over(&mut fixed(2), &setup, 30.0, 5_000).requests.over_limit_pct()
    };
    let (light, heavy) = (late(0.2), late(2.0));
    assert!(light < 3.0 && heavy > 3.0 * light, "{light} % and {heavy} % late");
}

#[test]
fn a_queue_in_each_replica_is_worse_than_one_line() {
    let late = |slots| {
        let setup = Setup { slots, ..textbook() };
        over(&mut fixed(8), &setup, 144.0, 5_000).requests.over_limit_pct()
    };
    let (one, each) = (late(Some(1)), late(None));
    assert!(each > 1.1 * one, "{one} % late in one line, {each} % in eight");
}

#[test]
fn another_policy_meets_the_same_requests_with_the_same_work() {
    let cpu = |contender: &mut Contender| {
        let arrivals = Arrivals::of_rates(vec![40.0; 20], 10_000, u64::MAX / MS, Seed(7));
        let setup = Setup { patience_ms: 0, waiting_max: usize::MAX, ..textbook() };
        let mut world = World::new(setup, arrivals, Seed(7));
        let mut used = std::collections::BTreeMap::new();
        while world.now_ns < 600_000 * MS {
            let mut seen = world.observe();
            let engine = seen.engine.value().unwrap();
            used.extend(engine.replicas.iter().map(|r| (r.id.clone(), r.cpu.unwrap().used_ns)));
            for step in &contender.decide(&mut seen).plan {
                world.carry_out(step);
            }
            world.advance(world.now_ns + 100 * MS, 0);
        }
        let arrived = world.latencies().arrived;
        (arrived, used.values().sum::<u64>() / 1_000_000)
    };
    let (arrived, used_ms) = cpu(&mut fixed(9));
    let (arrived_too, used_ms_too) = cpu(&mut fixed(3));
    let (arrived_again, used_ms_again) = cpu(&mut Contender::own("governor", policy(20)));
    assert_eq!((arrived, arrived), (arrived_too, arrived_again));
    // Rounded down once for each replica.
    assert!(used_ms.abs_diff(used_ms_too) < 10, "{used_ms} and {used_ms_too}");
    assert!(used_ms.abs_diff(used_ms_again) < 40, "{used_ms} and {used_ms_again}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let p99 = |seed| {
        let arrivals = Arrivals::of_rates(vec![40.0; 20], 10_000, u64::MAX / MS, Seed(seed));
        let mut contender = Contender::own("governor", policy(20));
        let outcome = run(&mut contender, &textbook(), arrivals, Seed(seed));
        (outcome.requests.arrived, outcome.requests.p99_ms, outcome.replica_s.to_bits())
    };
    assert_eq!(p99(1), p99(1));
    assert_ne!(p99(1), p99(2));
}

#[test]
fn the_governor_follows_a_load_and_serves_it() {
    let setup = Setup { wakes: true, start_lag: Times::same(100.0), ..Setup::default() };
    let mut contender = Contender::own("governor", policy(20));
    let outcome = over(&mut contender, &setup, 100.0, 1_000);
    assert!(outcome.requests.over_limit_pct() < 1.0, "{outcome:?}");
    // 5 replicas' worth, at most 85 % busy: six, or now and then more.
    let mean = outcome.replica_s / outcome.seconds;
    assert!((5.9..8.0).contains(&mean), "{mean}");
}

fn world(setup: Setup, per_s: f64) -> World {
    let arrivals = Arrivals::of_rates(vec![per_s; 100], 1_000, 0, Seed(1));
    World::new(setup, arrivals, Seed(1))
}

fn id(number: u64) -> ReplicaId {
    ReplicaId::numbered("web", number)
}

fn start_and_route(world: &mut World, number: u64) {
    world.carry_out(&Step::Start { replica: id(number), generation: None });
    world.advance(world.now_ns + 2_000 * MS, 0);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
    world.carry_out(&Step::Route { replica: id(number), address });
}

#[test]
fn a_draining_replica_finishes_what_it_has_and_gets_no_more() {
    let work = Times::same(500.0);
    let mut world = world(Setup { work, slots: None, ..Setup::default() }, 3.0);
    start_and_route(&mut world, 1);
    start_and_route(&mut world, 2);
    assert!(world.replicas[0].in_flight > 0);
    world.carry_out(&Step::Drain { replica: id(1) });
    let (had, served) = (u64::from(world.replicas[0].in_flight), world.replicas[0].served);
    world.advance(world.now_ns + 10_000 * MS, 0);
    assert_eq!(world.replicas[0].served, served + had);
    assert_eq!(world.replicas[0].route, None, "a server that drained is forgotten");
    assert_eq!(world.latencies().unserved, 0);
}

#[test]
fn what_a_crashed_replica_had_is_lost_and_the_rest_is_served_elsewhere() {
    let mut world = world(Setup { slots: None, ..Setup::default() }, 10.0);
    start_and_route(&mut world, 1);
    start_and_route(&mut world, 2);
    let had = u64::from(world.replicas[0].in_flight);
    world.crash(0, "killed");
    world.advance(world.now_ns + 10_000 * MS, 0);
    assert_eq!(world.latencies().unserved, had);
    assert_eq!(world.counters.errors, had);
    assert!(world.replicas[0].route.is_some(), "its server stays until it is drained");
    let seen = world.observe();
    assert_eq!(seen.engine.value().unwrap().exits.len(), 1);
    assert!(world.latencies().served > 100);
}

#[test]
fn a_stopped_replica_is_gone_when_it_is_idle_or_its_grace_is_over() {
    let work = Times::same(5_000.0);
    let setup = Setup { work, grace_ms: 1_000, slots: None, ..Setup::default() };
    let mut world = world(setup, 1.0);
    start_and_route(&mut world, 1);
    start_and_route(&mut world, 2);
    let stop = |number| Step::Stop { replica: id(number), why: StopReason::DrainLimit };
    world.carry_out(&stop(1));
    assert_eq!(world.replicas[0].phase, Some(Phase::Stopping));
    world.advance(world.now_ns + 900 * MS, 0);
    assert_eq!(world.replicas[0].phase, Some(Phase::Stopping), "it works on something");
    world.advance(world.now_ns + 200 * MS, 0);
    assert_eq!(world.replicas[0].phase, None);
    assert!(world.latencies().unserved > 0);
}

#[test]
fn somebody_who_waits_too_long_gives_up() {
    let setup = Setup { patience_ms: 1_000, ..Setup::default() };
    let mut world = world(setup, 10.0);
    world.advance(10_000 * MS, 0);
    let waiting = u64::try_from(world.waiting()).unwrap();
    assert!((9..=11).contains(&waiting), "{waiting} within one second");
    assert_eq!(world.latencies().unserved + waiting, world.latencies().arrived);
}

#[test]
fn a_cold_replica_is_slow_at_first_and_burns_cpu_while_it_starts() {
    let cold = Cold { factor: 4.0, ms: 1_000, start_share: 0.5 };
    let mut world = world(Setup { cold, ..Setup::default() }, 1_000.0);
    start_and_route(&mut world, 1);
    let replica = &mut world.replicas[0];
    replica.accrue(2_000 * MS, &Setup::default());
    assert_eq!(replica.cpu_ns(), 500 * MS, "half a core for the second that it started");
    let served = |world: &mut World, ms| {
        let before = world.replicas[0].served;
        world.advance(world.now_ns + ms * MS, 0);
        world.replicas[0].served - before
    };
    world.replicas[0].ready_ns = Some(world.now_ns);
    assert_eq!(served(&mut world, 1_000), 5);
    assert_eq!(served(&mut world, 1_000), 20);
}

#[test]
fn a_metric_lag_makes_counters_old_and_says_so() {
    let mut world = world(Setup { metric_lag_ms: 3_000, ..Setup::default() }, 10.0);
    start_and_route(&mut world, 1);
    let mut last = None;
    for _ in 0..20 {
        world.advance(world.now_ns + 1_000 * MS, 0);
        last = Some(world.observe());
    }
    let seen = last.unwrap();
    let Some(Reading::Taken { at, value }) = &seen.balancer else { panic!("{seen:?}") };
    assert_eq!(seen.at.ms_since(*at), 3_000);
    assert!((nanos(world.counters.arrivals - value.arrivals) - 30.0).abs() <= 1.0);
    let cpu = seen.engine.value().unwrap().replicas[0].cpu.unwrap();
    assert_eq!(seen.at.ms_since(cpu.at), 3_000);
}

mod alone {
    use std::time::Instant;

    use super::*;

    /// Time for each of 400,000 requests to `replicas` that are busy nearly all the time, so that
    /// an idle one is far to seek.
    fn per_request(replicas: u32) -> f64 {
        let per_s = f64::from(replicas) * 19.8;
        let span_ms = super::super::arrivals::whole(400_000.0 / per_s * 1_000.0);
        let arrivals = Arrivals::of_rates(vec![per_s], span_ms, 0, Seed(1));
        let setup = Setup { slots: Some(1), waiting_max: 1_000_000, ..Setup::default() };
        let mut world = World::running(setup, arrivals, Seed(1), "web", replicas);
        let end_ns = world.end_ns();
        let began = Instant::now();
        world.advance(end_ns, u64::MAX);
        let requests = nanos(world.latencies().arrived);
        assert!((390_000.0..410_000.0).contains(&requests), "{requests}");
        began.elapsed().as_secs_f64() / requests
    }

    #[test]
    fn a_request_takes_no_longer_to_follow_among_many_replicas() {
        let (few, many) = (per_request(20), per_request(2_000));
        assert!(many < 8.0 * few, "{few:.2e} s of 20 replicas, {many:.2e} s of 2,000");
    }
}
