//! The core's records, as OpenAPI describes them; these types are never built. Each has exactly the
//! fields of its record, which the tests below check.

#![allow(dead_code, reason = "shapes are described, never built")]

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The minimum and maximum number of replicas.
#[derive(Serialize, ToSchema)]
pub(crate) struct Bounds {
    min: u32,
    max: u32,
}

/// A manual override: `{"pin": 5}` keeps five replicas, `"pause"` keeps the current count.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    Pin(u32),
    Pause,
}

/// One decision: the count, everything that led to it, and the steps to take. The `text` beside it
/// says the same in words. Times without `wall` are milliseconds on the daemon's own clock.
#[derive(Serialize, ToSchema)]
pub(crate) struct Decision {
    service: String,
    /// When the look was made, on the daemon's own clock.
    at: u64,
    /// The same moment in milliseconds since 1970-01-01 UTC.
    wall_ms: i64,
    signals: Signals,
    /// The recommendation of each signal; the largest decides, the first of equal ones.
    recommendations: Vec<Recommendation>,
    /// Every guard that adjusted the count, in order.
    adjustments: Vec<Adjustment>,
    bounds: Bounds,
    /// The desired number of replicas.
    desired: u32,
    /// Why not all missing replicas are being started, while that applies.
    held_starts: Option<HeldStarts>,
    /// Replicas that fail, in the order of their names.
    sick: Vec<Sick>,
    /// A fault that all replicas share, for which none of them is taken out.
    shared_fault: Option<String>,
    /// What to do now, in order: each an object with one key, the verb.
    #[schema(value_type = Vec<Object>)]
    plan: Vec<Map<String, Value>>,
    /// When to look again at the latest, in milliseconds.
    next_look_ms: u64,
}

/// The signals of a decision. A value that is not available is null, never 0.
#[derive(Serialize, ToSchema)]
pub(crate) struct Signals {
    /// Replicas that are ready and not draining.
    ready: u32,
    starting: u32,
    /// Time until the oldest of those is due; 0 where there is none or it is late.
    starting_due_ms: u64,
    draining: u32,
    /// Replicas that were ready and report that they cannot serve now.
    unhealthy: u32,
    /// The count of the decision before.
    current: u32,
    /// Ready replicas without a CPU reading.
    unmeasured: u32,
    /// Ready replicas too young for the others' CPU to show their effect.
    warming: u32,
    engine_age_ms: Option<u64>,
    balancer_age_ms: Option<u64>,
    /// Mean share of its CPU limit that a ready replica used, in 0..1 or above.
    mean_cpu: Option<f64>,
    /// Mean share of time in which the same replicas were throttled by their CPU limits.
    held_cpu: Option<f64>,
    /// Replicas' worth of CPU in use, with each count of that time.
    cpu_used: Option<f64>,
    arrivals_per_s: Option<f64>,
    arrivals_window_ms: u64,
    level_per_s: f64,
    level_window_ms: u64,
    waiting: u32,
    in_flight: u32,
    /// What one request costs, in replica-seconds.
    work_s: Option<f64>,
    start_lag_ms: u64,
    start_lag_measured: bool,
    /// Since when there has been no trustworthy reading, on the daemon's own clock.
    blind_since: Option<u64>,
    /// The results of the last minute's requests; null if no balancer counts them.
    last_minute: Option<LastMinute>,
    trouble: Trouble,
}

/// The results of the last minute's requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct LastMinute {
    /// The time that these are over: a minute, or as long as there are any.
    window_ms: u64,
    arrivals: f64,
    failed: f64,
    /// A replica answered 5xx, or broke its answer off.
    by_replicas: f64,
    /// Rejected by the balancer: no replica was free in time.
    by_balancer: f64,
    /// No replica was there, or none that accepts connections.
    unreachable: f64,
}

/// What goes wrong, for people to read.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trouble {
    not_ready: Option<NotReady>,
    failed_starts: Option<FailedStarts>,
    silent: Vec<Silence>,
}

/// The replica that has been starting for the longest.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotReady {
    replica: String,
    /// When it was asked for, on the daemon's own clock.
    since: u64,
    /// What its readiness check was last answered.
    why: String,
    /// How many more replicas are not ready either.
    more: u32,
}

/// Starts that failed, without one in between that stayed.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailedStarts {
    count: u32,
    why: String,
}

/// A source that does not respond.
#[derive(Serialize, ToSchema)]
pub(crate) struct Silence {
    source: Source,
    /// When it last responded, on the daemon's own clock.
    since: u64,
    /// Why, in its own words; empty if it did not answer at all.
    why: String,
}

