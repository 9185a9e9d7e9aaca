//! More replicas that bring nothing, and some that do.

mod world;

use flyball_core::decision::Decision;
use flyball_core::guard::Guard;
use world::{World, governor};

#[test]
fn nothing_is_added_while_something_else_is_too_slow_and_that_is_explained() {
    let mut world = World::new(governor(1, 1_000));
    world.load = 100.0;
    world.pass(90_000);
    // A database that lets a quarter pass.
    world.ceiling_per_s = Some(25.0);
    let stalled = world.run(60_000);
    let futile = |decision: &Decision| {
        decision.adjustments.iter().any(|step| matches!(step.guard, Guard::Futile(_)))
    };
    assert!(futile(&stalled), "{stalled}");
    let text = stalled.to_string();
    assert!(text.contains("instead of") && text.contains("something else is too slow"), "{text}");
    let most = stalled.desired;
    assert!((0..2_500).all(|_| world.look().desired <= most), "it adds for nothing");
    // What was tried in vain is tried again in the end.
    world.pass(120_000);
    // Mended: what waited is worked off, and with the last of it the guard goes.
    world.ceiling_per_s = None;
    world.load = 10.0;
    let after = world.run(1_500_000);
    assert!(!futile(&after) && world.ready() <= 2, "{after}");
}

#[test]
fn replicas_that_are_too_slow_themselves_are_never_called_futile() {
    let mut world = World::new(governor(1, 100));
    world.load = 20.0;
    world.pass(60_000);
    for factor in 1..40 {
        world.load = 20.0 * f64::from(factor);
        for _ in 0..25 {
            let decision = world.look();
            let futile = decision.adjustments.iter().any(|m| matches!(m.guard, Guard::Futile(_)));
            assert!(!futile, "{decision}");
        }
    }
}
