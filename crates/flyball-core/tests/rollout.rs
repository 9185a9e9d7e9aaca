//! Replicas of a new generation take the place of the old ones: at which pace, what becomes of the
//! count meanwhile, and what happens when the new ones fail.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod world;

use flyball_core::decision::Decision;
use flyball_core::generation::Generation;
use flyball_core::policy::{Rule, Surge, Update};
use flyball_core::rollout::{Deployed, RolloutState};
use flyball_core::units::{ReplicaId, Timestamp};
use world::{LOOK_MS, World, governor, policy};

fn generation(number: u64) -> Generation {
    Generation::of_digest(number << 32)
}

/// A service of `count` ready replicas of the first generation, at most 20.
fn pool(count: u32) -> World {
    let mut world = World::new(policy(Rule::External, count, 20));
    world.offered = Some(generation(1));
    world.load = 1.0;
    world.pass(5_000);
    assert_eq!(of(&world, 1), count as usize);
    world
}

/// How many ready replicas are of the `number`-th generation.
fn of(world: &World, number: u64) -> usize {
    let is = |r: &&world::Replica| r.ready_ms.is_some() && r.generation == Some(generation(number));
    world.replicas.values().filter(is).count()
}

fn routed(world: &World) -> usize {
    let routed = Some(flyball_core::observation::Route::Routed);
    world.replicas.values().filter(|r| r.ready_ms.is_some() && r.route == routed).count()
}

fn state(decision: &Decision) -> Option<RolloutState> {
    decision.rollout.as_ref().map(|rollout| rollout.state)
}

/// Looks until nothing is to be replaced any more, for 120 s at most, with at least `floor` replicas
/// serving and at most `most` running all the while; how long it took.
fn roll(world: &mut World, floor: usize, most: usize) -> u64 {
    let begun_ms = world.now_ms;
    loop {
        let decision = world.look();
        assert!(routed(world) >= floor, "{decision}");
        assert!(world.replicas.len() <= most, "{decision}");
        if decision.rollout.is_none() {
            return world.now_ms - begun_ms;
        }
        assert!(world.now_ms < begun_ms + 120_000, "{decision}");
    }
}

fn deploy(world: &mut World, number: u64) {
    let at = Timestamp::from_ms(world.now_ms);
    world.rollout.deployed = Some(Deployed { generation: generation(number), at });
}

#[test]
fn replicas_are_replaced_one_by_one_and_never_fewer_serve() {
    let mut world = pool(3);
    world.offered = Some(generation(2));
    let took_ms = roll(&mut world, 3, 4);
    assert_eq!((of(&world, 1), of(&world, 2)), (0, 3));
    // A start lag, and a few looks to route, drain and stop, for each.
    assert!(took_ms <= 3 * (world.lag_ms + 5 * LOOK_MS), "{took_ms} ms");
    assert!(world.look().plan.is_empty());
}

#[test]
fn a_larger_surge_replaces_more_at_once() {
    let mut world = pool(8);
    world.policy.rollout.surge = Surge::Share(0.5);
    world.offered = Some(generation(2));
    let took_ms = roll(&mut world, 8, 12);
    assert!(took_ms <= 2 * (world.lag_ms + 5 * LOOK_MS), "{took_ms} ms");
    assert_eq!(of(&world, 2), 8);
}

#[test]
fn the_headline_does_not_take_the_surge_for_a_change_of_the_count() {
    let mut world = pool(3);
    world.offered = Some(generation(2));
    world.pass(600);
    let decision = world.look();
    assert_eq!(world.replicas.len(), 4, "{decision}");
    assert_eq!(decision.headline(), "web stays at 3");
    let line = format!("to {}: 0 ready, 3 to be replaced", generation(2));
    assert!(decision.to_string().contains(&line), "{decision}");
}

