//! One service as the API shows it; `summary` makes the texts. A value that was not measured is
//! `None`, never 0, and every time is in wall-clock milliseconds since 1970-01-01 UTC.

use std::net::SocketAddr;

use serde::Serialize;
use utoipa::ToSchema;

use flyball_core::decision::Decision;
use flyball_core::observation::Ask;
use flyball_core::policy::{Bounds, Policy, Rule};

use crate::counters::Counters;
use crate::openapi_types;

/// One service as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// What runs its replicas: "process", "docker", ...
    pub engine: String,
    /// What spreads requests over them: "proxy", "haproxy", "none".
    pub balancer: String,
    /// Where its users reach it, such as `http://127.0.0.1:8080`; `None` if flyball does not know.
    pub address: Option<String>,
    /// The minimum and maximum number of replicas.
    #[schema(value_type = openapi_types::Bounds)]
    pub bounds: Bounds,
    /// Its policy.
    pub policy: PolicyView,
    /// The time of this view on the daemon's clock: ages count from here.
    pub now_wall_ms: i64,
    /// The latest decision; `None` before the first pass of the control loop.
    #[schema(value_type = Option<openapi_types::Decision>)]
    pub decision: Option<Decision>,
    /// What the engine last reported, while it does not respond; otherwise `None`, and also if it
    /// never responded.
    pub last_seen: Option<LastSeen>,
    /// Its replicas, in the order of their names; those that were there then while `last_seen` is.
    pub replicas: Vec<ReplicaView>,
    /// The share of its requests that may fail without a notice, in 0..1.
    pub error_limit: f64,
    /// The machines they are on, where the engine knows several; in the order of their names.
    pub nodes: Vec<NodeView>,
    /// The manual override in force.
    pub manual: Option<ManualView>,
    /// Further notices. Those that follow from the decision and from `manual` are added when the
    /// view is shown, see [`crate::notices`].
    pub notices: Vec<Notice>,
    /// What its loop has counted so far: for `/metrics` alone.
    #[serde(skip)]
    pub counters: Counters,
}

/// The numbers of replicas when the engine last responded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastSeen {
    /// When.
    pub wall_ms: i64,
    /// Ready and not draining.
    pub ready: u32,
    /// Asked for, and not ready.
    pub starting: u32,
    /// Finishing their last requests.
    pub draining: u32,
}

/// A policy as it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PolicyView {
    /// Which rule.
    pub rule: RuleName,
    /// Lines to draw into the chart of mean CPU.
    pub thresholds: Vec<Threshold>,
    /// The time within which 99 % of requests should be answered, in milliseconds; null if latency
    /// does not affect the count.
    pub slo_ms: Option<u64>,
}

/// The name of a rule, as in `flyball.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// Demand times measured work.
    Governor,
    /// Keeps mean CPU usage at a target.
    Target,
    /// Adds replicas above one threshold, removes them below another.
    Step,
    /// Follows another program.
    Advised,
    /// Changed only by manual overrides and other programs.
    External,
}

/// A line in the chart of mean CPU.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Threshold {
    /// What it means, in a few words.
    pub label: &'static str,
    /// Its height as a share of the CPU limit, in 0..1.
    pub share: f64,
}

impl PolicyView {
    /// What there is to draw of `policy`.
    pub fn of(policy: &Policy) -> Self {
        let line = |label, share| Threshold { label, share };
        let (rule, thresholds) = match &policy.rule {
            Rule::Governor(g) => (RuleName::Governor, vec![line("busy cap", g.busy_cap)]),
            Rule::Target(t) => (RuleName::Target, vec![line("target", t.cpu)]),
            Rule::Step(s) => {
                (RuleName::Step, vec![line("out at", s.out_at), line("in at", s.in_at)])
            }
            Rule::Advised(a) => {
                (RuleName::Advised, vec![line("out at", a.out_at), line("in at", a.in_at)])
            }
            Rule::External => (RuleName::External, Vec::new()),
        };
        let slo_ms = match &policy.rule {
            Rule::Governor(governor) => governor.slo_ms,
            _ => None,
        };
        Self { rule, thresholds, slo_ms }
    }
}

