//! Headroom beyond the cap, for a service that misses its latency at the cap.
//!
//! Decides by how much more than planned a service needs so that 99 of 100 requests keep the time
//! that its owner set. The cap is a model: requests of equal work on equal replicas. Where work
//! varies widely or a replica is slow, requests wait at a lower share already, and only what they
//! measure says so. Does not know why they are late.
//! Invariant: between 1 and [`MOST`], moved only by what was measured while the pool was as planned,
//! and by one step for each window of requests.
//!
//! Example: limit 250 ms. A window with a p99 of 400 ms makes 1.10 of 1.08; the next 19 that keep the
//! limit make 1.08 of it again.

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Recommendation};
use crate::memory::Memory;
use crate::observation::{LatencyReport, Observation};
use crate::policy::{Governor, Policy, Rule};
use crate::seen::Seen;
use crate::units::Timestamp;

/// What a window that misses the limit adds: ten of them in a row, 100 s, are 20 % more replicas. At
/// twice that a single bad minute is paid for half an hour, at half a change takes ten minutes.
const STEP: f64 = 0.02;
/// Windows that keep the limit for each that misses it where the headroom comes to rest, since each
/// gives so much less back: a miss every three minutes.
const KEPT_PER_MISS: f64 = 19.0;
/// Six tenths more replicas at most: an 85 % busy cap is one of 53 % then, where a queue has next to
/// no part in how long a request takes; what is late then is late for another reason.
const MOST: f64 = 1.6;
/// A window says something about one request in a hundred from twice a hundred on.
const REQUESTS_MIN: u64 = 200;
/// Windows are judged no closer together than this: rolling ones would be judged many times.
const APART_MS: u64 = 10_000;
/// A pool less busy than this part of what was planned misses for another reason than too few
/// replicas, and one that keeps its limit then proves nothing.
const AS_PLANNED: f64 = 0.7;

/// The running figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    factor: f64,
    judged_at: Option<Timestamp>,
}

/// The term of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spare {
    /// So many times as many replicas as the cap asks for.
    pub factor: f64,
    /// To keep 99 of 100 requests within this, in milliseconds.
    pub slo_ms: u64,
}

impl Default for Headroom {
    fn default() -> Self {
        Self { factor: 1.0, judged_at: None }
    }
}

impl Headroom {
    /// What it adds to a wish; `None` while that is nothing, or nobody set a limit.
    pub fn spare(&self, rule: &Governor) -> Option<Spare> {
        let slo_ms = rule.slo_ms?;
        (self.factor > 1.0).then_some(Spare { factor: self.factor, slo_ms })
    }

    fn judge(&mut self, now: Timestamp, missed: bool) {
        let step = if missed { STEP } else { -STEP / KEPT_PER_MISS };
        self.factor = (self.factor + step).clamp(1.0, MOST);
        self.judged_at = Some(now);
    }

    fn is_due(&self, now: Timestamp, window_ms: u64) -> bool {
        self.judged_at.is_none_or(|at| now.ms_since(at) >= window_ms.max(APART_MS))
    }
}

/// Judges the latest window of requests, if it is a new one and tells of a pool that is as planned:
/// nothing starts, warms up, drains or works a backlog off, the count has stood for as long as the
/// window, and more replicas could be had.
pub(crate) fn judge(
    policy: &Policy,
    memory: &mut Memory,
    seen: &Observation,
    figures: &Seen,
    recommendations: &[Recommendation],
) {
    let Rule::Governor(Governor { slo_ms: Some(slo_ms), .. }) = policy.rule else { return };
    let now = seen.at;
    let balancer = seen.balancer.as_ref().and_then(|b| b.fresh(now, policy.timing.stale_after_ms));
    let Some(LatencyReport { window_ms, count, p99_ms, .. }) = balancer.and_then(|b| b.latency)
    else {
        return;
    };
    let changed = memory.changes.back().map(|(at, _)| *at).max(memory.removed_at);
    let stood = changed.is_none_or(|at| now.ms_since(at) > window_ms);
    let due = count >= REQUESTS_MIN && memory.headroom.is_due(now, window_ms);
    if due && stood && is_as_planned(policy, figures, recommendations) {
        memory.headroom.judge(now, p99_ms > crate::units::seconds(slo_ms) * 1_000.0);
    }
}

