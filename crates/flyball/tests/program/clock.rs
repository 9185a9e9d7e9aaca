//! A wall clock that is set back changes what is shown and nothing that is decided.
//!
//! The clock of a shared machine cannot be set, so this calls what the daemon calls.

use std::collections::BTreeMap;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::memory::Memory;
use flyball_core::observation::{
    BalancerReport, CpuCounter, EngineReport, Observation, Phase, Reading, ReplicaReport, Route,
    ServerHealth, ServerReport,
};
use flyball_core::policy::{Bounds, Governor, Policy, RolloutPolicy, Rule, Timing};
use flyball_core::units::{ReplicaId, Timestamp};

const HOUR_MS: i64 = 3_600_000;

/// What the look `number` sees: one replica under 15 requests/s, and 60/s after half a minute.
fn look(number: u64, wall_ms: i64) -> Observation {
    let (at, id) = (Timestamp::from_ms(number * 100), ReplicaId::numbered("web", 1));
    let arrivals = number * 3 / 2 + number.saturating_sub(300) * 9 / 2;
    let started = Timestamp::from_ms(0);
    let replica = ReplicaReport {
        ready_at: Some(started),
        cpu: Some(CpuCounter { at, used_ns: arrivals * 5_000_000 }),
        cpu_limit_cores: 0.1,
        ..ReplicaReport::new(id.clone(), Phase::Ready, started)
    };
    let server = ServerReport {
        route: Route::Routed,
        in_flight: 1,
        served: arrivals,
        first_served_at: Some(started),
        health: ServerHealth::Up,
    };
    let engine = EngineReport { replicas: vec![replica], ..EngineReport::default() };
    let servers = BTreeMap::from([(id, server)]);
    let balancer = BalancerReport { epoch: 1, arrivals, servers, ..BalancerReport::default() };
    Observation {
        wall_ms,
        balancer: Some(Reading::Taken { at, value: balancer }),
        ..Observation::new(at, Reading::Taken { at, value: engine })
    }
}

/// The decisions of a minute of looks at a `wall` clock, without the time they show.
fn decisions(wall: impl Fn(u64) -> i64) -> Vec<Decision> {
    let policy = Policy {
        service: "web".to_owned(),
        bounds: Bounds { min: 1, max: 9 },
        rule: Rule::Governor(Governor::default()),
        timing: Timing::default(),
        rollout: RolloutPolicy::default(),
        sleep: None,
    };
    let mut memory = Memory::default();
    let decide = |number| Decision {
        wall_ms: 0,
        ..decide(&policy, &mut memory, &look(number, wall(number)))
    };
    (1..600).map(decide).collect()
}

#[test]
fn a_clock_that_is_set_back_an_hour_changes_no_decision() {
    let steady = |number: u64| i64::try_from(number).unwrap() * 100;
    let set_back = |number: u64| steady(number) - if number > 250 { HOUR_MS } else { 0 };
    let expected = decisions(steady);
    assert!(expected.iter().any(|decision| decision.desired > 1), "the load must move the count");
    assert_eq!(decisions(set_back), expected);
}
