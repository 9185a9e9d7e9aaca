//! What becomes of replicas that fail: who reports it, which are taken out, and which are replaced.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod world;

use flyball_core::decision::Decision;
use flyball_core::guard::Guard;
use flyball_core::health::share_of;
use flyball_core::observation::{Observation, ProbeFailure, Reading, Route};
use flyball_core::policy::Rule;
use flyball_core::sick::{Cause, SickTreatment};
use flyball_core::units::{ReplicaId, Timestamp};
use world::{World, governor, policy};

const SICK_AFTER_MS: u64 = 30_000;

fn name(number: u64) -> ReplicaId {
    ReplicaId::numbered("web", number)
}

/// A service of `count` ready replicas, two more at most.
fn pool(count: u32) -> World {
    let mut world = World::new(policy(Rule::External, count, count + 2));
    world.pass(5_000);
    assert_eq!(world.ready(), count as usize);
    world
}

fn fails(world: &mut World, number: u64, silent: bool) {
    let why = if silent { "no answer within 2 s" } else { "`GET /` was answered with 500" };
    world.failing.insert(name(number), ProbeFailure { silent, why: why.to_owned() });
}

fn goes_down(world: &mut World, number: u64) {
    world.replicas.get_mut(&name(number)).unwrap().down = Some("5 answers in a row were 500");
}

fn standings(decision: &Decision) -> Vec<(u64, SickTreatment)> {
    decision.sick.iter().map(|sick| (sick.replica.number().unwrap(), sick.standing)).collect()
}

#[test]
fn one_that_the_balancer_took_out_is_no_capacity_and_is_replaced_when_it_stays_so() {
    let mut world = pool(4);
    goes_down(&mut world, 2);
    let decision = world.look();
    assert_eq!((decision.signals.ready, decision.signals.unhealthy), (3, 1), "{decision}");
    assert_eq!(
        (decision.sick[0].cause, decision.sick[0].standing),
        (Cause::Balancer, SickTreatment::Out)
    );
    assert!(
        decision.to_string().contains("web-2 for 0 s: 5 answers in a row were 500"),
        "{decision}"
    );
    assert_eq!(world.replicas.len(), 5, "its work needs another: {decision}");
    assert_eq!(world.replicas[&name(2)].route, Some(Route::Routed), "the balancer tries it");
    world.pass(SICK_AFTER_MS - 1_000);
    assert!(world.replicas.contains_key(&name(2)), "it may still recover");
    world.pass(2_000);
    assert!(!world.replicas.contains_key(&name(2)));
    assert_eq!(world.ready(), 4);
}

#[test]
fn one_that_recovers_in_time_stays() {
    let mut world = pool(4);
    goes_down(&mut world, 2);
    world.pass(SICK_AFTER_MS / 2);
    world.replicas.get_mut(&name(2)).unwrap().down = None;
    let decision = world.look();
    assert!(decision.sick.is_empty(), "{decision}");
    // Sick again: the time begins again.
    goes_down(&mut world, 2);
    world.pass(SICK_AFTER_MS - 1_000);
    assert!(world.replicas.contains_key(&name(2)));
}

#[test]
fn one_that_fails_its_probe_gets_no_requests_until_it_passes_again() {
    let mut world = pool(3);
    fails(&mut world, 1, false);
    world.pass(1);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Draining));
    world.failing.clear();
    world.pass(1);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Routed));
    fails(&mut world, 1, false);
    world.pass(SICK_AFTER_MS + 1_000);
    assert!(!world.replicas.contains_key(&name(1)));
}

#[test]
fn where_all_fail_none_is_taken_out_and_that_is_reported() {
    let mut world = pool(4);
    (1..=4).for_each(|number| fails(&mut world, number, false));
    let decision = world.run(SICK_AFTER_MS * 2);
    assert_eq!(world.replicas.len(), 4, "{decision}");
    assert!(world.replicas.values().all(|r| r.route == Some(Route::Routed)));
    let fault = decision.shared_fault.as_deref().unwrap_or_default();
    assert!(fault.starts_with("all 4 replicas fail"), "{fault}");
    assert!(fault.contains("`GET /` was answered with 500"), "{fault}");
    // One is well again: the others are not excused any more, but for the half that stays in.
    world.failing.remove(&name(3));
    let decision = world.look();
    assert_eq!(decision.shared_fault, None);
    use SickTreatment::{Kept, Out};
    assert_eq!(standings(&decision), [(1, Out), (2, Out), (4, Kept)]);
}

#[test]
fn no_more_than_half_are_taken_out_and_those_first_that_failed_first() {
    let mut world = pool(5);
    world.lag_ms = 60_000;
    fails(&mut world, 4, false);
    world.pass(1_000);
    (1..=3).for_each(|number| fails(&mut world, number, false));
    let decision = world.look();
    use SickTreatment::{Kept, Out};
    assert_eq!(standings(&decision), [(1, Out), (2, Kept), (3, Kept), (4, Out)]);
    assert_eq!(decision.signals.ready, 3, "{decision}");
}

