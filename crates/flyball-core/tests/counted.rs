//! Whole runs of decisions with an engine that keeps a count of its own.

mod world;

use flyball_core::decision::Decision;
use flyball_core::observation::{Ask, Manual, Phase, Reading, Route};
use flyball_core::plan::Step;
use flyball_core::policy::Rule;
use flyball_core::units::ReplicaId;
use world::{World, governor, policy};

fn counted(policy: flyball_core::policy::Policy, wanted_count: u32) -> World {
    let mut world = World::new(policy);
    world.wanted_count = Some(wanted_count);
    world
}

fn scaled_to(decision: &Decision) -> Option<u32> {
    decision.plan.iter().find_map(|step| match step {
        Step::Scale { to, .. } => Some(*to),
        _ => None,
    })
}

#[test]
fn a_load_is_followed_up_at_once_and_down_without_a_request_lost() {
    for chosen in [false, true] {
        let mut world = counted(governor(1, 50), 1);
        world.chosen = chosen;
        world.load = 10.0;
        world.pass(60_000);
        world.load = 120.0;
        let decision = world.run(600);
        assert!(world.wanted_count >= Some(8), "{decision}");
        world.pass(60_000);
        let peak = world.wanted_count;
        world.load = 10.0;
        // `look` checks that no replica leaves that still gets requests.
        world.pass(180_000);
        assert!(
            world.wanted_count <= Some(2) && peak >= Some(8),
            "{peak:?} -> {:?}",
            world.wanted_count
        );
        assert_eq!(world.wanted_count, u32::try_from(world.replicas.len()).ok());
    }
}

#[test]
fn a_count_lowered_externally_is_restored_at_the_next_look_and_set_once() {
    let mut world = counted(policy(Rule::External, 2, 10), 7);
    world.pass(5_000);
    world.wanted_count = Some(1);
    let decision = world.look();
    assert_eq!((scaled_to(&decision), world.wanted_count), (Some(7), Some(7)), "{decision}");
    assert_eq!(scaled_to(&world.look()), None);
}

#[test]
fn what_ends_by_itself_is_the_engines_to_replace() {
    let mut world = counted(policy(Rule::External, 2, 10), 4);
    world.pass(5_000);
    world.kill_all();
    let decision = world.look();
    assert_eq!((decision.desired, scaled_to(&decision)), (4, None), "{decision}");
    world.pass(5_000);
    assert_eq!(world.ready(), 4);
}

#[test]
fn the_first_look_adopts_the_engines_count() {
    let mut world = counted(policy(Rule::External, 1, 10), 6);
    // Its replicas are not there yet.
    let decision = world.look_seeing(|observation| {
        if let Reading::Taken { value, .. } = &mut observation.engine {
            value.replicas.truncate(1);
        }
    });
    assert_eq!((decision.desired, scaled_to(&decision)), (6, None), "{decision}");
}

#[test]
fn while_paused_a_count_set_externally_is_left_alone() {
    let mut world = counted(policy(Rule::External, 1, 10), 6);
    world.pass(5_000);
    world.manual = Some(Manual { ask: Ask::Pause, until: None, by: "cli".into() });
    world.pass(1_000);
    world.wanted_count = Some(3);
    let decision = world.run(5_000);
    assert_eq!((decision.desired, world.wanted_count), (3, Some(3)), "{decision}");
}

#[test]
fn a_rollout_that_doubles_replicas_moves_no_count_and_is_left_alone() {
    let mut world = counted(governor(2, 20), 4);
    world.load = 50.0;
    world.pass(60_000);
    let before = world.wanted_count;
    world.busy = Some("a rollout".into());
    let decision = world.look_seeing(|observation| {
        if let Reading::Taken { value, .. } = &mut observation.engine {
            let twins: Vec<_> = value.replicas.clone();
            value.replicas.extend(twins.into_iter().enumerate().map(|(n, mut twin)| {
                twin.id = ReplicaId::new(format!("web-{}", 100 + n));
                (twin.phase, twin.ready_at) = (Phase::Starting, None);
                twin
            }));
        }
    });
    assert_eq!((Some(decision.desired), scaled_to(&decision)), (before, None), "{decision}");
    world.busy = None;
    assert_eq!(Some(world.look().desired), before);
}

#[test]
fn a_replica_no_longer_predicted_to_leave_gets_requests_again() {
    let mut world = counted(policy(Rule::External, 1, 10), 4);
    world.pass(5_000);
    world.manual = Some(Manual { ask: Ask::Pin(3), until: None, by: "cli".into() });
    let last = world.replicas.keys().next_back().unwrap().clone();
    // It is drained, and its balancer reports that it still works.
    let busy = |world: &mut World| {
        world.look_seeing(|observation| {
            if let Some(Reading::Taken { value, .. }) = &mut observation.balancer {
                value.servers.values_mut().for_each(|server| server.in_flight = 1);
            }
        })
    };
    let decision = busy(&mut world);
    assert_eq!(world.replicas[&last].route, Some(Route::Draining), "{decision}");
    // Another one would go now.
    let newer = ReplicaId::new("web-9");
    world.add(newer.clone()).ready_ms = Some(0);
    let removed = world.replicas.keys().next().unwrap().clone();
    world.replicas.remove(&removed);
    let decision = busy(&mut world);
    assert_eq!(world.replicas[&last].route, Some(Route::Routed), "{decision}");
    assert_eq!(scaled_to(&decision), None, "{decision}");
}

#[test]
fn a_replica_ordered_to_leave_gets_no_requests_while_the_engine_still_shows_it() {
    let mut world = counted(governor(1, 50), 1);
    world.leave_ms = 1_000;
    world.load = 100.0;
    world.pass(60_000);
    assert!(world.ready() >= 6);
    world.load = 10.0;
    let mut last = world.wanted_count;
    for _ in 0..1_500 {
        let decision = world.look();
        assert!(world.wanted_count <= last, "it goes up again:\n{decision}");
        last = world.wanted_count;
        let back = decision.plan.iter().any(|step| matches!(step, Step::Route { .. }));
        assert!(!back, "a replica that left gets requests again:\n{decision}");
    }
    assert_eq!(world.wanted_count, Some(1));
}

#[test]
fn what_the_engine_has_not_begun_goes_first() {
    let mut world = counted(policy(Rule::External, 1, 10), 3);
    world.pass(5_000);
    world.manual = Some(Manual { ask: Ask::Pin(3), until: None, by: "cli".into() });
    world.wanted_count = Some(9);
    let decision = world.look_seeing(|observation| {
        if let Reading::Taken { value, .. } = &mut observation.engine {
            value.replicas.truncate(3);
        }
    });
    assert_eq!((scaled_to(&decision), decision.plan.len()), (Some(3), 1), "{decision}");
}
