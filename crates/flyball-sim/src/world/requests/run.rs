//! One contender over one load, request by request.
//!
//! Decides when the contender looks, as the daemon does. Invariant: every decision is checked
//! against the core's invariants before it is carried out.

use flyball_core::decision::Decision;
use flyball_core::invariants::{self, Broken};
use flyball_core::observation::Observation;

use super::arrivals::{Arrivals, MS};
use super::latencies::Summary;
use super::{Setup, World};
use crate::contender::Contender;
use crate::seed::Seed;

/// Looks of a woken loop follow each other no faster than this.
const GAP_MIN_MS: u64 = 5;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Requests and latencies.
    pub requests: Summary,
    /// Replica-seconds paid for: starting, ready, draining and stopping alike.
    pub replica_s: f64,
    /// How long the load lasted and was worked off, in seconds.
    pub seconds: f64,
    /// Decisions that raised the count.
    pub outs: u64,
    /// Decisions that lowered it.
    pub ins: u64,
    /// Looks made.
    pub looks: u64,
    /// The first invariant that a decision broke, and when.
    pub broken: Option<(u64, Broken)>,
}

/// Lets `contender` look at the load until it is over and every request has ended.
///
/// `watch` is told each look before its decision is carried out.
pub fn run(
    contender: &mut Contender,
    setup: &Setup,
    arrivals: Arrivals,
    seed: Seed,
    mut watch: impl FnMut(&Observation, &Decision),
) -> Outcome {
    let end_ns = arrivals.end_ns();
    let mut world = World::new(setup.clone(), arrivals, seed);
    let (mut outs, mut ins, mut looks, mut broken) = (0, 0, 0, None);
    loop {
        let seen = world.observe();
        let decision = contender.decide(&seen);
        let first = invariants::check(contender.policy(), &seen, &decision).into_iter().next();
        if let Some(first) = first {
            broken = Some((seen.at.as_ms(), first));
            break;
        }
        watch(&seen, &decision);
        looks += 1;
        outs += u64::from(decision.desired > decision.seen.current);
        ins += u64::from(decision.desired < decision.seen.current);
        for step in &decision.plan {
            world.carry_out(step);
        }
        if world.now_ns >= end_ns && world.is_idle() {
            break;
        }
        let next_ns = world.now_ns + decision.next_look_ms.max(1) * MS;
        world.advance(next_ns, world.now_ns + GAP_MIN_MS * MS);
    }
    let (replica_s, seconds) = (as_seconds(world.replica_ns()), as_seconds(world.now_ns));
    Outcome { replica_s, seconds, outs, ins, looks, broken, requests: world.sum_up() }
}

fn as_seconds(ns: u64) -> f64 {
    super::arrivals::nanos(ns) / 1e9
}