#[test]
fn the_only_one_keeps_its_requests_until_another_is_ready() {
    let mut world = pool(1);
    world.lag_ms = 4_000;
    fails(&mut world, 1, true);
    let decision = world.look();
    assert_eq!(standings(&decision), [(1, SickTreatment::Last)]);
    assert_eq!(world.replicas.len(), 2, "{decision}");
    world.pass(3_000);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Routed), "there is no other");
    world.pass(2_000);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Draining));
    world.pass(SICK_AFTER_MS);
    assert!(!world.replicas.contains_key(&name(1)));
    assert_eq!(world.ready(), 1);
}

#[test]
fn one_that_was_taken_out_gets_requests_again_when_it_is_the_last() {
    let mut world = pool(2);
    fails(&mut world, 1, true);
    world.pass(1);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Draining));
    world.replicas.retain(|id, _| *id == name(1));
    world.pass(1);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Routed));
}

#[test]
fn one_with_too_much_to_do_for_its_probe_is_not_sick() {
    let mut world = World::new(policy(Rule::External, 3, 5));
    world.load = 30.0;
    world.pass(5_000);
    fails(&mut world, 1, true);
    let decision = world.run(2 * SICK_AFTER_MS);
    assert!(decision.sick.is_empty() && world.replicas.len() == 3, "{decision}");
    // One that answers its probe, and badly, has no such excuse.
    fails(&mut world, 1, false);
    assert_eq!(standings(&world.look()), [(1, SickTreatment::Out)]);
}

#[test]
fn a_replica_that_answers_no_request_is_sick_soon() {
    let mut world = World::new(policy(Rule::External, 3, 5));
    world.load = 30.0;
    world.pass(5_000);
    world.load = 0.0;
    world.pass(9_000);
    fails(&mut world, 1, true);
    world.pass(2_000);
    assert_eq!(standings(&world.look()), [(1, SickTreatment::Out)]);
}

#[test]
fn a_protected_one_is_kept_from_requests_but_not_removed() {
    let mut world = pool(3);
    world.replicas.get_mut(&name(1)).unwrap().protected = true;
    fails(&mut world, 1, false);
    world.pass(2 * SICK_AFTER_MS);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Draining));
    world.failing.clear();
    world.pass(1);
    assert_eq!(world.replicas[&name(1)].route, Some(Route::Routed));
}

#[test]
fn nothing_is_removed_while_a_replica_is_sick() {
    let mut world = World::new(governor(1, 20));
    world.load = 100.0;
    world.pass(60_000);
    let before = world.look().desired;
    assert!(before > 4, "{before}");
    goes_down(&mut world, 2);
    world.load = 5.0;
    let decision = world.run(SICK_AFTER_MS);
    let sick = |guard: &Guard| matches!(guard, Guard::Sick { count: 1, .. });
    assert!(decision.adjustments.iter().any(|step| sick(&step.guard)), "{decision}");
    assert!(decision.desired >= before, "{decision}");
    world.pass(60_000);
    assert!(world.look().desired < before, "a replaced one is no excuse any more");
}

#[test]
fn a_share_is_rounded_down_but_leaves_one_out_and_one_in() {
    let parts = [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.5), (4, 0.5), (9, 0.1), (4, 0.0), (4, 1.0)];
    assert_eq!(parts.map(|(all, share)| share_of(all, share)), [0, 0, 1, 1, 2, 1, 0, 3]);
}

#[test]
fn after_a_standstill_nothing_is_removed_on_what_was_not_seen() {
    let mut world = World::new(governor(1, 20));
    world.load = 100.0;
    world.pass(120_000);
    let before = world.look().desired;
    assert!(before > 4, "{before}");
    // Nothing arrives while flyball itself stands still: its own balancer takes nothing.
    world.now_ms += 60_000;
    let decision = world.look();
    assert!(decision.desired >= before, "{decision}");
    let decision = world.run(9_000);
    assert!(decision.desired >= before, "{decision}");
    world.load = 5.0;
    world.pass(60_000);
    assert!(world.look().desired < before, "a hold window that was seen is trusted again");
}

#[test]
fn a_standstill_uses_up_nobodys_patience() {
    let mut world = pool(4);
    goes_down(&mut world, 2);
    world.pass(5_000);
    let leaver = name(4);
    world.memory.plan.draining.insert(leaver.clone(), Timestamp::from_ms(world.now_ms));
    let busy = |observation: &mut Observation| {
        let Some(Reading::Taken { value, .. }) = &mut observation.balancer else { return };
        value.servers.get_mut(&name(4)).unwrap().in_flight = 1;
    };
    let _before = world.look_seeing(busy);
    world.now_ms += 60_000;
    for _ in 0..10 {
        let _after = world.look_seeing(busy);
    }
    assert!(world.replicas.contains_key(&leaver), "its drain limit did not pass");
    assert!(world.replicas.contains_key(&name(2)), "it was sick for 6 s that were seen");
}
