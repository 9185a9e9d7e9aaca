//! One pass: take an observation and a memory, return a decision. The stages are judge, take in,
//! recommend, guard, plan; none reaches back. The result depends on policy, memory and observation
//! alone, and cannot fail.

use crate::decision::Decision;
use crate::guard::{Guarded, guard};
use crate::health;
use crate::memory::Memory;
use crate::observation::Observation;
use crate::plan::plan;
use crate::policy::Policy;
use crate::recommend::{headroom, recommend};
use crate::signals::Signals;
use crate::units::Timestamp;

/// Changes older than this matter to no rule's rate or cooldown but the last one, which stays.
const CHANGES_KEPT_MS: u64 = 15_000;
/// Changes kept at most.
const CHANGES_MAX: usize = 64;

/// Decides how many replicas `observation` asks for and what to do about it.
///
/// `memory` belongs to one service; hand in an empty one at the first look. Looks must come in the
/// order of their time: one from the past is taken as one of the present.
pub fn decide(policy: &Policy, memory: &mut Memory, observation: &Observation) -> Decision {
    memory.bridge_gap(policy, observation.at);
    let observation = &*health::judge(policy, memory, observation);
    let signals = memory.take_in(policy, observation);
    let recommendations = recommend(policy, memory, observation, &signals);
    let Guarded { desired, kept, adjustments } =
        guard(policy, memory, observation, &signals, &recommendations);
    let (plan, held_starts) = plan(policy, memory, observation, desired, kept);
    remember(policy, memory, observation, desired);
    headroom::judge(policy, memory, observation, &signals, &recommendations);
    Decision {
        service: policy.service.clone(),
        at: observation.at,
        wall_ms: observation.wall_ms,
        next_look_ms: look_interval_ms(policy, &signals),
        signals: Signals { blind_since: memory.blind_since, ..signals },
        recommendations,
        adjustments,
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
pub fn look_interval_ms(policy: &Policy, signals: &Signals) -> u64 {
    policy.timing.interval_ms.unwrap_or((signals.start_lag_ms / 5).clamp(100, 2_000))
}

/// A count decided without sight of the engine is not one to go on from.
fn remember(policy: &Policy, memory: &mut Memory, observation: &Observation, desired: u32) {
    let now = observation.at;
    if observation.engine.fresh(now, policy.timing.stale_after_ms).is_none() {
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
