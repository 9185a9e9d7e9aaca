//! Sleep: when a service goes to zero, what wakes it, and that no policy has another say in it.

#![expect(clippy::expect_used, reason = "a test may")]

mod world;

use flyball_core::decision::Decision;
use flyball_core::observation::{
    Ask, BalancerReport, Manual, Observation, Reading, WakefulRequests,
};
use flyball_core::plan::Step;
use flyball_core::policy::*;
use flyball_core::sleep::{SleepState, WakeCause};
use flyball_core::units::{ReplicaId, Timestamp};
use world::{World, policy};

const AFTER_MS: u64 = 300_000;

fn rules() -> [Rule; 3] {
    let target = Target { in_window_ms: 10_000, ..Target::default() };
    let step = StepRule { cooldown_ms: 10_000, cpu_window_ms: 10_000, ..StepRule::default() };
    [Rule::Governor(Governor::default()), Rule::Target(target), Rule::Step(step)]
}

fn sleeper(rule: Rule) -> World {
    let sleep = Some(SleepPolicy { after_ms: AFTER_MS });
    let mut world = World::new(Policy { sleep, ..policy(rule, 0, 5) });
    world.policy.timing.interval_ms = Some(200);
    world
}

/// A service in use by 20 requests, and then by none.
fn used_lightly(rule: Rule) -> World {
    let mut world = sleeper(rule);
    world.noise = 0.001;
    world.load = 2.0;
    world.pass(10_000);
    assert_eq!(world.ready(), 1);
    world.load = 0.0;
    world.waiting = 0.0;
    world
}

fn balancer(seen: &mut Observation) -> &mut BalancerReport {
    let Some(Reading::Taken { value, .. }) = &mut seen.balancer else { panic!("it is heard") };
    value
}

fn state(decision: &Decision) -> SleepState {
    decision.sleep.as_ref().expect("it may sleep").state
}

fn cause(decision: &Decision) -> Option<WakeCause> {
    Some(decision.sleep.as_ref()?.last_wake.as_ref()?.cause.clone())
}

#[test]
fn light_use_and_idle_cpu_keep_no_service_awake_for_longer_and_none_sleeps_sooner() {
    for rule in rules() {
        let mut world = used_lightly(rule);
        let decision = world.run(AFTER_MS - 1_000);
        assert_eq!((decision.desired, world.ready()), (1, 1), "{decision}");
        let decision = world.run(5_000);
        assert!(decision.is_asleep() && world.replicas.is_empty(), "{decision}");
        assert!(matches!(state(&decision), SleepState::Asleep { .. }), "{decision}");
        // And so it stays.
        assert!(world.run(60_000).is_asleep());
    }
}

#[test]
fn without_the_rule_idle_cpu_keeps_a_replica_of_a_governed_service_for_ever() {
    let mut world = used_lightly(Rule::Governor(Governor::default()));
    world.policy.sleep = None;
    assert_eq!(world.run(3_600_000).desired, 1);
}

#[test]
fn a_request_that_waits_and_one_that_only_arrived_wake_at_once() {
    for rule in rules() {
        let mut world = used_lightly(rule);
        world.pass(AFTER_MS + 5_000);
        world.arrivals += 1.0;
        let decision = world.look();
        assert_eq!(cause(&decision), Some(WakeCause::Arrived { requests: 1 }), "{decision}");
        assert!(decision.plan.iter().any(|step| matches!(step, Step::Start { .. })), "{decision}");
        world.pass(AFTER_MS + 10_000);
        world.arrivals += 2.0;
        world.waiting = 2.0;
        let decision = world.look();
        assert_eq!(cause(&decision), Some(WakeCause::Waiting { requests: 2 }), "{decision}");
        assert_eq!((decision.desired, state(&decision)), (1, SleepState::Awake { idle_ms: 0 }));
        assert!(decision.to_string().contains("last woken 0 s ago by 2 requests that waited"));
    }
}

#[test]
fn an_open_stream_keeps_awake_for_as_long_as_it_lasts_and_its_replica_is_not_drained() {
    for rule in rules() {
        let mut world = used_lightly(rule);
        for _ in 0..3 * AFTER_MS / 200 {
            let decision = world.look_seeing(|seen| {
                balancer(seen).servers.values_mut().for_each(|server| server.in_flight = 1);
            });
            assert_eq!(decision.desired, 1, "{decision}");
        }
        assert_eq!(world.run(AFTER_MS - 1_000).desired, 1, "it counts from the stream's end");
        assert!(world.run(10_000).is_asleep());
    }
}

#[test]
fn monitors_that_are_ignored_neither_wake_nor_keep_awake_for_a_day() {
    for rule in rules() {
        let mut world = used_lightly(rule);
        let arrivals = balancer(&mut world.observe()).arrivals;
        let wakeful = WakefulRequests { arrivals, in_flight: 0 };
        let mut woken = 0;
        for second in 0..86_400 {
            // A ping a minute, a scrape every 15 s; looks are a second apart.
            world.arrivals += f64::from(u8::from(second % 60 == 0) + u8::from(second % 15 == 7));
            world.now_ms += 800;
            let decision = world.look_seeing(|seen| balancer(seen).wakeful = Some(wakeful));
            woken += u32::from(second > 400 && !decision.is_asleep());
        }
        assert_eq!(woken, 0);
    }
}

