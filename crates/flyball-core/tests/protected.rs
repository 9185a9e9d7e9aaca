//! Containers of other programs among the replicas: they come and go, or never serve.

mod world;

use flyball_core::plan::Step;
use flyball_core::units::ReplicaId;
use world::{World, governor};

fn starts(plan: &[Step]) -> usize {
    plan.iter().filter(|step| matches!(step, Step::Start { .. })).count()
}

/// `true` while an external container runs that ends and is restarted again and again.
fn is_up(at_ms: u64) -> bool {
    at_ms % 1_400 < 600
}

#[test]
fn a_replica_that_comes_and_goes_neither_raises_the_count_nor_drives_out_one_that_serves() {
    for becomes_ready in [false, true] {
        let mut world = World::new(governor(2, 20));
        world.lag_ms = if becomes_ready { 0 } else { 1_000 };
        world.load = 1.0;
        let theirs = ReplicaId::new("shop-web-1");
        let mut begun = 0;
        for _ in 0..600 {
            match is_up(world.now_ms) {
                true => {
                    let replica = world.add(theirs.clone());
                    (replica.protected, replica.never_ready) = (true, !becomes_ready);
                }
                false => drop(world.replicas.remove(&theirs)),
            }
            let decision = world.look();
            begun += starts(&decision.plan);
            assert_eq!(decision.desired, 2, "after {begun} starts:\n{decision}");
            let stopped = decision.plan.iter().any(|step| matches!(step, Step::Stop { .. }));
            assert!(becomes_ready || !stopped, "{decision}");
        }
        assert!(becomes_ready || begun <= 2, "{begun} starts");
        assert!(world.replicas.len() <= 4, "{} replicas", world.replicas.len());
    }
}

#[test]
fn a_protected_replica_that_never_becomes_ready_is_replaced_and_never_stopped() {
    let mut world = World::new(governor(1, 3));
    world.policy.timing.start_limit_ms = 5_000;
    let theirs = ReplicaId::new("shop-web-1");
    let replica = world.add(theirs.clone());
    (replica.protected, replica.never_ready) = (true, true);
    let mut begun = 0;
    for _ in 0..300 {
        let decision = world.look();
        begun += starts(&decision.plan);
        let touched = decision.plan.iter().any(|step| step.replica() == Some(&theirs));
        assert!(!touched && decision.desired == 1, "{decision}");
    }
    assert_eq!((begun, world.ready()), (1, 1));
    // Once it serves after all, it is what the owner wanted, and the replacement goes.
    world.replicas.get_mut(&theirs).unwrap().never_ready = false;
    world.pass(60_000);
    assert_eq!(world.replicas.keys().collect::<Vec<_>>(), [&theirs]);
}

#[test]
fn replacements_of_protected_replicas_that_fail_go_no_further_than_the_maximum() {
    let mut world = World::new(governor(3, 4));
    world.policy.timing.start_limit_ms = 5_000;
    for number in 1..=3 {
        let replica = world.add(ReplicaId::new(format!("shop-web-{number}")));
        (replica.protected, replica.never_ready) = (true, true);
    }
    world.pass(60_000);
    // As with replicas that report that they cannot serve: one beyond the maximum.
    assert_eq!((world.ready(), world.replicas.len()), (2, 5));
}
