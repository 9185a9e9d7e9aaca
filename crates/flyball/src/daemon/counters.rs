//! Counters of one control loop, for metrics and for the demo's result. They only grow.

use std::collections::BTreeMap;

use flyball_core::sick::Cause;
use flyball_web::{Counters, LOOK_ENDS_S, Spread};

/// What a service's loop has done so far.
#[derive(Clone, Debug)]
pub(crate) struct LoopCounters {
    /// How long its looks took, in seconds.
    pub(crate) looks: Spread,
    /// Decisions that raised the count.
    pub(crate) outs: u64,
    /// Decisions that lowered it.
    pub(crate) ins: u64,
    /// Replica-milliseconds paid for: starting, ready, draining and stopping alike.
    pub(crate) replica_ms: f64,
    /// Replicas that became ready.
    pub(crate) starts: u64,
    /// Time that those took to start, all together.
    pub(crate) starts_ms: u64,
    /// Looks without a word from the engine.
    pub(crate) engine_silent: u64,
    /// Looks without a word from the balancer, where there is one.
    pub(crate) balancer_silent: u64,
    /// Replicas that ended without being asked to.
    pub(crate) exits: u64,
    /// Replicas that fell sick, by who said so.
    pub(crate) sick: BTreeMap<Cause, u64>,
    /// Decisions that broke an invariant and were not carried out.
    pub(crate) refused: u64,
}

impl Default for LoopCounters {
    fn default() -> Self {
        Self {
            looks: Spread::new(&LOOK_ENDS_S),
            outs: 0,
            ins: 0,
            replica_ms: 0.0,
            starts: 0,
            starts_ms: 0,
            engine_silent: 0,
            balancer_silent: 0,
            exits: 0,
            sick: BTreeMap::new(),
            refused: 0,
        }
    }
}

impl LoopCounters {
    /// The figures of a run that began at `before`: scalings, cost and starts.
    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            outs: self.outs - before.outs,
            ins: self.ins - before.ins,
            replica_ms: self.replica_ms - before.replica_ms,
            starts: self.starts - before.starts,
            starts_ms: self.starts_ms - before.starts_ms,
            ..self
        }
    }

    /// The same for monitors; what only a balancer counts is left open.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            looks: self.looks.clone(),
            outs: self.outs,
            ins: self.ins,
            replica_s: self.replica_ms / 1000.0,
            engine_silent: self.engine_silent,
            balancer_silent: self.balancer_silent,
            exits: self.exits,
            sick: self.sick.clone(),
            refused: self.refused,
            arrivals: None,
            failed_requests: None,
            failures: None,
            latency: None,
            refusals: Vec::new(),
        }
    }
}
