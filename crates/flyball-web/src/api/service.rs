//! One service as the API shows it; `summary` makes the texts. A value that was not measured is
//! `None`, never 0, and every time is in wall-clock milliseconds since 1970-01-01 UTC.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use flyball_core::decision::Decision;
use flyball_core::generation::Generation;
use flyball_core::observation::Ask;
use flyball_core::policy::{Bounds, Policy, Rule};
use flyball_core::rollout::Rollout;
use flyball_core::rules::CpuLine;

use super::notice::Notice;
use super::rollout::{DeployView, GenerationView};
use super::sleep::SleepView;
use crate::counters::Counters;

/// A service with the sentences about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// The current and the desired state, in one line.
    pub summary: String,
    /// What decided its count, in one line; null before the first pass of the control loop.
    pub why: Option<String>,
    /// Whether it sleeps; null where it never does, and before the first pass.
    pub sleep: Option<SleepView>,
    /// All else.
    #[serde(flatten)]
    pub view: ServiceView,
}

/// One service as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    pub bounds: Bounds,
    /// Its policy.
    pub policy: PolicyView,
    /// The time of this view on the daemon's clock: ages count from here.
    pub now_wall_ms: i64,
    /// The latest decision; `None` before the first pass of the control loop.
    pub decision: Option<Decision>,
    /// The requests that wait at flyball for a replica; `None` while none does.
    pub held: Option<HeldView>,
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
    /// How far the replacement of replicas by those of another generation has come, while there is
    /// one.
    pub rollout: Option<Rollout>,
    /// The last deploy or rollback, if there was one.
    pub deploy: Option<DeployView>,
    /// What replicas are made of and were made of, the newest last; empty where the engine knows no
    /// generations.
    pub generations: Vec<GenerationView>,
    /// Further notices. Those that follow from the decision and from `manual` are added when the
    /// view is shown, see [`crate::notices`].
    pub notices: Vec<Notice>,
    /// What its loop has counted so far: for `/metrics` alone.
    #[serde(skip)]
    pub counters: Counters,
}

/// Requests that wait at flyball for a replica: at its proxy, or at the activator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldView {
    /// How many.
    pub requests: u32,
    /// Since when the first of them does.
    pub since_wall_ms: i64,
}

/// The numbers of replicas when the engine last responded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Which rule.
    pub rule: RuleName,
    /// Lines to draw into the chart of mean CPU.
    pub thresholds: Vec<Threshold>,
    /// The time within which all but a promised share of requests should be answered, in
    /// milliseconds; null if lateness does not affect the count.
    pub slo_ms: Option<u64>,
}

/// The name of a rule, as in `flyball.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

impl fmt::Display for RuleName {
    /// The same word as in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A line in the chart of mean CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Threshold {
    /// What it means, in a few words.
    pub label: String,
    /// Its height as a share of the CPU limit, in 0..1.
    pub share: f64,
}

impl From<CpuLine> for Threshold {
    fn from(CpuLine { label, share }: CpuLine) -> Self {
        Self { label: label.to_owned(), share }
    }
}

impl PolicyView {
    /// What there is to draw of `policy`.
    pub fn of(policy: &Policy) -> Self {
        let rule = match &policy.rule {
            Rule::Governor(_) => RuleName::Governor,
            Rule::Target(_) => RuleName::Target,
            Rule::Step(_) => RuleName::Step,
            Rule::Advised(_) => RuleName::Advised,
            Rule::External => RuleName::External,
        };
        let thresholds = policy.rule.cpu_lines().into_iter().map(Threshold::from).collect();
        Self {
            rule,
            thresholds,
            slo_ms: policy.rule.objective().map(|objective| objective.within_ms),
        }
    }
}

/// One replica as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaView {
    /// Its name.
    pub id: String,
    /// What it is doing.
    pub state: ReplicaState,
    /// What it is made of; `None` where the engine does not tell.
    pub generation: Option<Generation>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

impl fmt::Display for ReplicaState {
    /// The same word as in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A manual override, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManualView {
    /// What.
    pub ask: Ask,
    /// When it expires; `None` only for the count of an `external` policy.
    pub until_wall_ms: Option<i64>,
    /// Who asked.
    pub by: String,
}
