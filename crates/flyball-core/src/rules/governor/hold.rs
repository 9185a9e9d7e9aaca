//! The governor's pace: a surplus goes only after the hold window, and then by halves. A removal that
//! was missed soon after widens the window.

use crate::adjustment::{Chain, Guard};
use crate::memory::Memory;
use crate::rules::{Arithmetic, Context, Recommendation};
use crate::units::seconds;

/// Between one removal and the next lies this part of the hold window: three of them leave an
/// eighth of a surplus that has lasted already. At a quarter bursts cost 2 % more for nothing.
const REMOVAL_PARTS: u64 = 8;
/// The hold window is widened to four times itself at most.
const HOLD_FACTOR_MAX: f64 = 4.0;
/// It is widened, and narrowed again, by half at a time.
const HOLD_FACTOR_STEP: f64 = 1.5;
/// It narrows after so much time without a regret.
const HOLD_QUIET_MS: u64 = 1_200_000;

/// The governor keeps what was needed within the hold window, then removes half of the rest.
pub(in crate::rules) fn hold(
    chain: &mut Chain,
    memory: &mut Memory,
    context: &Context<'_>,
    recommendations: &[Recommendation],
) {
    let now = context.observation.at;
    widen(chain.count, memory, context);
    let window_ms = hold_window_ms(memory, context);
    if let Some(count) = still_needed(recommendations) {
        memory.pace.needed.push(now, context.bounds.clamp(count), window_ms);
    }
    // What is never given up needs no hold.
    let min = context.bounds.min;
    if let Some((needed_at, needed)) = memory.pace.needed.max().filter(|(_, needed)| *needed > min)
    {
        let floor = needed.min(context.signals.current);
        chain.at_least(floor, Guard::Hold { needed, needed_at: needed_at.min(now), window_ms });
    }
    let current = context.signals.current;
    let surplus = current.saturating_sub(chain.count.max(min));
    if surplus > 0 {
        let pause_ms = window_ms / REMOVAL_PARTS;
        let next_at = memory.plan.removed_at.map_or(now, |at| at.plus_ms(pause_ms));
        let part = if now < next_at { 0 } else { surplus.div_ceil(2) };
        let next_at = next_at.max(now.plus_ms(if part > 0 { pause_ms } else { 0 }));
        chain.set(current - part, Guard::HalveSurplus { surplus, next_at });
    }
}

/// The hold window, widened by what removals have shown.
pub(in crate::rules) fn hold_window_ms(memory: &Memory, context: &Context<'_>) -> u64 {
    let hold_ms = context.windows.hold_ms;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive time of minutes; the cast saturates"
    )]
    let widened_ms = (seconds(hold_ms) * memory.pace.hold_factor * 1000.0) as u64;
    widened_ms
}

/// A removal that is missed soon after was too early: the next surplus must last longer.
fn widen(wanted: u32, memory: &mut Memory, context: &Context<'_>) {
    let now = context.observation.at;
    let window_ms = hold_window_ms(memory, context);
    let changed_ms = memory.pace.hold_factor_at.map_or(u64::MAX, |at| now.ms_since(at));
    // A removal costs what the replica misses while it starts again: later than this it paid off.
    let regret_ms = context.signals.start_lag_ms.saturating_mul(3);
    let regretted = wanted > context.signals.current
        && memory.plan.removed_at.is_some_and(|at| now.ms_since(at) < regret_ms);
    if regretted && changed_ms > window_ms {
        memory.pace.hold_factor = (memory.pace.hold_factor * HOLD_FACTOR_STEP).min(HOLD_FACTOR_MAX);
        memory.pace.hold_factor_at = Some(now);
    } else if memory.pace.hold_factor > 1.0 && changed_ms > HOLD_QUIET_MS {
        memory.pace.hold_factor = (memory.pace.hold_factor / HOLD_FACTOR_STEP).max(1.0);
        memory.pace.hold_factor_at = Some(now);
    }
}

/// The count that `recommendations` still need with 4 % more load and, where it was counted, one
/// request more: the margin that keeps a count from swinging when the load sits on the edge between
/// two. At 8 % smooth loads pay 1 to 3 % more for as few late requests; at 2 % noisy ones do with
/// quick starts, since what is let go is missed.
fn still_needed(recommendations: &[Recommendation]) -> Option<u32> {
    const EDGE: f64 = 1.04;
    let needed = |recommendation: &Recommendation| match &recommendation.arithmetic {
        Arithmetic::Utilization(terms) => {
            recommendation.arithmetic.count_with(EDGE + terms.one_request())
        }
        _ => recommendation.arithmetic.count_with(EDGE),
    };
    recommendations.iter().map(needed).max()
}
