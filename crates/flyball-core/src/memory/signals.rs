//! The signals that memory and one observation add up to.

use super::Memory;
use super::readings::{is_warm, mean};
use crate::observation::{BalancerReport, EngineReport, Observation, Phase, ReplicaReport};
use crate::signals::Signals;
use crate::timing::{Timing, Windows};
use crate::units::Timestamp;

/// From a replica's first counted CPU to a mean that shows it: see `Busyness`.
const SETTLE_MS: u64 = 1_000;

impl Memory {
    /// What was seen at this look, after it was taken in. `windows` are those of the start lag as it
    /// is then.
    pub(crate) fn signals(
        &self,
        timing: &Timing,
        windows: Windows,
        observation: &Observation,
    ) -> Signals {
        let now = observation.at;
        let (start_lag_ms, start_lag_measured) = self.start_lag_ms(timing);
        let engine = observation.engine.fresh(now, timing.stale_after_ms);
        let balancer = observation.balancer.as_ref();
        let report = balancer.and_then(|b| b.fresh(now, timing.stale_after_ms));
        let mut out = Signals {
            engine_age_ms: observation.engine.value_age_ms(now),
            balancer_age_ms: balancer.and_then(|b| b.value_age_ms(now)),
            work_s: self.readings.work.per_request_s(),
            start_lag_ms,
            start_lag_measured,
            blind_since: self.guard.blind_since,
            trouble: self.trouble(timing, observation, engine),
            ..Signals::default()
        };
        if let Some(engine) = engine {
            self.count_replicas(timing, now, engine, &mut out);
            self.measure_cpu(windows, now, engine, &mut out);
        }
        if let Some(report) = report {
            self.measure_requests(windows, now, report, &mut out);
        }
        // At the first look: what an engine with a count of its own was told, or what there is beside
        // those that are there to replace others.
        let told = engine.and_then(|engine| Some(engine.count.as_ref()?.wanted));
        let successors = u32::try_from(self.rollout.successors).unwrap_or(u32::MAX);
        let there = out.committed().saturating_sub(successors);
        out.current = self.count.desired.or(told).unwrap_or(there);
        out
    }

    fn count_replicas(
        &self,
        timing: &Timing,
        now: Timestamp,
        engine: &EngineReport,
        out: &mut Signals,
    ) {
        let settled_ms = out.start_lag_ms.saturating_add(SETTLE_MS);
        for replica in &engine.replicas {
            match replica.phase {
                // It may not be stopped: all that can be done is to start another one.
                Phase::Starting if replica.protected && self.is_overdue(timing, now, replica) => {
                    out.unhealthy += 1;
                }
                Phase::Starting => count_starting(now, replica, out),
                Phase::Ready if !self.plan.serves(replica) => out.draining += 1,
                Phase::Ready => {
                    out.ready += 1;
                    out.warming += u32::from(!is_warm(now, settled_ms, replica));
                }
                Phase::Unhealthy => out.unhealthy += 1,
                Phase::Stopping => {}
            }
        }
    }

    fn measure_cpu(
        &self,
        windows: Windows,
        now: Timestamp,
        engine: &EngineReport,
        out: &mut Signals,
    ) {
        let shares = self.busy_shares(engine);
        let measured = u32::try_from(shares.len()).unwrap_or(u32::MAX);
        out.unmeasured = out.ready.saturating_sub(measured);
        out.mean_cpu = mean(&shares);
        out.held_cpu = self.readings.mean_held(self.plan.serving(engine));
        out.cpu_used = self.readings.cpu_used(now, windows.cpu_ms);
    }

    fn measure_requests(
        &self,
        windows: Windows,
        now: Timestamp,
        report: &BalancerReport,
        out: &mut Signals,
    ) {
        if let Some(rate) = self.readings.rate(now, windows) {
            out.arrivals_per_s = Some(rate.per_s);
            out.arrivals_window_ms = rate.window_ms;
            out.level_per_s = rate.level_per_s;
            out.level_window_ms = rate.level_window_ms;
        }
        let servers = report.servers.values();
        out.in_flight = servers.fold(0, |sum, server| sum.saturating_add(server.in_flight));
        out.waiting = report.waiting;
        out.last_minute = self.readings.last_minute(now);
    }
}

fn count_starting(now: Timestamp, replica: &ReplicaReport, out: &mut Signals) {
    let due_ms = out.start_lag_ms.saturating_sub(now.ms_since(replica.asked_at));
    let is_first = out.starting == 0;
    out.starting_due_ms = if is_first { due_ms } else { due_ms.min(out.starting_due_ms) };
    out.starting += 1;
}
