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
use crate::rules::Context;
use crate::signals::Signals;

/// Decides how many replicas `observation` asks for and what to do about it.
///
/// `memory` belongs to one service; hand in an empty one at the first look. Looks must come in the
/// order of their time: one from the past is taken as one of the present.
pub fn decide(policy: &Policy, memory: &mut Memory, observation: &Observation) -> Decision {
    let Policy { rule, timing, bounds, rollout, .. } = policy;
    memory.bridge_gap(timing, observation.at);
    let observation = &*memory.follow_sleep(policy, observation);
    let observation = &*health::judge(timing, memory, observation);
    memory.take_in(timing, policy.windows(memory.start_lag_ms(timing).0), observation);
    memory.follow_rollout(timing, *rollout, observation);
    // The start lag may be another one by now.
    let windows = policy.windows(memory.start_lag_ms(timing).0);
    let signals = memory.signals(timing, windows, observation);
    let context = Context { bounds: *bounds, timing, windows, observation, signals: &signals };
    let recommendations = rule.recommend(memory, &context);
    let Guarded { desired, kept, adjustments } = guard(policy, memory, &context, &recommendations);
    let planned = plan(policy, memory, observation, desired, kept);
    // A count decided without sight of the engine is not one to go on from.
    if observation.engine.fresh(observation.at, timing.stale_after_ms).is_some() {
        memory.count.remember(observation.at, desired);
    }
    rule.learn(memory, &context);
    Decision {
        service: policy.service.clone(),
        at: observation.at,
        wall_ms: observation.wall_ms,
        next_look_ms: look_interval_ms(policy, &signals),
        signals: Signals { blind_since: memory.guard.blind_since, ..signals },
        recommendations,
        adjustments,
        bounds: *bounds,
        desired,
        held_starts: planned.held_starts,
        sick: memory.health.sick.values().cloned().collect(),
        shared_fault: memory.health.shared_fault.clone(),
        rollout: planned.rollout,
        learnt: memory.learnt(memory.start_lag_ms(timing).0),
        sleep: memory.sleep_state(policy, observation.at),
        plan: planned.steps,
    }
}

/// Time to the next look: as the policy says, or a fifth of the start lag, within 100 ms to 2 s.
///
/// Looking more often than a tenth of the start lag buys nothing that a new replica could use;
/// more seldom than a quarter of it adds to every reaction.
pub fn look_interval_ms(policy: &Policy, signals: &Signals) -> u64 {
    policy.timing.interval_ms.unwrap_or((signals.start_lag_ms / 5).clamp(100, 2_000))
}