#[test]
fn while_the_balancer_is_not_heard_no_time_counts() {
    for rule in rules() {
        let mut world = used_lightly(rule);
        world.pass(AFTER_MS / 2);
        world.balancer_silent_since = Some(world.now_ms);
        assert_eq!(world.run(3 * AFTER_MS).desired, 1);
        world.balancer_silent_since = None;
        assert_eq!(world.run(AFTER_MS / 2 - 5_000).desired, 1);
        assert!(world.run(20_000).is_asleep());
        world.engine_silent_since = Some(world.now_ms);
        world.pass(60_000);
        world.engine_silent_since = None;
        assert!(world.run(1_000).is_asleep());
    }
}

#[test]
fn after_a_restart_what_has_no_replica_sleeps_and_what_has_one_gets_its_full_time() {
    let mut world = used_lightly(Rule::Governor(Governor::default()));
    world.memory = flyball_core::memory::Memory::default();
    assert_eq!(world.run(AFTER_MS - 1_000).desired, 1);
    assert!(world.run(10_000).is_asleep());
    world.memory = flyball_core::memory::Memory::default();
    // It is not known yet whether anybody waits, and nothing is started on a guess.
    world.balancer_silent_since = Some(world.now_ms);
    let decision = world.run(5_000);
    assert!(decision.desired == 0 && decision.plan.is_empty(), "{decision}");
    world.balancer_silent_since = None;
    assert!(world.run(5_000).is_asleep());
}

#[test]
fn a_balancer_that_counts_from_zero_again_wakes_nobody() {
    let mut world = used_lightly(Rule::Governor(Governor::default()));
    world.pass(AFTER_MS + 5_000);
    for arrivals in [0, 0, 1] {
        let decision = world.look_seeing(|seen| {
            let report = balancer(seen);
            (report.epoch, report.arrivals) = (2, arrivals);
        });
        assert_eq!(decision.desired, u32::from(arrivals > 0), "{decision}");
    }
}

#[test]
fn a_replica_that_somebody_else_starts_is_a_wish_to_wake() {
    for rule in rules() {
        let mut world = used_lightly(rule);
        world.pass(AFTER_MS + 5_000);
        let theirs = world.add(ReplicaId::new("shop-web-1"));
        (theirs.protected, theirs.may_sleep) = (true, true);
        let decision = world.look();
        let replica = ReplicaId::new("shop-web-1");
        assert_eq!(cause(&decision), Some(WakeCause::Started { replica }), "{decision}");
        for _ in 0..(AFTER_MS - 5_000) / 200 {
            let decision = world.look();
            let ends = |s: &Step| matches!(s, Step::Drain { .. } | Step::Stop { .. });
            assert!(decision.desired == 1 && !decision.plan.iter().any(ends), "{decision}");
        }
        // Unprotected only by sleep.
        assert!(world.run(20_000).is_asleep() && world.replicas.is_empty());
    }
}

#[test]
fn a_protected_replica_that_may_not_sleep_keeps_the_service_at_one() {
    let mut world = sleeper(Rule::Governor(Governor::default()));
    world.add(ReplicaId::new("shop-web-1")).protected = true;
    let decision = world.run(2 * AFTER_MS);
    assert_eq!((decision.desired, world.ready()), (1, 1), "{decision}");
}

#[test]
fn a_manual_override_has_its_say_and_wakes() {
    let mut world = used_lightly(Rule::Governor(Governor::default()));
    world.pass(AFTER_MS + 5_000);
    let until = Some(Timestamp::from_ms(world.now_ms + 2 * AFTER_MS));
    world.manual = Some(Manual { ask: Ask::Pin(2), until, by: "cli".into() });
    let decision = world.look();
    assert_eq!(
        (decision.desired, cause(&decision)),
        (2, Some(WakeCause::Manual { by: "cli".into() }))
    );
    assert_eq!(world.run(2 * AFTER_MS - 5_000).desired, 2);
    assert!(world.run(20_000).is_asleep(), "nothing used it meanwhile");
    world.manual = Some(Manual { ask: Ask::Pin(0), until: None, by: "cli".into() });
    world.waiting = 1.0;
    assert_eq!(world.look().desired, 0);
}

#[test]
fn an_external_count_holds_while_awake_and_returns_at_the_next_request() {
    let mut world = sleeper(Rule::External);
    let pin = |count| Some(Manual { ask: Ask::Pin(count), until: None, by: "api".into() });
    assert_eq!(world.look().desired, 0);
    world.manual = pin(3);
    assert_eq!(world.run(AFTER_MS - 5_000).desired, 3);
    assert!(world.run(20_000).is_asleep());
    world.arrivals += 1.0;
    assert_eq!(world.look().desired, 3);
    world.manual = pin(0);
    assert_eq!(world.look().desired, 0, "who asks for none gets none");
}

#[test]
fn a_minimum_of_the_hour_wakes() {
    let mut world = used_lightly(Rule::Governor(Governor::default()));
    world.pass(AFTER_MS + 5_000);
    world.policy.bounds.min = 1;
    let decision = world.look();
    assert_eq!((decision.desired, cause(&decision)), (1, Some(WakeCause::Minimum { min: 1 })));
    world.policy.bounds.min = 0;
    assert_eq!(world.run(AFTER_MS - 5_000).desired, 1);
    assert!(world.run(20_000).is_asleep());
}

#[test]
fn an_image_that_never_serves_does_not_keep_awake_for_ever() {
    let mut world = sleeper(Rule::Governor(Governor::default()));
    world.policy.timing.start_limit_ms = 20_000;
    world.lag_ms = 1_000_000_000;
    world.arrivals = 1.0;
    assert_eq!(world.look().desired, 0);
    world.arrivals = 2.0;
    assert_eq!(world.look().desired, 1);
    assert!(world.run(2 * AFTER_MS).is_asleep());
}
