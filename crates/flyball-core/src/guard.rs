//! The guards that may change or hold a count, in a fixed order: the rule's own pace, then doubt
//! (stale readings, sick replicas, errors, replicas that do not help), then sleep, a busy engine,
//! manual overrides and protected replicas. The bounds come last.

mod futility;
mod sleep;
mod trust;

use crate::adjustment::Chain;
use crate::memory::Memory;
use crate::observation::{Ask, Phase};
use crate::policy::Policy;
use crate::rules::{Context, Recommendation, Rule, largest};

pub use crate::adjustment::{Adjustment, Guard};

/// What the guards made of a count.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    /// The desired number of replicas.
    pub desired: u32,
    /// How many of those that there are stay for now; never fewer than `desired`.
    pub kept: u32,
    /// Every guard that moved the count or keeps replicas, in their order.
    pub adjustments: Vec<Adjustment>,
}

/// The final count, what is kept beyond it, and every guard that had a part in that.
pub(crate) fn guard(
    policy: &Policy,
    memory: &mut Memory,
    context: &Context<'_>,
    recommendations: &[Recommendation],
) -> Guarded {
    let rule = &policy.rule;
    let mut chain = Chain::new(largest(recommendations, context.signals.current));
    rule.pace(&mut chain, memory, context, recommendations);
    warm_up(&mut chain, memory, context, rule);
    trust::sick(&mut chain, memory, context);
    trust::errors(&mut chain, memory, context);
    trust::stale(&mut chain, memory, context, rule.trusts_cpu(context.signals));
    if rule.sees_futility() {
        futility::futility(&mut chain, memory, context);
    }
    sleep::sleep(&mut chain, memory, context, policy);
    trust::busy(&mut chain, context);
    manual(&mut chain, memory, context, rule);
    protected(&mut chain, memory, context);
    let bounds = policy.bounds;
    chain.set(bounds.clamp(chain.count), Guard::Bounds { min: bounds.min, max: bounds.max });
    let kept = chain.kept.min(bounds.max).max(chain.count);
    Guarded { desired: chain.count, kept, adjustments: chain.adjustments }
}

/// Nothing is removed before the rule's window is full: after a restart what was needed just
/// before is not known.
fn warm_up(chain: &mut Chain, memory: &Memory, context: &Context<'_>, rule: &Rule) {
    let now = context.observation.at;
    let until = memory.since().unwrap_or(now).plus_ms(rule.warm_up_ms(memory, context));
    if now < until {
        chain.keep(context.signals, Guard::WarmUp { until });
    }
}

fn manual(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>, rule: &Rule) {
    let now = context.observation.at;
    let manual = context.observation.manual.as_ref();
    let Some(manual) = manual.filter(|manual| manual.until.is_none_or(|until| until > now)) else {
        memory.guard.paused_at = None;
        return;
    };
    let by = manual.by.clone();
    let until = manual.until;
    match manual.ask {
        Ask::Pause => {
            let paused_at = *memory.guard.paused_at.get_or_insert(context.signals.current);
            // Whoever pauses may tell the engine another count in person.
            let engine = context.observation.engine.value();
            let told = engine.and_then(|engine| Some(engine.count.as_ref()?.wanted));
            chain.set_by_hand(told.unwrap_or(paused_at), Guard::Pause { by, until });
        }
        // For an external policy the pin is the recommendation itself.
        Ask::Pin(_) if rule.is_external() => {}
        Ask::Pin(count) => {
            memory.guard.paused_at = None;
            chain.set_by_hand(count, Guard::Pin { by, until });
        }
    }
}

fn protected(chain: &mut Chain, memory: &Memory, context: &Context<'_>) {
    let replicas = context.observation.engine.value().map(|engine| &engine.replicas);
    let count = replicas
        .into_iter()
        .flatten()
        .filter(|r| r.protected && matches!(r.phase, Phase::Starting | Phase::Ready))
        .filter(|r| !memory.is_overdue(context.timing, context.observation.at, r))
        .count();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    chain.at_least(count, Guard::Protected { count });
}
