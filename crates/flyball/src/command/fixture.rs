//! A service as the API answers it, for the tests of what prints it.

use flyball_core::decision::Decision;
use flyball_core::policy::Bounds;
use flyball_core::signals::Signals;
use flyball_core::units::Timestamp;
use flyball_web::{
    Counters, PolicyView, ReplicaState, ReplicaView, RuleName, Service, ServiceView,
};

/// Two of two wanted replicas are ready, and nothing else was measured.
pub(crate) fn service(name: &str) -> Service {
    let bounds = Bounds { min: 1, max: 9 };
    let decision = Decision {
        service: name.to_owned(),
        at: Timestamp::from_ms(0),
        wall_ms: 0,
        signals: Signals { ready: 2, engine_age_ms: Some(5), ..Signals::default() },
        recommendations: Vec::new(),
        adjustments: Vec::new(),
        bounds,
        desired: 2,
        sleep: None,
        held_starts: None,
        sick: Vec::new(),
        shared_fault: None,
        learnt: None,
        rollout: None,
        plan: Vec::new(),
        next_look_ms: 1_000,
    };
    let view = ServiceView {
        name: name.to_owned(),
        engine: "docker".to_owned(),
        balancer: "haproxy".to_owned(),
        address: None,
        bounds,
        policy: PolicyView { rule: RuleName::Governor, thresholds: Vec::new(), slo_ms: None },
        now_wall_ms: 100_000,
        decision: Some(decision),
        held: None,
        last_seen: None,
        replicas: Vec::new(),
        error_limit: 0.01,
        nodes: Vec::new(),
        manual: None,
        rollout: None,
        deploy: None,
        generations: Vec::new(),
        notices: Vec::new(),
        counters: Counters::default(),
    };
    Service { summary: "2 replicas ready".to_owned(), why: None, sleep: None, view }
}

/// A replica that is ready, and of which nothing else is known.
pub(super) fn replica(id: &str) -> ReplicaView {
    ReplicaView {
        id: id.to_owned(),
        state: ReplicaState::Ready,
        generation: None,
        reason: None,
        asked_wall_ms: 0,
        cpu: None,
        held_back: None,
        in_flight: None,
        address: None,
        node: None,
    }
}