#[test]
fn a_generation_whose_replicas_end_is_given_up_and_the_old_one_goes_on() {
    for at_once in [true, false] {
        let mut world = pool(3);
        world.policy.timing.start_limit_ms = 5_000;
        world.broken.insert(generation(2), at_once);
        world.offered = Some(generation(2));
        let begun_ms = world.now_ms;
        let aborted = loop {
            let decision = world.look();
            assert_eq!(routed(&world), 3, "{decision}");
            if state(&decision) == Some(RolloutState::Aborted) {
                break decision;
            }
            assert!(world.now_ms < begun_ms + 60_000, "{decision}");
        };
        assert!(world.now_ms <= begun_ms + 3 * 5_000 + 10_000, "{aborted}");
        let rollout = aborted.rollout.clone().unwrap();
        assert_eq!((rollout.failed, rollout.old), (3, 3), "{aborted}");
        let why = rollout.why.unwrap();
        assert!(why.contains(if at_once { "exit status 1" } else { "not ready after" }), "{why}");
        world.pass(60_000);
        assert_eq!((world.replicas.len(), of(&world, 1)), (3, 3), "nothing is tried again");
        // The floor is kept with what works.
        world.replicas.remove(&ReplicaId::numbered("web", 1)).unwrap();
        world.pass(3_000);
        assert_eq!(of(&world, 1), 3);
    }
}

#[test]
fn a_mended_generation_or_another_order_begins_again() {
    let mut world = pool(2);
    world.broken.insert(generation(2), true);
    world.offered = Some(generation(2));
    world.pass(60_000);
    assert_eq!(state(&world.look()), Some(RolloutState::Aborted));
    world.broken.clear();
    deploy(&mut world, 2);
    roll(&mut world, 2, 3);
    assert_eq!(of(&world, 2), 2);
    world.broken.insert(generation(3), true);
    world.offered = Some(generation(3));
    world.pass(60_000);
    assert_eq!(state(&world.look()), Some(RolloutState::Aborted));
    world.offered = Some(generation(4));
    roll(&mut world, 2, 3);
    assert_eq!(of(&world, 4), 2);
}

#[test]
fn a_second_deploy_supersedes_the_first_and_a_rollback_goes_back_from_the_middle() {
    let mut world = pool(4);
    world.offered = Some(generation(2));
    while of(&world, 2) < 2 {
        assert!(world.look().rollout.is_some());
    }
    world.offered = Some(generation(3));
    while of(&world, 3) < 1 {
        let decision = world.look();
        assert!(routed(&world) >= 4, "{decision}");
    }
    world.rollout.back_to = Some(generation(1));
    roll(&mut world, 4, 6);
    assert_eq!((of(&world, 1), world.replicas.len()), (4, 4));
    world.pass(10_000);
    assert_eq!(of(&world, 1), 4, "it stays so");
}

#[test]
fn a_paused_rollout_replaces_nothing_and_starts_what_serves() {
    let mut world = pool(3);
    world.offered = Some(generation(2));
    while of(&world, 2) < 1 {
        assert!(world.look().rollout.is_some());
    }
    world.rollout.paused = true;
    world.pass(5_000);
    let (old, new) = (of(&world, 1), of(&world, 2));
    world.pass(20_000);
    assert_eq!((of(&world, 1), of(&world, 2)), (old, new));
    assert_eq!(state(&world.look()), Some(RolloutState::Paused));
    world.policy.bounds.min = 5;
    world.pass(5_000);
    assert_eq!((of(&world, 1), of(&world, 2)), (old + 2, new));
    world.rollout.paused = false;
    roll(&mut world, 5, 7);
    assert_eq!(of(&world, 2), 5);
}

#[test]
fn a_manual_update_waits_for_its_deploy() {
    let mut world = pool(2);
    world.policy.rollout.update = Update::Manual;
    world.offered = Some(generation(2));
    world.pass(10_000);
    let decision = world.look();
    assert_eq!(state(&decision), Some(RolloutState::Waiting), "{decision}");
    assert_eq!(decision.rollout.as_ref().unwrap().to, generation(2));
    assert_eq!(of(&world, 1), 2);
    world.policy.bounds.min = 3;
    world.pass(3_000);
    assert_eq!(of(&world, 1), 3, "a scale-out starts what serves");
    deploy(&mut world, 2);
    roll(&mut world, 3, 4);
    assert_eq!(of(&world, 2), 3);
}

