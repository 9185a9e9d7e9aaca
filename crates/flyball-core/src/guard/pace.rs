//! Guards of pace: how soon a count may follow its recommendation. None of them ever removes more
//! than was recommended.

use super::{Chain, Context, Guard};
use crate::memory::Memory;
use crate::policy::{Advised, Rule, Target};
use crate::recommend::governor::still_needed;
use crate::units::{Timestamp, seconds};

/// From a value that is sent to advice that knows of it: Zabbix writes values and calculations once
/// a second each, and is asked once a second. Half of it, and old advice is taken for new.
const ADVICE_LAG_MS: u64 = 3_000;

/// The period over which the target rule's rates are counted.
const RATE_MS: u64 = 15_000;
/// Between one removal and the next lies this part of the hold window: three of them leave an
/// eighth of a surplus that has lasted already. At a quarter bursts cost 2 % more for nothing.
const REMOVAL_PARTS: u64 = 8;
/// The hold window is widened to four times itself at most.
const HOLD_FACTOR_MAX: f64 = 4.0;
/// It is widened, and narrowed again, by half at a time.
const HOLD_FACTOR_STEP: f64 = 1.5;
/// It narrows after so much time without a regret.
const HOLD_QUIET_MS: u64 = 1_200_000;

/// Nothing is removed before the rule's window is full: after a restart what was needed just
/// before is not known.
pub(super) fn warm_up(chain: &mut Chain, memory: &Memory, context: &Context<'_>) {
    let window_ms = match &context.policy.rule {
        Rule::Governor(_) => hold_window_ms(memory, context),
        Rule::Target(rule) => rule.in_window_ms,
        Rule::Step(rule) => rule.cooldown_ms,
        Rule::Advised(rule) => rule.cooldown_ms,
        Rule::External => 0,
    };
    let until = memory.since.unwrap_or(context.observation.at).plus_ms(window_ms);
    if context.observation.at < until {
        chain.keep(context, Guard::WarmUp { until });
    }
}

/// The governor keeps what was needed within the hold window, then removes half of the rest.
pub(super) fn hold(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>) {
    let now = context.observation.at;
    widen(chain.count, memory, context);
    let window_ms = hold_window_ms(memory, context);
    if let Some(count) = still_needed(context.recommendations) {
        memory.needed.push(now, context.policy.bounds.clamp(count), window_ms);
    }
    // What is never given up needs no hold.
    let min = context.policy.bounds.min;
    if let Some((needed_at, needed)) = memory.needed.max().filter(|(_, needed)| *needed > min) {
        let floor = needed.min(context.signals.current);
        chain.at_least(floor, Guard::Hold { needed, needed_at: needed_at.min(now), window_ms });
    }
    let current = context.signals.current;
    let surplus = current.saturating_sub(chain.count.max(min));
    if surplus > 0 {
        let pause_ms = window_ms / REMOVAL_PARTS;
        let next_at = memory.removed_at.map_or(now, |at| at.plus_ms(pause_ms));
        let part = if now < next_at { 0 } else { surplus.div_ceil(2) };
        let next_at = next_at.max(now.plus_ms(if part > 0 { pause_ms } else { 0 }));
        chain.set(current - part, Guard::HalveSurplus { surplus, next_at });
    }
}

fn hold_window_ms(memory: &Memory, context: &Context<'_>) -> u64 {
    let hold_ms = context.policy.windows(context.signals.start_lag_ms).hold_ms;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive time of minutes; the cast saturates"
    )]
    let widened_ms = (seconds(hold_ms) * memory.hold_factor * 1000.0) as u64;
    widened_ms
}

/// A removal that is missed soon after was too early: the next surplus must last longer.
fn widen(wanted: u32, memory: &mut Memory, context: &Context<'_>) {
    let now = context.observation.at;
    let window_ms = hold_window_ms(memory, context);
    let changed_ms = memory.hold_factor_at.map_or(u64::MAX, |at| now.ms_since(at));
    // A removal costs what the replica misses while it starts again: later than this it paid off.
    let regret_ms = context.signals.start_lag_ms.saturating_mul(3);
    let regretted = wanted > context.signals.current
        && memory.removed_at.is_some_and(|at| now.ms_since(at) < regret_ms);
    if regretted && changed_ms > window_ms {
        memory.hold_factor = (memory.hold_factor * HOLD_FACTOR_STEP).min(HOLD_FACTOR_MAX);
        memory.hold_factor_at = Some(now);
    } else if memory.hold_factor > 1.0 && changed_ms > HOLD_QUIET_MS {
        memory.hold_factor = (memory.hold_factor / HOLD_FACTOR_STEP).max(1.0);
        memory.hold_factor_at = Some(now);
    }
}

