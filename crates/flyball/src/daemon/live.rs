//! The snapshot that a control loop publishes after each look.

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::decision::Decision;
use flyball_core::observation::{BalancerReport, EngineReport};
use flyball_core::units::ReplicaId;
use flyball_web::{HeldView, NodeView, Spread};

use super::counters::LoopCounters;

/// The last look at one service.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) decision: Decision,
    pub(crate) engine: Option<EngineReport>,
    /// The machines that replicas are on, as [`super::engines::Engine::nodes`] gives them.
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) balancer: Option<BalancerReport>,
    /// Why the balancer turns clients away, while it does.
    pub(crate) crowded: Option<String>,
    /// Requests that wait at flyball for a replica, while any do.
    pub(crate) held: Option<HeldView>,
    /// What the balancer answered itself, by reason.
    pub(crate) refusals: Vec<(&'static str, u64)>,
    /// Share of the CPU limit used, and share of the time in which the limit throttled the replica.
    pub(crate) shares: BTreeMap<ReplicaId, (Option<f64>, Option<f64>)>,
    /// What the plan drains, whether the balancer has begun to or not.
    pub(crate) draining: BTreeSet<ReplicaId>,
    pub(crate) counters: LoopCounters,
    /// Request times, where the balancer tells them apart.
    pub(crate) latency: Option<Spread>,
}
