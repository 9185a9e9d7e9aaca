//! What is shown of a service whose engine does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flyball_config::Ready;
use flyball_core::decide::decide;
use flyball_core::memory::Memory;
use flyball_core::observation::{EngineReport, Observation, Phase, Reading, ReplicaReport};
use flyball_core::policy::{Bounds, Policy, RolloutPolicy, Rule, Timing};
use flyball_core::units::{ReplicaId, Timestamp};

use super::*;
use crate::daemon::scripted::{ScriptedEngine, Starts};

fn replica(number: u64, phase: Phase) -> ReplicaReport {
    ReplicaReport::new(ReplicaId::numbered("web", number), phase, Timestamp::from_ms(1_000))
}

/// A look at `at_ms` at which the engine said `engine`.
fn look(slot: &ServiceState, memory: &mut Memory, at_ms: u64, engine: Reading<EngineReport>) {
    let at = Timestamp::from_ms(at_ms);
    let wall_ms = i64::try_from(at_ms).unwrap();
    let engine_report = engine.value().cloned();
    let seen = Observation { wall_ms, ..Observation::new(at, engine) };
    slot.publish(Arc::new(Live {
        crowded: None,
        held: None,
        refusals: Vec::new(),
        decision: decide(&slot.settings().policy, memory, &seen),
        engine: engine_report,
        nodes: Vec::new(),
        balancer: None,
        shares: BTreeMap::new(),
        draining: BTreeSet::new(),
        counters: LoopCounters::default(),
        latency: None,
    }));
}

#[tokio::test]
async fn what_was_seen_last_is_shown_with_its_time_until_the_engine_speaks_again() {
    let bounds = Bounds { min: 2, max: 9 };
    let (rule, timing) = (Rule::External, Timing::default());
    let rollout = RolloutPolicy::default();
    let policy = Policy { service: "web".to_owned(), bounds, rule, timing, rollout, sleep: None };
    let ready = Ready::Http { path: "/".to_owned(), any_but_failure: true };
    let settings = ServiceSettings { policy, ready, liveness_ms: 0, error_limit: 0.01 };
    let engine = Arc::new(Engine::Scripted(ScriptedEngine::new(Starts::Crash)));
    let slot = ServiceState::new(settings, ("docker", "none"), None, &engine);
    let mut memory = Memory::default();
    let replicas = vec![replica(1, Phase::Ready), replica(2, Phase::Starting)];
    let report = EngineReport { replicas, ..EngineReport::default() };
    let (since, why) = (Timestamp::from_ms(60_000), "docker is not running".to_owned());

    look(&slot, &mut memory, 50_000, Reading::Missing { since, why: why.clone() });
    assert_eq!((slot.view().last_seen, slot.view().replicas.len()), (None, 0), "it never spoke");
    let at = Timestamp::from_ms(59_000);
    look(&slot, &mut memory, 60_000, Reading::Taken { at, value: report.clone() });
    assert_eq!((slot.view().last_seen, slot.view().replicas.len()), (None, 2));
    look(&slot, &mut memory, 70_000, Reading::Missing { since, why });
    let last = LastSeen { wall_ms: 59_000, ready: 1, starting: 1, draining: 0 };
    assert_eq!((slot.view().last_seen, slot.view().replicas.len()), (Some(last), 2));
    // Old news is no news.
    look(&slot, &mut memory, 80_000, Reading::Taken { at, value: report.clone() });
    assert_eq!(slot.view().last_seen, Some(last));
    let at = Timestamp::from_ms(90_000);
    look(&slot, &mut memory, 90_000, Reading::Taken { at, value: report });
    assert_eq!(slot.view().last_seen, None);
}