/// A rule that goes by steps adjustments once in a cooldown, and not outwards while something is
/// starting.
pub(super) fn step(chain: &mut Chain, memory: &Memory, context: &Context<'_>, cooldown_ms: u64) {
    let (now, current) = (context.observation.at, context.signals.current);
    if let Some((at, _)) = memory.changes.back() {
        let until = at.plus_ms(cooldown_ms);
        if now < until {
            chain.set(current, Guard::Cooldown { until });
        }
    }
    let starting = context.signals.starting + context.signals.warming;
    if chain.count > current && starting > 0 {
        chain.set(current, Guard::StartingCounts { starting });
    }
}

/// The advised rule, besides, waits until what it is told can show what it last did: the mean that
/// advice is about goes back over a window, and a new replica is in it from when it is ready.
pub(super) fn advised(chain: &mut Chain, memory: &Memory, context: &Context<'_>, rule: &Advised) {
    step(chain, memory, context, rule.cooldown_ms);
    let replicas =
        context.observation.engine.value().into_iter().flat_map(|engine| &engine.replicas);
    let ready = replicas.filter_map(|replica| replica.ready_at).max();
    let changed = memory.changes.back().map(|(at, _)| *at);
    if let Some(at) = changed.max(ready) {
        let until = at.plus_ms(rule.cpu_window_ms).plus_ms(ADVICE_LAG_MS);
        if context.observation.at < until {
            chain.set(context.signals.current, Guard::Cooldown { until });
        }
    }
}

/// The target rule takes the most cautious count of its windows, within its rates.
pub(super) fn target(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>, rule: &Target) {
    let (now, current) = (context.observation.at, context.signals.current);
    if !context.recommendations.is_empty() {
        memory.needed.push(now, chain.count, rule.in_window_ms);
        memory.floor_of_recommended.push(now, u32::MAX - chain.count, rule.out_window_ms);
    }
    let most = memory.needed.max().map_or(current, |(_, count)| count);
    let least = memory.floor_of_recommended.max().map_or(current, |(_, rest)| u32::MAX - rest);
    let (cautious, window_ms) = if current < least {
        (least, rule.out_window_ms)
    } else {
        (current.min(most), rule.in_window_ms)
    };
    chain.set(cautious, Guard::Window { window_ms });
    let limited =
        chain.count.clamp(in_limit(memory, context, rule), out_limit(memory, context, rule));
    chain.set(limited, Guard::Rate { within_ms: RATE_MS });
}

/// The largest count that the scale-out rate allows now.
fn out_limit(memory: &Memory, context: &Context<'_>, rule: &Target) -> u32 {
    let added = moved(memory, context.observation.at, 1);
    let start = context.signals.current.saturating_sub(added);
    let by_share = crate::units::replicas_for(f64::from(start) * (1.0 + rule.out_share));
    start.saturating_add(rule.out_by).max(by_share).max(context.signals.current)
}

/// The smallest count that the scale-in rate allows now.
fn in_limit(memory: &Memory, context: &Context<'_>, rule: &Target) -> u32 {
    let start = context.signals.current.saturating_add(moved(memory, context.observation.at, -1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and a count; the cast saturates"
    )]
    let limit = (f64::from(start) * (1.0 - rule.in_share)).floor() as u32;
    limit.min(context.signals.current)
}

/// Replicas added (`direction` 1) or removed (-1) within the rate period.
fn moved(memory: &Memory, now: Timestamp, direction: i64) -> u32 {
    let recent = memory.changes.iter().filter(|(at, _)| now.ms_since(*at) < RATE_MS);
    let sum: i64 = recent.map(|(_, change)| (change * direction).max(0)).sum();
    u32::try_from(sum).unwrap_or(u32::MAX)
}
