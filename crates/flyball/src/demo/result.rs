//! The result of a demo: requests, latency, and cost compared with two other ways to size the pool.
//! A value that was calculated is marked as such.

use serde_json::json;

use super::rival::{self, Rival};
use super::simulated::{self, Measured, Simulated};
use super::trace::Shape;
use super::{SEED, SHARE, WORK_MS};
use crate::daemon::{LoopCounters, ServiceState};
use crate::failure::Failure;
use crate::load::{LoadReport, SLOW};
use crate::output::table;

/// The pool is sized by the same cap that the governor keeps.
const CAP: f64 = 0.85;

/// A finished demo.
pub(super) struct Outcome {
    pub(super) load: LoadReport,
    run_s: f64,
    counters: LoopCounters,
    peak_pool: u32,
    step: Rival,
    /// Of a whole run of processes.
    simulated: Option<Simulated>,
}

impl Outcome {
    pub(super) fn of(
        load: LoadReport,
        shape: &Shape,
        counters: &LoopCounters,
        slot: &ServiceState,
    ) -> Result<Self, Failure> {
        let work_s = nominal_work_s();
        let lag_ms = slot.live().map_or(100, |live| live.decision.signals.start_lag_ms);
        let bounds = slot.settings().policy.bounds;
        let step = rival::step(&load.sent_per_second, work_s, lag_ms, shape.run(), bounds)?;
        Ok(Self {
            run_s: load.elapsed_s,
            counters: counters.clone(),
            peak_pool: flyball_core::units::replicas_for(shape.peak() * work_s / CAP),
            step,
            load,
            simulated: None,
        })
    }

    /// With what the simulator says of the same load; nothing if the run was cut short.
    pub(super) fn with_simulated(self, shape: &Shape, slot: &ServiceState) -> Self {
        let arrivals = shape.arrivals(SEED);
        let whole = !self.load.stopped;
        let simulated = whole.then(|| {
            simulated::simulate(
                &slot.settings().policy,
                &arrivals,
                shape.run(),
                self.measured(slot),
            )
        });
        Self { simulated: simulated.flatten(), ..self }
    }

    /// What the run measured; a guess where it was over too soon.
    #[expect(clippy::cast_precision_loss, reason = "the starts of a demo stay far below 2^52 ms")]
    fn measured(&self, slot: &ServiceState) -> Measured {
        let LoopCounters { starts, starts_ms, .. } = self.counters;
        let start_ms = if starts > 0 { starts_ms as f64 / starts as f64 } else { 100.0 };
        let work_s = slot.live().and_then(|live| live.decision.signals.work_s);
        Measured { start_ms, work_s: work_s.unwrap_or(nominal_work_s()) }
    }

    #[expect(clippy::cast_precision_loss, reason = "requests of a demo stay far below 2^52")]
    fn slow_pct(&self) -> f64 {
        let slow = self.load.slow + self.load.failed + self.load.unfinished;
        slow as f64 / self.load.requests.max(1) as f64 * 100.0
    }

    fn replica_s(&self) -> f64 {
        self.counters.replica_ms / 1000.0
    }

    fn peak_replica_s(&self) -> f64 {
        f64::from(self.peak_pool) * self.run_s
    }

    pub(super) fn json(&self) -> Result<String, Failure> {
        let tenth = |seconds: f64| (seconds * 10.0).round() / 10.0;
        let thousandth = |percent: f64| (percent * 1_000.0).round() / 1_000.0;
        let object = json!({
            "requests": self.load.requests,
            "failed": self.load.failed,
            "unfinished": self.load.unfinished,
            "failures": self.load.failures,
            "p50_ms": self.load.p50_ms,
            "p99_ms": self.load.p99_ms,
            "over_limit_pct": thousandth(self.slow_pct()),
            "over_limit_pct_simulated": self.simulated.map(|told| thousandth(told.slow_pct)),
            "scale_outs": self.counters.outs,
            "scale_ins": self.counters.ins,
            "replica_seconds": tenth(self.replica_s()),
            "replica_seconds_simulated": self.simulated.map(|told| tenth(told.replica_s)),
            "replica_seconds_peak_pool": tenth(self.peak_replica_s()),
            "replica_seconds_step": tenth(self.step.replica_s),
            "longest_wait_s_step": tenth(self.step.longest_wait_s),
            "seconds": tenth(self.run_s),
            "stopped": self.load.stopped,
        });
        serde_json::to_string(&object).map_err(Failure::new)
    }

    pub(super) fn text(&self) -> String {
        let ms = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
        let row = |what: &str, value: String| vec![what.to_owned(), value];
        let mut rows = vec![
            row("requests", self.load.requests.to_string()),
            row("failed", self.load.failed.to_string()),
            row("median latency", ms(self.load.p50_ms)),
            row("99 % within", ms(self.load.p99_ms)),
            row(
                &format!("over {} ms", SLOW.as_millis()),
                self.beside(format!("{:.1} %", self.slow_pct()), |told| {
                    format!("{:.1} %", told.slow_pct)
                }),
            ),
            row("scale actions", format!("{} out, {} in", self.counters.outs, self.counters.ins)),
            row(
                "replica-seconds",
                self.beside(format!("{:.0}", self.replica_s()), |told| {
                    format!("{:.0}", told.replica_s)
                }),
            ),
            row(
                "  of a fixed pool",
                self.compared(
                    self.peak_replica_s(),
                    &format!("{} replicas, sized for the peak", self.peak_pool),
                ),
            ),
            row("  of the 2014 rule", self.compared(self.step.replica_s, &self.step.in_words())),
        ];
        for failure in &self.load.failures {
            rows.push(row("  failed", format!("at {:.1} s: {}", failure.due_s, failure.reason)));
        }
        table(&rows)
    }

    fn beside(&self, measured: String, of: impl Fn(Simulated) -> String) -> String {
        match self.simulated {
            Some(told) => format!("{measured} (simulated: {})", of(told)),
            None => measured,
        }
    }

    fn compared(&self, other_s: f64, what: &str) -> String {
        let saved = (1.0 - self.replica_s() / other_s) * 100.0;
        let more_or_less = if saved >= 0.0 { "less" } else { "more" };
        format!("{other_s:.0}: flyball used {:.0} % {more_or_less} ({what})", saved.abs())
    }
}

/// What one request is meant to cost, in replica-seconds.
fn nominal_work_s() -> f64 {
    f64::from(WORK_MS) / 1000.0 / SHARE
}