/// Whose readings.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Engine,
    Balancer,
    Cpu,
}

/// One signal's recommendation.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recommendation {
    count: u32,
    /// An object with one key, the signal, that holds the terms of its arithmetic.
    #[schema(value_type = Object)]
    arithmetic: Map<String, Value>,
}

/// A guard that adjusted the count.
#[derive(Serialize, ToSchema)]
pub(crate) struct Adjustment {
    before: u32,
    after: u32,
    /// An object with one key, the guard, that holds its terms.
    #[schema(value_type = Object)]
    guard: Map<String, Value>,
}

/// A replica that fails.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sick {
    replica: String,
    /// Since when, on the daemon's own clock.
    since: u64,
    /// Who reports it: `engine`, `probe` or `balancer`.
    cause: String,
    /// What it did, as the end of a sentence.
    why: String,
    /// How it is treated: `out` (no requests, no capacity), `last` (no capacity, but the only one
    /// to get requests), `kept` (requests and capacity as before, because too many fail).
    standing: String,
}

/// Starts that are delayed because the last ones failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeldStarts {
    count: u32,
    failures: u32,
    /// On the daemon's own clock.
    until: u64,
    why: String,
}

/// One service at one moment, or over the stretch that one point of a chart stands for: then means,
/// but the largest `waiting`, `p99_ms` and `errors`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sample {
    /// Milliseconds since 1970-01-01 UTC; of a stretch, its first sample's.
    wall_ms: i64,
    /// Replicas wanted.
    desired: u32,
    ready: Option<u32>,
    starting: Option<u32>,
    draining: Option<u32>,
    /// Mean share of its CPU limit that a ready replica used.
    mean_cpu: Option<f64>,
    arrivals_per_s: Option<f64>,
    waiting: Option<u32>,
    in_flight: Option<u32>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Requests that ended in an error, ever.
    errors: Option<u64>,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use flyball_core::decide::decide;
    use flyball_core::health::{Cause, SickTreatment};
    use flyball_core::memory::Memory;
    use flyball_core::observation::{EngineReport, Observation, Reading};
    use flyball_core::plan::HeldStarts;
    use flyball_core::policy::{Bounds, Governor, Policy, Rule, Timing};
    use flyball_core::units::{ReplicaId, Timestamp};
    use utoipa::PartialSchema;
    use utoipa::openapi::RefOr;

    use super::*;

    /// The fields that `shape` describes, and those that `record` has.
    fn beside<S: PartialSchema>(record: &impl Serialize) -> (BTreeSet<String>, BTreeSet<String>) {
        let RefOr::T(schema) = S::schema() else { panic!("a shape is no reference") };
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect();
        let described = &serde_json::to_value(schema).unwrap()["properties"];
        (names(described), names(&serde_json::to_value(record).unwrap()))
    }

    /// A real decision with a recommendation, a guard and held starts.
    fn decision() -> flyball_core::decision::Decision {
        let at = Timestamp::from_ms(60_000);
        let engine = Reading::Taken { at, value: EngineReport::default() };
        let seen = Observation {
            at,
            wall_ms: 1,
            engine,
            balancer: None,
            manual: None,
            advice: None,
            failing: BTreeMap::new(),
        };
        let policy = Policy {
            service: "web".to_owned(),
            bounds: Bounds { min: 2, max: 5 },
            rule: Rule::Governor(Governor::default()),
            timing: Timing::default(),
        };
        let mut decision = decide(&policy, &mut Memory::default(), &seen);
        decision.held_starts =
            Some(HeldStarts { count: 1, failures: 3, until: at, why: "exit status 1".to_owned() });
        decision.sick.push(flyball_core::health::Sick {
            replica: ReplicaId::new("web-1"),
            since: at,
            cause: Cause::Probe,
            why: "`GET /` was answered with 500".to_owned(),
            standing: SickTreatment::Out,
        });
        decision
    }

    #[test]
    fn shapes_have_the_fields_of_what_they_describe() {
        let decision = decision();
        let sample = flyball_core::record::Sample::of(&decision, None);
        let pairs = [
            beside::<super::Decision>(&decision),
            beside::<Signals>(&decision.signals),
            beside::<LastMinute>(&flyball_core::trouble::LastMinute::default()),
            beside::<Trouble>(&decision.signals.trouble),
            beside::<super::Bounds>(&decision.bounds),
            beside::<super::HeldStarts>(&decision.held_starts),
            beside::<super::Sick>(&decision.sick[0]),
            beside::<Sample>(&sample),
            beside::<Adjustment>(&decision.adjustments[0]),
        ];
        for (described, answered) in pairs {
            assert_eq!(described, answered);
        }
    }
}
