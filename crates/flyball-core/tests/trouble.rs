//! How failures are explained: starts that never succeed, requests that fail, silence.

mod world;

use flyball_core::decision::Decision;
use flyball_core::observation::FailureCounts;
use flyball_core::plan::{Step, StopReason};
use world::{World, governor};

const ANSWER: &str = "GET /healthz at 127.0.0.1:8080 answers 404";

/// One look at replicas that never become ready and are asked.
fn look(world: &mut World) -> Decision {
    world.not_ready.clear();
    for (id, replica) in &mut world.replicas {
        replica.never_ready = true;
        world.not_ready.insert(id.clone(), ANSWER.to_owned());
    }
    world.look()
}

fn never_ready(start_limit_ms: u64) -> World {
    let mut world = World::new(governor(1, 5));
    world.policy.timing.start_limit_ms = start_limit_ms;
    world
}

/// The line of the explanation that begins with `label`.
fn line(decision: &Decision, label: &str) -> Option<String> {
    let text = decision.to_string();
    let line = text.lines().find(|line| line.trim_start().starts_with(label))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_start_that_takes_long_is_explained_with_what_its_check_is_answered() {
    let mut world = never_ready(300_000);
    let early = (0..15).map(|_| look(&mut world)).last().unwrap();
    assert_eq!(line(&early, "starting "), None, "{early}");
    let late = (0..46).map(|_| look(&mut world)).last().unwrap();
    let expected = "starting web-1 for 12 s: GET /healthz at 127.0.0.1:8080 answers 404";
    assert_eq!(line(&late, "starting ").unwrap(), expected);
    assert_eq!(late.desired, 1, "no replica is replaced before its time");
}

#[test]
fn a_start_that_is_given_up_is_explained_and_the_next_is_put_off_ever_longer() {
    let mut world = never_ready(5_000);
    let (mut given_up, mut waits, mut held) = (0, Vec::new(), 0);
    for _ in 0..3_000 {
        let decision = look(&mut world);
        let never = |step: &&Step| matches!(step, Step::Stop { why: StopReason::NeverReady, .. });
        given_up += decision.plan.iter().filter(never).count();
        if let Some(starts) = &decision.held_starts {
            held += 1;
            let why = format!("was not ready after 5 s: {ANSWER}");
            assert!(starts.why.ends_with(&why), "{}", starts.why);
        } else if held > 0 {
            waits.push(held);
            held = 0;
            let plan = line(&decision, "plan ").unwrap();
            assert!(plan.starts_with("plan start 1"), "{decision}");
        }
    }
    // 5 s each, and 0.3, 0.6, 1.2, ... s between them; without waits it would be 120.
    assert!((9..=12).contains(&given_up), "{given_up}");
    assert!(waits.is_sorted() && waits.len() > 6, "{waits:?}");
    let next = look(&mut world);
    let failures = line(&next, "failures ").or(line(&next, "back-off "));
    assert!(
        failures.unwrap().contains("starts failed one after another, the last: web-"),
        "{next}"
    );
}

#[test]
fn a_start_that_stays_ends_the_waiting() {
    let mut world = never_ready(5_000);
    (0..200).for_each(|_| drop(look(&mut world)));
    assert!(world.memory.plan.failures.count > 1);
    world.not_ready.clear();
    for _ in 0..600 {
        world.replicas.values_mut().for_each(|replica| replica.never_ready = false);
        drop(world.look());
    }
    assert_eq!((world.ready(), world.memory.plan.failures.count), (1, 0));
    world.kill_all();
    assert!(world.look().plan.iter().any(|step| matches!(step, Step::Start { .. })));
}

#[test]
fn requests_that_fail_are_counted_over_a_minute_by_who_failed_them() {
    let mut world = World::new(governor(1, 5));
    world.load = 10.0;
    for second in 0..90 {
        let fails = (30..60).contains(&second);
        for _ in 0..5 {
            world.errors += u64::from(fails);
            world.failures.unreachable += u64::from(fails);
            drop(world.look());
        }
    }
    let decision = world.look();
    let minute = decision.signals.last_minute.unwrap();
    assert!((145.0..=155.0).contains(&minute.failed), "{minute:?}");
    assert!((590.0..=610.0).contains(&minute.arrivals), "{minute:?}");
    assert!((minute.failed_per_s() - 2.5).abs() < 0.1, "{minute:?}");
    let requests = line(&decision, "requests ").unwrap();
    assert!(requests.ends_with("%): not accepted by any replica"), "{requests}");
    (0..400).for_each(|_| drop(world.look()));
    let decision = world.look();
    assert_eq!(line(&decision, "requests "), None, "a minute later it is over:\n{decision}");
}

#[test]
fn a_balancer_that_restarted_failed_nothing_in_between() {
    let mut world = World::new(governor(1, 5));
    (world.load, world.errors) = (10.0, 5_000);
    (world.failures.by_balancer, world.failures.by_replicas) = (4_000, 1_000);
    world.pass(10_000);
    (world.errors, world.failures) = (3, FailureCounts::default());
    let minute = world.run(10_000).signals.last_minute.unwrap();
    assert!(minute.failed < 4.0 && minute.by_balancer < 1.0, "{minute:?}");
}

#[test]
fn silence_is_explained_with_its_cause() {
    let mut world = World::new(governor(1, 5));
    world.pass(10_000);
    world.balancer_silent_since = Some(world.now_ms);
    let decision = world.run(8_000);
    assert!(
        line(&decision, "silent ").unwrap().starts_with("silent the balancer for 8.0 s: no answer")
    );
    assert!(decision.signals.trouble.silent.len() == 1, "{decision}");
}
