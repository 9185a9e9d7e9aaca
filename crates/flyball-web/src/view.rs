//! One service as it is shown: what is known now, ready to be written as JSON.
//!
//! Decides nothing; the sentences are made in `words`. Invariant: a figure that was not measured
//! is `None`, never 0, and every time is wall-clock milliseconds since 1970-01-01 UTC.

use std::net::SocketAddr;

use serde::Serialize;
use utoipa::ToSchema;

use flyball_core::decision::Decision;
use flyball_core::observation::Ask;
use flyball_core::policy::{Bounds, Policy, Rule};

use crate::counters::Counters;
use crate::shapes;

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
    /// How few and how many replicas there may be.
    #[schema(value_type = shapes::Bounds)]
    pub bounds: Bounds,
    /// How its count is recommended.
    pub policy: PolicyView,
    /// The time on the daemon's clock when this was put together: ages are counted from here.
    pub now_wall_ms: i64,
    /// The latest decision; `None` before the first look.
    #[schema(value_type = Option<shapes::Decision>)]
    pub decision: Option<Decision>,
    /// What the engine said last, while it says nothing; `None` while it does, and where it never
    /// did.
    pub last_seen: Option<LastSeen>,
    /// Its replicas, in the order of their names; those that were there then while `last_seen` is.
    pub replicas: Vec<ReplicaView>,
    /// The share of its requests that may fail before that is a notice, in 0..1.
    pub error_limit: f64,
    /// The machines they are on, where the engine knows several; in the order of their names.
    pub nodes: Vec<NodeView>,
    /// What was asked for by hand, while it lasts.
    pub manual: Option<ManualView>,
    /// What else must not be missed. What follows from the decision and from `manual` is added at
    /// the door, see [`crate::notices`].
    pub notices: Vec<Notice>,
    /// What its loop has counted so far: for `/metrics` alone.
    #[serde(skip)]
    pub counters: Counters,
}

/// How many replicas there were when the engine last said so.
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
    /// The time in which 99 of 100 requests should be answered, in milliseconds; null where latency
    /// changes no count.
    pub slo_ms: Option<u64>,
}

/// The name of a rule, as in `flyball.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// Demand times measured work.
    Governor,
    /// A mean CPU to keep.
    Target,
    /// One more above a threshold, one less below another.
    Step,
    /// By what another program says.
    Advised,
    /// Only by hand or by another program.
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
    /// Why it is not ready, as its readiness check was last answered, or how it fails once it was
    /// ready; `None` where nothing is held against it.
    pub reason: Option<String>,
    /// When it was asked for.
    pub asked_wall_ms: i64,
    /// Share of its CPU limit that it used lately.
    pub cpu: Option<f64>,
    /// Share of the time in which its CPU limit held it back lately; above 1 where several
    /// processors waited at once. `None` where nothing limits it, or nobody counts.
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
    /// Whether the cluster hears of it.
    pub up: bool,
    /// Why CPU times of its replicas are missing, once that lasts.
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
    /// It was ready and fails.
    Unhealthy,
    /// Told to end, or leaving by itself.
    Stopping,
}

/// What was asked for by hand, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ManualView {
    /// What.
    #[schema(value_type = shapes::Ask)]
    pub ask: Ask,
    /// When it ends by itself; `None` only for the count of an `external` policy.
    pub until_wall_ms: Option<i64>,
    /// Who asked.
    pub by: String,
}

/// A state that must not be missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notice {
    /// Which.
    pub kind: NoticeKind,
    /// Whether somebody should look at it now; the others are so on purpose.
    pub pressing: bool,
    /// One short sentence without times, which the page shows in its reader's zone.
    pub text: String,
    /// Since when, where that is known.
    pub since_wall_ms: Option<i64>,
    /// Until when at the latest, where it ends by itself.
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
    /// Starts failed one after another: the next one is put off, or under way.
    StartsHeld,
    /// Replicas fail, or all of them share a fault.
    Sick,
    /// A replica takes longer to become ready than it should, and none or too few serve.
    NotReady,
    /// More requests fail than may.
    Failing,
    /// Something else is wrong: the engine is busy, the journal was moved aside.
    Trouble,
    /// More replicas brought nothing: something else is too slow.
    Futile,
    /// Needs more than its bounds allow, or uses all of them.
    AtMaximum,
    /// Kept as it is by hand.
    Paused,
    /// Kept at a count by hand.
    Pinned,
    /// A surplus is kept on purpose.
    Held,
}

impl NoticeKind {
    /// Whether somebody should look at it now.
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
