//! One look: an observation and a memory go in, a decision comes out.
//!
//! Decides nothing itself: it is the order of the stages. Judge, take in, recommend, guard, plan. Each
//! stage reads what those before it made, and none reaches back. Invariant: for the same policy,
//! memory and observation the decision is the same, and it cannot fail.

use crate::decision::Decision;
use crate::guard::{Guarded, guard};
use crate::health;
use crate::memory::Memory;
use crate::observation::Observation;
use crate::plan::plan;
use crate::policy::Policy;
use crate::recommend::{headroom, recommend};
use crate::seen::Seen;
use crate::units::Timestamp;

/// Changes older than this matter to no rule's rate or cooldown but the last one, which stays.
const CHANGES_KEPT_MS: u64 = 15_000;
/// Changes kept at most.
const CHANGES_MAX: usize = 64;

/// Decides how many replicas `seen` asks for and what to do about it.
///
/// `memory` belongs to one service; hand in an empty one at the first look. Looks must come in the
/// order of their time: one from the past is taken as one of the present.
pub fn decide(policy: &Policy, memory: &mut Memory, seen: &Observation) -> Decision {
    memory.bridge_gap(policy, seen.at);
    let seen = &*health::judge(policy, memory, seen);
    let figures = memory.take_in(policy, seen);
    let recommendations = recommend(policy, memory, seen, &figures);
    let Guarded { desired, kept, moves } = guard(policy, memory, seen, &figures, &recommendations);
    let (plan, held_starts) = plan(policy, memory, seen, desired, kept);
    remember(policy, memory, seen, desired);
    headroom::judge(policy, memory, seen, &figures, &recommendations);
    Decision {
        service: policy.service.clone(),
        at: seen.at,
        wall_ms: seen.wall_ms,
        next_look_ms: look_interval_ms(policy, &figures),
        seen: Seen { blind_since: memory.blind_since, ..figures },
        recommendations,
        moves,
        bounds: policy.bounds,
        desired,
        held_starts,
        sick: memory.sick.values().cloned().collect(),
        shared_fault: memory.shared_fault.clone(),
        plan,
    }
}

/// Time to the next look: as the policy says, or a fifth of the start lag, within 100 ms to 2 s.
///
/// Looking more often than a tenth of the start lag buys nothing that a new replica could use;
/// more seldom than a quarter of it adds to every reaction.
pub fn look_interval_ms(policy: &Policy, figures: &Seen) -> u64 {
    policy.timing.look_ms.unwrap_or((figures.start_lag_ms / 5).clamp(100, 2_000))
}

/// A count decided without sight of the engine is not one to go on from.
fn remember(policy: &Policy, memory: &mut Memory, seen: &Observation, desired: u32) {
    let now = seen.at;
    if seen.engine.fresh(now, policy.timing.stale_after_ms).is_none() {
        return;
    }
    let before = memory.desired.replace(desired).unwrap_or(desired);
    if before != desired {
        memory.changes.push_back((now, i64::from(desired) - i64::from(before)));
    }
    while memory.changes.len() > 1 && expired(memory, now) {
        memory.changes.pop_front();
    }
}

fn expired(memory: &Memory, now: Timestamp) -> bool {
    let old = memory.changes.front().is_some_and(|(at, _)| now.ms_since(*at) > CHANGES_KEPT_MS);
    old || memory.changes.len() > CHANGES_MAX
}
