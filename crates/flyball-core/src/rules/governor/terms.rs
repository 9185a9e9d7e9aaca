//! The terms of the governor's recommendations: a recorded one gives its count again.

use serde::{Deserialize, Serialize};

use crate::line::Line;
use crate::memory::ObjectiveTerm;
use crate::units::seconds;

/// Share of their time that replicas work while a backlog is worked off.
const DRAINING_SHARE: f64 = 0.95;

/// Terms of the utilization recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Utilization {
    /// Arrivals per second over `window_ms`.
    pub arrivals_per_s: f64,
    /// The time those were taken over.
    pub window_ms: u64,
    /// Arrivals per second over `level_window_ms`.
    pub level_per_s: f64,
    /// The time those were taken over.
    pub level_window_ms: u64,
    /// Replica-seconds that one request costs.
    pub work_s: f64,
    /// The largest share of its time that a replica should be busy.
    pub busy_cap: f64,
    /// What an objective adds to that; `None` without one.
    #[serde(default)]
    pub objective: Option<ObjectiveTerm>,
}

impl Utilization {
    /// Replicas' worth of work that arrives.
    pub fn busy(&self) -> f64 {
        self.arrivals_per_s.max(self.level_per_s) * self.work_s
    }

    /// Replicas that do `slack` times that work at the cap, and those beyond.
    pub(in crate::rules) fn demand(&self, slack: f64) -> f64 {
        let busy = self.busy() * slack;
        match self.objective {
            Some(objective) => objective.replicas(busy, self.busy_cap),
            None => busy / self.busy_cap,
        }
    }

    /// One request's part of those that the load was told by: the least that it can be off; 0
    /// without any.
    pub(super) fn one_request(&self) -> f64 {
        let (per_s, window_ms) = if self.arrivals_per_s >= self.level_per_s {
            (self.arrivals_per_s, self.window_ms)
        } else {
            (self.level_per_s, self.level_window_ms)
        };
        let requests = per_s * seconds(window_ms);
        if requests >= 1.0 { 1.0 / requests } else { 0.0 }
    }
}

impl Utilization {
    pub(in crate::rules) fn line(&self) -> Line {
        let per_s = self.arrivals_per_s;
        let window_s = seconds(self.window_ms);
        let level_per_s = self.level_per_s;
        let level_s = seconds(self.level_window_ms);
        let work_s = self.work_s;
        let busy = self.busy();
        let text = format!(
            "{per_s:.1}/s over {window_s:.1} s (level {level_per_s:.1}/s over {level_s:.0} s) \
             x {work_s:.4} replica-s = {busy:.2} busy"
        );
        let terms = match self.objective {
            Some(objective) => objective.terms(self.busy_cap),
            None => format!(", at most {:.0} %", self.busy_cap * 100.0),
        };
        Line::new("utilization", text + &terms)
    }
}

/// Terms of the backlog recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Backlog {
    /// Requests waiting.
    pub waiting: u32,
    /// Replica-seconds that one request costs.
    pub work_s: f64,
    /// Replicas' worth of work that arrives.
    pub busy: f64,
    /// Ready replicas.
    pub ready: u32,
    /// Seconds until new capacity serves: the start lag, or what is left of it to the oldest of the
    /// replicas on their way.
    pub due_s: f64,
    /// Seconds in which the backlog is to be worked off.
    pub work_off_s: f64,
    /// The backlog counted at most, in replica-seconds.
    pub most: f64,
}

impl Backlog {
    /// Replica-seconds to work off: what waits, and what will come to wait until help is there.
    fn backlog(&self) -> f64 {
        let short = (self.busy - f64::from(self.ready)).max(0.0);
        (f64::from(self.waiting) * self.work_s + short * self.due_s).min(self.most)
    }

    /// Replicas that serve what arrives and work the backlog off in time.
    pub(in crate::rules) fn demand(&self) -> f64 {
        self.busy / DRAINING_SHARE + self.backlog() / self.work_off_s
    }

    pub(in crate::rules) fn line(&self) -> Line {
        let Self { waiting, busy, ready, due_s, work_off_s, .. } = self;
        let backlog = self.backlog();
        Line::new(
            "backlog",
            format!(
                "{waiting} waiting, {busy:.2} busy on {ready} ready for {due_s:.1} s: \
                 {backlog:.2} replica-s in {work_off_s:.1} s + arrivals at 95 %"
            ),
        )
    }
}

/// Terms of the recommendation by CPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CpuTerms {
    /// Replicas' worth of CPU in use.
    pub used: f64,
    /// Replicas' worth of time held back by CPU limits, on top of that; `None` without a reading.
    #[serde(default)]
    pub held: Option<f64>,
    /// The share to come down to.
    pub share: f64,
}

impl CpuTerms {
    pub(in crate::rules) fn demand(&self, slack: f64) -> f64 {
        (self.used + self.held.unwrap_or(0.0)) * slack / self.share
    }

    pub(in crate::rules) fn line(&self) -> Line {
        let mut text = format!("{:.2} replicas busy", self.used);
        if let Some(held) = self.held.filter(|held| *held > 0.0) {
            text += &format!(" + {held:.2} throttled by their limits");
        }
        Line::new("cpu", text + &format!(", at most {:.0} % of each", self.share * 100.0))
    }
}

/// Terms of the recommendation for requests that pile up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PileUp {
    /// Ready replicas.
    pub ready: u32,
    /// Requests being worked on and waiting.
    pub requests: u32,
    /// Requests that one replica may hold before it counts as a pile.
    pub per_replica: u32,
}

impl PileUp {
    pub(in crate::rules) fn count(&self) -> u32 {
        self.ready + self.ready.div_ceil(2)
    }

    pub(in crate::rules) fn line(&self) -> Line {
        let Self { ready, requests, per_replica } = self;
        let text = format!(
            "{requests} requests on {ready} ready, over {per_replica} each: half as many again"
        );
        Line::new("pile-up", text)
    }
}
