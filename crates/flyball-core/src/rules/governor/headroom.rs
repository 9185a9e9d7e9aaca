//! Headroom beyond the cap, for a service that misses its latency at the cap. The cap is a model:
//! requests of equal work on equal replicas. Where work varies widely or a replica is slow,
//! requests wait at a lower utilization already, and only their measured latency shows it. The
//! factor is between 1 and [`MOST`]. It changes only by what was measured while the pool was as
//! planned, and by one step for each window of requests.
//!
//! Example: limit 250 ms. A window with a p99 of 400 ms makes 1.10 of 1.08; the next 19 that keep
//! the limit make 1.08 of it again.

use super::Governor;
use crate::memory::Memory;
use crate::observation::LatencyReport;
use crate::rules::{Arithmetic, Context, Recommendation};
use crate::units::seconds;

/// A window says something about one request in a hundred from twice a hundred on.
const REQUESTS_MIN: u64 = 200;
/// A pool less busy than this part of what was planned misses for another reason than too few
/// replicas, and one that keeps its limit then proves nothing.
const AS_PLANNED: f64 = 0.7;

/// Judges the latest window of requests, if it is a new one and tells of a pool that is as planned:
/// nothing starts, warms up, drains or works a backlog off, the count has stood for as long as the
/// window, and more replicas could be had.
pub(in crate::rules) fn judge(
    rule: &Governor,
    memory: &mut Memory,
    context: &Context<'_>,
    recommendations: &[Recommendation],
) {
    let Some(slo_ms) = rule.slo_ms else { return };
    let now = context.observation.at;
    let balancer = context.observation.balancer.as_ref();
    let report = balancer.and_then(|b| b.fresh(now, context.timing.stale_after_ms));
    let Some(LatencyReport { window_ms, count, p99_ms, .. }) = report.and_then(|r| r.latency)
    else {
        return;
    };
    let changed = memory.count.changed_at().max(memory.plan.removed_at);
    let stood = changed.is_none_or(|at| now.ms_since(at) > window_ms);
    let due = count >= REQUESTS_MIN && memory.headroom.is_due(now, window_ms);
    if due && stood && is_as_planned(context, recommendations) {
        memory.headroom.judge(now, p99_ms > seconds(slo_ms) * 1_000.0);
    }
}

fn is_as_planned(context: &Context<'_>, recommendations: &[Recommendation]) -> bool {
    let signals = context.signals;
    let [Recommendation { arithmetic: Arithmetic::Utilization(terms), .. }] = recommendations
    else {
        return false;
    };
    let moving = signals.starting + signals.warming + signals.draining + signals.unhealthy;
    let planned = terms.busy_cap / terms.spare.map_or(1.0, |spare| spare.factor);
    let busy = terms.busy() >= AS_PLANNED * planned * f64::from(signals.ready);
    moving == 0 && busy && signals.ready < context.bounds.max
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Bounds;
    use crate::memory::Headroom;
    use crate::memory::headroom::{MOST, STEP};
    use crate::observation::{BalancerReport, EngineReport, Observation, Reading};
    use crate::rules::Utilization;
    use crate::signals::Signals;
    use crate::timing::{Timing, Windows};
    use crate::units::Timestamp;

    /// What a look sees at 4 of 20 replicas, 85 % busy, whose p99 is 400 ms of 250.
    struct Look {
        at_ms: u64,
        latency: Option<LatencyReport>,
        signals: Signals,
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
            signals: Signals { ready: 4, ..Signals::default() },
            recommendations: vec![Arithmetic::Utilization(utilization).recommend()],
        }
    }

    fn take(memory: &mut Memory, look: Look) {
        let rule = Governor { slo_ms: Some(250), ..Governor::default() };
        let at = Timestamp::from_ms(look.at_ms);
        let report = BalancerReport { latency: look.latency, ..BalancerReport::default() };
        let engine = Reading::Taken { at, value: EngineReport::default() };
        let context = Context {
            bounds: Bounds { min: 1, max: 20 },
            timing: &Timing::default(),
            windows: Windows::new(0, None, None),
            observation: &Observation {
                balancer: Some(Reading::Taken { at, value: report }),
                ..Observation::new(at, engine)
            },
            signals: &look.signals,
        };
        judge(&rule, memory, &context, &look.recommendations);
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
        assert_eq!(told(|look| look.signals.starting = 1), 1.0);
        assert_eq!(told(|look| look.signals.ready = 6), 1.0, "57 % busy");
        assert_eq!(told(|look| look.signals.ready = 20), 1.0, "at the ceiling");
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