#[test]
fn the_count_follows_the_load_in_the_middle_of_a_rollout() {
    let mut world = World::new(governor(2, 20));
    world.offered = Some(generation(1));
    world.load = 20.0;
    world.pass(30_000);
    world.offered = Some(generation(2));
    world.pass(600);
    world.load = 160.0;
    let before = world.replicas.len();
    world.pass(10_000);
    assert!(world.ready() >= 8 && world.ready() > 2 * before, "{} ready", world.ready());
    roll(&mut world, 8, 21);
    assert_eq!(of(&world, 1), 0);
    world.load = 20.0;
    world.pass(120_000);
    assert!(world.ready() <= 3, "{} ready", world.ready());
}

#[test]
fn a_surplus_that_is_held_is_replaced_and_does_not_grow() {
    let mut world = World::new(governor(2, 20));
    world.offered = Some(generation(1));
    world.load = 100.0;
    world.pass(30_000);
    let count = world.replicas.len();
    assert!(count >= 5, "{count}");
    // A new life holds all that is there until it knows what is needed.
    world.memory = Default::default();
    world.load = 0.0;
    world.offered = Some(generation(2));
    world.policy.timing.start_lag_prior_ms = 100_000;
    roll(&mut world, 2, count + 1);
    assert_eq!(of(&world, 1), 0);
}

#[test]
fn a_container_of_its_owner_is_not_replaced() {
    let mut world = pool(2);
    let own = ReplicaId::new("own");
    let added = world.add(own.clone());
    (added.protected, added.generation) = (true, Some(generation(1)));
    world.pass(3_000);
    world.offered = Some(generation(2));
    world.pass(20_000);
    assert!(world.look().rollout.is_none());
    assert_eq!(world.replicas[&own].generation, Some(generation(1)));
    assert!(of(&world, 2) >= 1);
}

#[test]
fn replicas_of_unknown_make_are_left_alone() {
    let mut world = pool(2);
    world.replicas.values_mut().for_each(|replica| replica.generation = None);
    world.offered = Some(generation(2));
    world.pass(20_000);
    assert_eq!((world.replicas.len(), of(&world, 2)), (2, 0));
}

#[test]
fn a_rollout_goes_on_after_a_restart() {
    let mut world = pool(4);
    world.offered = Some(generation(2));
    while of(&world, 2) < 2 {
        assert!(world.look().rollout.is_some());
    }
    world.memory = Default::default();
    roll(&mut world, 4, 6);
    assert_eq!(of(&world, 2), 4);
}

#[test]
fn a_restart_in_the_middle_of_a_rollout_does_not_raise_the_count() {
    for restart_at in [4, 5] {
        let mut world = pool(4);
        world.offered = Some(generation(2));
        while of(&world, 2) < 2 || world.replicas.len() != restart_at {
            assert!(world.look().rollout.is_some());
        }
        world.memory = Default::default();
        world.memory.recall_rollout(generation(2), 4);
        roll(&mut world, 4, 5);
        world.pass(60_000);
        assert_eq!((of(&world, 2), world.replicas.len()), (4, 4), "at {restart_at}");
    }
}

#[test]
fn what_was_recalled_of_another_rollout_takes_nothing_away() {
    let mut world = pool(4);
    world.memory = Default::default();
    world.memory.recall_rollout(generation(2), 3);
    world.pass(60_000);
    assert_eq!(of(&world, 1), 4);
}

#[test]
fn without_a_balancer_replicas_are_replaced_too() {
    let mut world = pool(3);
    world.balanced = false;
    world.offered = Some(generation(2));
    world.pass(30_000);
    assert_eq!((of(&world, 2), world.replicas.len()), (3, 3));
}
