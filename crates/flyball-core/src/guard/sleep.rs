//! A service sleeps when nothing used it for long enough, and only then: no rule ends the last
//! replica sooner, and none keeps one for longer.

use crate::adjustment::{Chain, Guard};
use crate::memory::{Memory, SleepSay};
use crate::observation::Ask;
use crate::policy::Policy;
use crate::rules::Context;

pub(super) fn sleep(chain: &mut Chain, memory: &Memory, context: &Context<'_>, policy: &Policy) {
    let Some(sleep) = policy.sleep else { return };
    let observation = context.observation;
    let stale_ms = context.timing.stale_after_ms;
    // What is decided blind removes nothing.
    let balancer = observation.balancer.as_ref();
    let hears = balancer.is_some_and(|b| b.fresh(observation.at, stale_ms).is_some());
    let is_seen = observation.engine.fresh(observation.at, stale_ms).is_some()
        && (hears || context.signals.current == 0);
    let after_ms = sleep.after_ms;
    // Under an external policy the count asked for is the recommendation.
    let is_none_asked = policy.rule.is_external()
        && observation.manual.as_ref().is_some_and(|manual| manual.ask == Ask::Pin(0));
    match memory.sleep_say(observation.at) {
        SleepSay::Nothing => {}
        SleepSay::Leave { idle_ms } if is_seen => {
            chain.release(context.signals, Guard::Asleep { idle_ms, after_ms });
        }
        SleepSay::Leave { .. } => {}
        SleepSay::Stay { .. } if is_none_asked => {}
        SleepSay::Stay { idle_ms } => chain.at_least(1, Guard::Awake { idle_ms, after_ms }),
    }
}
