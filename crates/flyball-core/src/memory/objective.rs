//! What an objective has taught about a service, and how it says so in a recommendation.

use serde::{Deserialize, Serialize};

use crate::estimate::growth::{Growth, Misses};
use crate::estimate::trim::Trim;
use crate::line::Line;
use crate::observation::BalancerReport;
use crate::units::{Timestamp, seconds};

/// Start lags over which the share that was late is remembered (to 1/e), of at least `LAG_MIN_S`.
const LATE_LAGS: f64 = 100.0;
const LAG_MIN_S: f64 = 10.0;

/// The running figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectiveMemory {
    pub(crate) growth: Growth,
    pub(crate) trim: Trim,
    pub(crate) looked_at: Option<Timestamp>,
    /// What the balancer said last, to tell the difference.
    pub(crate) counted: Option<Counted>,
    pub(crate) lateness: Lateness,
    /// What of growth's history is of an earlier run, in milliseconds.
    pub(super) kept_ms: u64,
    /// Requests of late, and those of them that were late: both fade.
    arrived: f64,
    late: f64,
}

/// Counters as they stood at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) epoch: u64,
    pub(crate) arrivals: u64,
    pub(crate) late: Option<u64>,
    pub(crate) waiting: u32,
}

impl Counted {
    pub(crate) fn of(report: &BalancerReport) -> Self {
        let BalancerReport { epoch, arrivals, late, waiting, .. } = *report;
        Self { epoch, arrivals, late, waiting }
    }
}

/// What tells which requests were late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// Nothing does.
    #[default]
    Unknown,
    /// The balancer counts them.
    Counted,
    /// The queue at the balancer.
    Queue,
}

/// The term of a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ObjectiveTerm {
    /// The share of requests that may be late.
    pub late: f64,
    /// A request that waits longer is late, in milliseconds.
    pub within_ms: u64,
    /// So many times the load is planned for: it may grow so much within a start lag.
    pub growth: f64,
    /// The time over which that was learnt, in milliseconds.
    pub learnt_ms: u64,
    /// What of that was before the last restart, in milliseconds.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub kept_ms: u64,
    /// Rises beyond the plan; `None` where there were none, or too little history tells.
    #[serde(default)]
    pub misses: Option<Misses>,
    /// So much of a replica is kept against chance, for a load of one replica and more.
    pub reserve: f64,
    /// So many times as many replicas, by what was late.
    pub trim: f64,
    /// What tells what was late.
    pub lateness: Lateness,
    /// The share that was late recently; `None` where nothing tells or too few came.
    pub was_late: Option<f64>,
}

impl ObjectiveMemory {
    /// What of growth's history is of an earlier run.
    pub(crate) fn kept_ms(&self) -> u64 {
        self.kept_ms
    }

    /// Takes in that `share` of `arrived` requests was late.
    pub(crate) fn count(&mut self, share: f64, arrived: f64, elapsed_ms: u64, lag_ms: u64) {
        let memory_s = LATE_LAGS * seconds(lag_ms).max(LAG_MIN_S);
        let keep = (-seconds(elapsed_ms) / memory_s).exp();
        self.arrived = self.arrived * keep + arrived;
        self.late = self.late * keep + arrived * share;
    }

    /// The share that was late recently, from so many requests on as tell it.
    pub(crate) fn was_late(&self, most: f64) -> Option<f64> {
        // Twice as many as one late one is expected among, as for any percentile.
        (self.arrived * most >= 2.0).then(|| self.late / self.arrived)
    }
}

impl ObjectiveTerm {
    /// Replicas for `busy` replicas' worth of work that are at most `cap` busy.
    pub fn replicas(&self, busy: f64, cap: f64) -> f64 {
        let grown = busy * self.growth;
        (grown / cap + self.reserve * grown.min(1.0)) * self.trim
    }

    /// The terms, as they go on from the work that arrives.
    pub(crate) fn terms(&self, cap: f64) -> String {
        let Self { growth, reserve, trim, .. } = self;
        format!(
            " x {growth:.2} for growth within a start, at most {:.0} %, + {reserve:.1} for chance, \
             x {trim:.2} by what was late",
            cap * 100.0
        )
    }

    /// What is aimed at, what came of it, and what the terms rest on.
    pub(crate) fn line(&self) -> Line {
        let late = self.late * 100.0;
        let within_ms = self.within_ms;
        let was = match (self.was_late, self.lateness) {
            (_, Lateness::Unknown) => {
                "nothing tells what is late, so that only growth is learnt".to_owned()
            }
            (None, _) => "too few requests to tell yet".to_owned(),
            (Some(was), source) => {
                let by = if source == Lateness::Queue { "by the queue" } else { "counted" };
                let verdict = if was > self.late { "not kept" } else { "kept" };
                format!("{verdict}, {:.2} % were of late ({by})", was * 100.0)
            }
        };
        let learnt = match (self.learnt_ms, self.kept_ms) {
            (0, _) => "no history yet".to_owned(),
            (all, 0) => span(all),
            (all, kept) => format!("{}, {} of it before the restart", span(all), span(kept)),
        };
        let text =
            format!("at most {late} % later than {within_ms} ms: {was}; growth from {learnt}");
        Line::new("objective", text)
    }

    /// Replicas that would serve the highest load of late without a new start, where each request
    /// is so much work.
    pub(crate) fn replicas_at_top(&self, work_s: f64, cap: f64) -> Option<f64> {
        let busy = self.misses?.top_per_s * work_s;
        Some(Self { growth: 1.0, ..*self }.replicas(busy, cap))
    }
}

/// A time in its largest unit that tells something.
pub(crate) fn span(ms: u64) -> String {
    match ms / 1000 {
        0 => format!("{ms} ms"),
        s @ 1..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}