/// One replica as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReplicaView {
    /// Its name.
    pub id: String,
    /// What it is doing.
    pub state: ReplicaState,
    /// Why it is not ready, from its last readiness check, or how it fails once it was ready;
    /// `None` if it is fine.
    pub reason: Option<String>,
    /// When its start was requested.
    pub asked_wall_ms: i64,
    /// Share of its CPU limit that it used lately.
    pub cpu: Option<f64>,
    /// Share of recent time in which it was throttled by its CPU limit; above 1 if several
    /// processors waited at once. `None` without a limit or without a counter.
    pub held_back: Option<f64>,
    /// Requests it is working on; `None` where no balancer counts them.
    pub in_flight: Option<u32>,
    /// Where it serves.
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// The machine it is on, one of the service's `nodes`.
    pub node: Option<String>,
}

/// One machine of a cluster that has replicas of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Whether the cluster can reach it.
    pub up: bool,
    /// Why CPU usage of its replicas is missing, if that lasts.
    pub silence: Option<String>,
    /// The service's replicas on it, whatever their state.
    pub replicas: Vec<String>,
}

/// What a replica is doing: the engine's phase and the balancer's route in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Asked for, not yet ready.
    Starting,
    /// Ready to serve.
    Ready,
    /// Finishes the requests it has.
    Draining,
    /// Was ready and fails now.
    Unhealthy,
    /// Ending, on request or by itself.
    Stopping,
}

/// A manual override, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ManualView {
    /// What.
    #[schema(value_type = openapi_types::Ask)]
    pub ask: Ask,
    /// When it expires; `None` only for the count of an `external` policy.
    pub until_wall_ms: Option<i64>,
    /// Who asked.
    pub by: String,
}

/// A notice: a state that you should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notice {
    /// Which.
    pub kind: NoticeKind,
    /// Whether it needs attention now; the others are on purpose.
    pub pressing: bool,
    /// One short sentence without times; the page shows those in the reader's time zone.
    pub text: String,
    /// Since when, where that is known.
    pub since_wall_ms: Option<i64>,
    /// Until when at the latest, if it ends by itself.
    pub until_wall_ms: Option<i64>,
}

impl Notice {
    /// A state without times.
    pub fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        let pressing = kind.is_pressing();
        Self { kind, pressing, text: text.into(), since_wall_ms: None, until_wall_ms: None }
    }

    /// Something that is wrong and has no kind of its own.
    pub fn trouble(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Trouble, text)
    }

    /// The same with the time since which it is so.
    #[must_use]
    pub fn since(self, wall_ms: i64) -> Self {
        Self { since_wall_ms: Some(wall_ms), ..self }
    }

    /// The same with the time until which it is so at the latest.
    #[must_use]
    pub fn until(self, wall_ms: i64) -> Self {
        Self { until_wall_ms: Some(wall_ms), ..self }
    }
}

/// What kind of state it is; the page draws each with its own shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// No trustworthy reading.
    Blind,
    /// Starts failed one after another: the next one is delayed, or under way.
    StartsHeld,
    /// Replicas fail, or all of them share a fault.
    Sick,
    /// A replica takes too long to become ready, and none or too few serve.
    NotReady,
    /// Too many requests fail.
    Failing,
    /// Something else is wrong: the engine is busy, the journal was moved aside.
    Trouble,
    /// More replicas did not help: something else is too slow.
    Futile,
    /// Needs more than its maximum, or uses all of it.
    AtMaximum,
    /// Paused by a manual override.
    Paused,
    /// Kept at a count by a manual override.
    Pinned,
    /// A surplus is kept on purpose.
    Held,
}

impl NoticeKind {
    /// Whether it needs attention now.
    pub const fn is_pressing(self) -> bool {
        match self {
            Self::Blind
            | Self::StartsHeld
            | Self::Sick
            | Self::NotReady
            | Self::Failing
            | Self::Trouble
            | Self::Futile
            | Self::AtMaximum => true,
            Self::Paused | Self::Pinned | Self::Held => false,
        }
    }
}
