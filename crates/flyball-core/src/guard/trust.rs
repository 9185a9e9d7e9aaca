//! Guards against doubtful readings. They never lower a count: a missing reading is not zero.

use crate::adjustment::{Chain, Guard};
use crate::memory::Memory;
use crate::observation::Source;
use crate::rules::Context;
use crate::sick::{Cause, Sick};

/// The time over which errors are compared with arrivals.
const ERROR_WINDOW_MS: u64 = 10_000;
/// So many errors are not chance.
const ERRORS_MIN: f64 = 3.0;
/// A share of errors that can explain why callers stay away.
const ERROR_SHARE: f64 = 0.05;

/// Demand that falls because it fails has not fallen.
pub(super) fn errors(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>) {
    let now = context.observation.at;
    let Some((errors, arrivals)) = memory.readings.errors_and_arrivals(now, ERROR_WINDOW_MS) else {
        return;
    };
    if errors >= ERRORS_MIN && errors >= ERROR_SHARE * arrivals {
        memory.guard.tainted_at = Some(now);
    }
    let clean_ms = context.windows.hold_ms;
    if let Some(until) = memory.guard.tainted_at.map(|at| at.plus_ms(clean_ms))
        && now < until
    {
        chain.keep(context.signals, Guard::Errors { errors, arrivals, until });
    }
}

/// While replicas are sick, the load looks lower than it is: failing costs little, and callers stay
/// away. That excuse ends some time after they should have been replaced.
pub(super) fn sick(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>) {
    let now = context.observation.at;
    let hold_ms = context.windows.hold_ms;
    let excuse_ms = context.timing.sick_after_ms + hold_ms;
    let excuses = |one: &&Sick| one.cause != Cause::Engine && now.ms_since(one.since) < excuse_ms;
    let count = memory.health.sick.values().filter(excuses).count();
    if count > 0 {
        memory.guard.sick_at = Some(now);
    }
    if let Some(until) = memory.guard.sick_at.map(|at| at.plus_ms(hold_ms))
        && now < until
    {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        chain.keep(context.signals, Guard::Sick { count, until });
    }
}

/// Old and missing readings remove nothing; without the engine nothing changes at all.
/// `by_cpu`: whether the count was recommended from CPU.
pub(super) fn stale(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>, by_cpu: bool) {
    let now = context.observation.at;
    let limit_ms = context.timing.stale_after_ms;
    let engine = &context.observation.engine;
    let engine_stale = engine.fresh(now, limit_ms).is_none();
    let balancer =
        context.observation.balancer.as_ref().filter(|b| b.fresh(now, limit_ms).is_none());
    if engine_stale || balancer.is_some() {
        memory.guard.blind_since.get_or_insert(now);
    } else {
        memory.guard.blind_since = None;
    }
    if let Some(balancer) = balancer {
        let age_ms = balancer.age_ms(now);
        chain.keep(context.signals, Guard::Stale { source: Source::Balancer, age_ms });
    }
    if by_cpu && context.signals.unmeasured > 0 {
        chain.keep(context.signals, Guard::Stale { source: Source::Cpu, age_ms: 0 });
    }
    if engine_stale {
        let age_ms = engine.age_ms(now);
        chain.set(context.signals.current, Guard::Stale { source: Source::Engine, age_ms });
    }
}

/// An engine that is busy with something of its own is left alone. (The plan starts and stops
/// nothing meanwhile, whatever the count.)
pub(super) fn busy(chain: &mut Chain, context: &Context<'_>) {
    let Some(engine) = context.observation.engine.value() else { return };
    if let Some(with) = &engine.busy {
        chain.set(context.signals.current, Guard::Busy { with: with.clone() });
    }
}