fn is_as_planned(policy: &Policy, figures: &Seen, recommendations: &[Recommendation]) -> bool {
    let [Recommendation { arithmetic: Arithmetic::Utilization(terms), .. }] = recommendations
    else {
        return false;
    };
    let moving = figures.starting + figures.warming + figures.draining + figures.unhealthy;
    let planned = terms.busy_cap / terms.spare.map_or(1.0, |spare| spare.factor);
    let busy = terms.busy() >= AS_PLANNED * planned * f64::from(figures.ready);
    moving == 0 && busy && figures.ready < policy.bounds.max
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::observation::{BalancerReport, EngineReport, Reading};
    use crate::policy::{Bounds, Timing};
    use crate::recommend::Utilization;

    /// What a look sees at 4 of 20 replicas, 85 % busy, whose p99 is 400 ms of 250.
    struct Look {
        at_ms: u64,
        latency: Option<LatencyReport>,
        figures: Seen,
        recommendations: Vec<Recommendation>,
    }

    fn look() -> Look {
        let utilization = Utilization {
            arrivals_per_s: 34.0,
            window_ms: 10_000,
            level_per_s: 34.0,
            level_window_ms: 60_000,
            work_s: 0.1,
            busy_cap: 0.85,
            spare: None,
        };
        Look {
            at_ms: 100_000,
            latency: Some(LatencyReport {
                window_ms: 10_000,
                count: 340,
                p50_ms: 100.0,
                p99_ms: 400.0,
            }),
            figures: Seen { ready: 4, ..Seen::default() },
            recommendations: vec![Arithmetic::Utilization(utilization).recommend()],
        }
    }

    fn take(memory: &mut Memory, look: Look) {
        let rule = Rule::Governor(Governor { slo_ms: Some(250), ..Governor::default() });
        let bounds = Bounds { min: 1, max: 20 };
        let policy = Policy { service: "web".into(), bounds, rule, timing: Timing::default() };
        let at = Timestamp::from_ms(look.at_ms);
        let report = BalancerReport { latency: look.latency, ..BalancerReport::default() };
        let seen = Observation {
            at,
            wall_ms: 0,
            engine: Reading::Taken { at, value: EngineReport::default() },
            balancer: Some(Reading::Taken { at, value: report }),
            manual: None,
            advice: None,
            failing: BTreeMap::new(),
        };
        judge(&policy, memory, &seen, &look.figures, &look.recommendations);
    }

    fn told(change: impl FnOnce(&mut Look)) -> f64 {
        let (mut memory, mut look) = (Memory::default(), look());
        change(&mut look);
        take(&mut memory, look);
        memory.headroom.factor
    }

    #[test]
    fn only_a_pool_as_planned_is_judged() {
        assert!(told(|_| ()) > 1.0);
        assert_eq!(told(|look| look.latency = None), 1.0);
        let few = |look: &mut Look| look.latency.as_mut().unwrap().count = REQUESTS_MIN - 1;
        assert_eq!(told(few), 1.0);
        assert_eq!(told(|look| look.figures.starting = 1), 1.0);
        assert_eq!(told(|look| look.figures.ready = 6), 1.0, "57 % busy");
        assert_eq!(told(|look| look.figures.ready = 20), 1.0, "at the ceiling");
        let piled = Arithmetic::Waiting { waiting: 1 }.recommend();
        assert_eq!(told(|look| look.recommendations.push(piled)), 1.0);
    }

    #[test]
    fn looks_that_come_often_judge_a_window_once() {
        let mut memory = Memory::default();
        (0..100)
            .for_each(|tenth| take(&mut memory, Look { at_ms: 100_000 + tenth * 100, ..look() }));
        assert_eq!(memory.headroom.factor, 1.0 + STEP);
        take(&mut memory, Look { at_ms: 110_000, ..look() });
        assert!(memory.headroom.factor > 1.0 + STEP);
    }

    fn after(windows: impl Iterator<Item = bool>) -> f64 {
        let mut headroom = Headroom::default();
        windows.for_each(|missed| headroom.judge(Timestamp::default(), missed));
        headroom.factor
    }

    #[test]
    fn it_comes_to_rest_where_one_window_in_twenty_misses() {
        let one_in = |every: u32| after((0..4_000).map(move |window| window % every == 0));
        assert!((1.0..1.03).contains(&one_in(25)), "{}", one_in(25));
        assert!(one_in(15) > 1.5, "{}", one_in(15));
    }

    #[test]
    fn it_stays_within_its_bounds_and_comes_back_from_both_at_once() {
        assert_eq!(after([true; 500].into_iter()), MOST);
        assert_eq!(after([false; 500].into_iter()), 1.0);
        let back = after([true; 500].into_iter().chain([false; 19]));
        assert!((back - (MOST - STEP)).abs() < 1e-9, "{back}");
        let up = after([false; 500].into_iter().chain([true]));
        assert!((up - (1.0 + STEP)).abs() < 1e-9, "{up}");
    }
}
