//! A contender over a load, request by request. The contender looks when the daemon would. Every
//! decision is checked against the core's invariants before it is carried out.

use flyball_core::decision::Decision;
use flyball_core::invariants::Broken;

use super::arrivals::{Arrivals, MS};
use super::latencies::Summary;
use super::{Setup, World};
use crate::contender::Contender;
use crate::seed::Seed;

/// Looks of a woken loop follow each other no faster than this.
const GAP_MIN_MS: u64 = 5;
/// While requests are worked off, it is seen so often whether all have ended.
const WORK_OFF_NS: u64 = 100 * MS;

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

/// A decision that broke an invariant and was not carried out.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What it broke.
    pub broken: Broken,
    /// The decision.
    pub decision: Decision,
}

/// Lets `contender` look at `world` until `end_ns`, when it looks once more. `watch` is told each
/// decision once it was carried out.
pub fn drive(
    contender: &mut Contender,
    world: &mut World,
    end_ns: u64,
    watch: impl FnMut(&World, &Decision),
) -> Result<(), Box<Refused>> {
    drive_paced(contender, world, end_ns, |_, interval_ms| interval_ms, watch)
}

/// The same with the time to the next look as `pace` has it, which is told the present and the
/// contender's own choice.
pub fn drive_paced(
    contender: &mut Contender,
    world: &mut World,
    end_ns: u64,
    pace: impl Fn(u64, u64) -> u64,
    mut watch: impl FnMut(&World, &Decision),
) -> Result<(), Box<Refused>> {
    loop {
        let seen = world.look();
        let decision = contender.decide(seen);
        if let Some(broken) = contender.broken(seen, &decision) {
            return Err(Box::new(Refused { broken, decision }));
        }
        for step in &decision.plan {
            world.carry_out(step);
        }
        watch(world, &decision);
        if world.now_ns >= end_ns {
            return Ok(());
        }
        let next_ns = world.now_ns + pace(world.now_ns, decision.next_look_ms.max(1)) * MS;
        world.advance(next_ns.min(end_ns), world.now_ns + GAP_MIN_MS * MS);
    }
}

/// Lets `contender` look on until every request that has arrived has ended.
pub fn work_off(
    contender: &mut Contender,
    world: &mut World,
    mut watch: impl FnMut(&World, &Decision),
) -> Result<(), Box<Refused>> {
    while !world.is_idle() {
        let end_ns = world.now_ns + WORK_OFF_NS;
        drive(contender, world, end_ns, &mut watch)?;
    }
    Ok(())
}

/// Lets `contender` look at the load, from nothing, until it is over and every request has ended.
pub fn run(contender: &mut Contender, setup: &Setup, arrivals: Arrivals, seed: Seed) -> Outcome {
    let mut world = World::new(setup.clone(), arrivals, seed);
    let mut outs = 0;
    let mut ins = 0;
    let mut looks = 0;
    let mut count = |_: &World, decision: &Decision| {
        looks += 1;
        outs += u64::from(decision.desired > decision.signals.current);
        ins += u64::from(decision.desired < decision.signals.current);
    };
    let end_ns = world.end_ns();
    let ended = drive(contender, &mut world, end_ns, &mut count)
        .and_then(|()| work_off(contender, &mut world, &mut count));
    let broken = ended.err().map(|refused| (world.now().as_ms(), refused.broken));
    let replica_s = as_seconds(world.replica_ns());
    let seconds = as_seconds(world.now_ns);
    Outcome { replica_s, seconds, outs, ins, looks, broken, requests: world.sum_up() }
}

fn as_seconds(ns: u64) -> f64 {
    super::arrivals::nanos(ns) / 1e9
}
