//! The result of a load run. `requests` = `served` + `failed` + `unfinished`.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

use super::connections::Refusal;
use super::{Exchange, SLOW};

/// A request begun this much after its time counts as late: a tenth of what people notice, and ten
/// times the runtime's clock tick.
const LATE: Duration = Duration::from_millis(10);

/// How many failures are kept word for word.
const FAILURES_KEPT: usize = 10;

/// Highest latency told apart from higher ones, in microseconds: ten minutes.
const HIGHEST_US: u64 = 600_000_000;

/// Where a load stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Time since the start.
    pub elapsed: Duration,
    /// Requests planned in all.
    pub planned: u64,
    /// Requests begun.
    pub sent: u64,
    /// Answered in full with 2xx.
    pub served: u64,
    /// Answered otherwise, broken off, or not answered in time.
    pub failed: u64,
}

/// One request that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// When it was due, in seconds from the start.
    pub due_s: f64,
    /// The answer's status; none if there was no whole head.
    pub status: Option<u16>,
    /// The `x-flyball-reason` of the answer, or what went wrong on the way.
    pub reason: String,
}

/// What became of a load.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// Whether it was stopped before all was sent and answered.
    pub stopped: bool,
    /// How long it took.
    pub elapsed_s: f64,
    /// Requests sent.
    pub requests: u64,
    /// Answered in full with 2xx.
    pub served: u64,
    /// Of these, answered later than [`SLOW`].
    pub slow: u64,
    /// Answered otherwise, broken off, or not answered in time.
    pub failed: u64,
    /// Without an answer when the load was stopped.
    pub unfinished: u64,
    /// The first few that failed.
    pub failures: Vec<Failure>,
    /// Median latency of those served, from the scheduled time; none if none was served.
    pub p50_ms: Option<f64>,
    /// Latency that 99 of 100 served stayed within; none if none was served.
    pub p99_ms: Option<f64>,
    /// Highest latency of those served; none if none was served.
    pub max_ms: Option<f64>,
    /// Requests due in each second.
    pub sent_per_second: Vec<u64>,
    /// Those of them that were begun more than 10 ms late: the load's own fault.
    pub late_per_second: Vec<u64>,
    /// The latest that any was begun after its time.
    pub latest_ms: f64,
    /// Most requests on their way at once, each on a connection of its own.
    pub most_connections: usize,
}

/// The book while the load runs.
pub(super) struct Book {
    planned: u64,
    latencies: Histogram<u64>,
    latest: Duration,
    report: LoadReport,
}

impl Book {
    /// An empty book for `planned` requests.
    pub(super) fn new(planned: usize) -> Result<Self> {
        let latencies = Histogram::new_with_bounds(1, HIGHEST_US, 3)?;
        let report = LoadReport {
            stopped: false,
            elapsed_s: 0.0,
            requests: 0,
            served: 0,
            slow: 0,
            failed: 0,
            unfinished: 0,
            failures: Vec::new(),
            p50_ms: None,
            p99_ms: None,
            max_ms: None,
            sent_per_second: Vec::new(),
            late_per_second: Vec::new(),
            latest_ms: 0.0,
            most_connections: 0,
        };
        Ok(Self { planned: planned as u64, latencies, latest: Duration::ZERO, report })
    }

    /// Notes a request that was due `due` after the start and is begun `late` after that.
    pub(super) fn sent(&mut self, due: Duration, late: Duration) {
        self.report.requests += 1;
        self.latest = self.latest.max(late);
        let second = usize::try_from(due.as_secs()).unwrap_or(usize::MAX);
        if self.report.sent_per_second.len() <= second {
            self.report.sent_per_second.resize(second + 1, 0);
            self.report.late_per_second.resize(second + 1, 0);
        }
        self.report.sent_per_second[second] += 1;
        self.report.late_per_second[second] += u64::from(late > LATE);
    }

    /// Notes what became of a request.
    pub(super) fn ended(&mut self, start: Instant, exchange: Exchange) {
        match exchange.outcome {
            Ok(()) => {
                let latency = exchange.ended.duration_since(exchange.due);
                let latency_us = u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US);
                self.latencies.saturating_record(latency_us);
                self.report.slow += u64::from(latency > SLOW);
                self.report.served += 1;
            }
            Err(Refusal { status, reason }) => {
                self.report.failed += 1;
                if self.report.failures.len() < FAILURES_KEPT {
                    let due_s = (exchange.due - start).as_secs_f64();
                    self.report.failures.push(Failure { due_s, status, reason });
                }
            }
        }
    }

    /// Notes that the load was stopped.
    pub(super) fn stopped(&mut self) {
        self.report.stopped = true;
    }

    /// Where the load stands `elapsed` after its start.
    pub(super) fn progress(&self, elapsed: Duration) -> Progress {
        let LoadReport { requests: sent, served, failed, .. } = self.report;
        Progress { elapsed, planned: self.planned, sent, served, failed }
    }

    /// Ends the book.
    pub(super) fn close(self, elapsed: Duration, most_connections: usize) -> LoadReport {
        let Self { latencies, latest, report, .. } = self;
        let quantile = |q| (!latencies.is_empty()).then(|| in_ms(latencies.value_at_quantile(q)));
        LoadReport {
            elapsed_s: elapsed.as_secs_f64(),
            unfinished: report.requests - report.served - report.failed,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
            latest_ms: latest.as_secs_f64() * 1000.0,
            most_connections,
            ..report
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "latencies stay far below 2^52 us")]
fn in_ms(us: u64) -> f64 {
    us as f64 / 1000.0
}
