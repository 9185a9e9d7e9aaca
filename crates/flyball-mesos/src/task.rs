//! One task, from its offer to its end.
//!
//! A task that was asked to end never becomes ready again.

use std::net::SocketAddr;

use flyball_core::observation::{CpuCounter, Phase, ReplicaReport, ThrottleCounter};
use flyball_core::units::{ReplicaId, Timestamp};

/// A silent agent's counters count for so long, in milliseconds: three polls and a deadline.
pub(crate) const COUNTER_MS_MAX: u64 = 5_000;

/// What is known of one task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) service: String,
    pub(crate) replica: ReplicaId,
    pub(crate) agent: String,
    pub(crate) cpus: f64,
    pub(crate) asked_at: Timestamp,
    /// Where it serves; known once its agent is.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) stage: Stage,
    pub(crate) ready_at: Option<Timestamp>,
    /// It was asked to end.
    pub(crate) ending: bool,
    /// When Mesos was last asked to end it.
    pub(crate) killed_at: Option<Timestamp>,
    /// When anything was last heard of it, or it was last asked after.
    pub(crate) heard_at: Timestamp,
    pub(crate) used: Option<Used>,
}

/// How far Mesos is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Sent to the master, which has not spoken of it yet.
    Sent,
    Staging,
    Running,
    Killing,
    /// Its agent does not answer.
    Unreachable,
}

/// What its agent counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Used {
    /// When the answer came, by the clock of this machine.
    pub(crate) heard_at: Timestamp,
    pub(crate) cpu: CpuCounter,
    pub(crate) throttled: Option<ThrottleCounter>,
}

impl Task {
    pub(crate) fn phase(&self) -> Phase {
        match self.stage {
            _ if self.ending => Phase::Stopping,
            Stage::Killing => Phase::Stopping,
            Stage::Unreachable => Phase::Unhealthy,
            Stage::Running if self.ready_at.is_some() => Phase::Ready,
            Stage::Sent | Stage::Staging | Stage::Running => Phase::Starting,
        }
    }

    /// One that should end on an unreachable agent waits until the agent is back.
    pub(crate) fn is_reported(&self) -> bool {
        !(self.ending && self.stage == Stage::Unreachable)
    }

    pub(crate) fn report(&self, now: Timestamp) -> ReplicaReport {
        let used = self.used.filter(|used| now.ms_since(used.heard_at) <= COUNTER_MS_MAX);
        ReplicaReport {
            id: self.replica.clone(),
            phase: self.phase(),
            asked_at: self.asked_at,
            ready_at: self.ready_at,
            address: self.address.filter(|_| self.stage == Stage::Running),
            cpu: used.map(|used| used.cpu),
            throttled: used.and_then(|used| used.throttled),
            cpu_limit_cores: self.cpus,
            protected: false,
            may_sleep: false,
            generation: None,
        }
    }
}
