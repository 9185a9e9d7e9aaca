//! One replica: how far it has come, what it works on, what CPU it has used. `in_flight` is the
//! number of its requests, worked on and queued, and CPU grows with the time in which it works and
//! with nothing else.

use std::collections::VecDeque;

use flyball_core::observation::{Phase, Route};
use flyball_core::units::ReplicaId;

use super::arrivals::{MS, nanos, whole};
use super::{Cold, Setup};

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// When it arrived.
    pub(super) due_ns: u64,
    /// How long a replica at full speed works on it.
    pub(super) work_ns: u64,
}

/// What becomes of a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicaEnd {
    /// It serves until it is stopped.
    #[default]
    Lives,
    /// It never becomes ready.
    Hangs,
    /// It ends so many milliseconds after its start.
    EndsAfterMs(u64),
}

/// Something that happens to a replica at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) at_ns: u64,
    pub(super) slot: usize,
    pub(super) generation: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Ready,
    Ends,
    /// Without requests it is gone now.
    Stops,
    /// With requests it is gone now.
    Killed,
}

/// One replica, and its place at the balancer. A place is used again once both are gone.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its name.
    pub id: ReplicaId,
    /// How far it has come; none once it is gone.
    pub phase: Option<Phase>,
    /// Whether the balancer sends it requests; none where it does not know it.
    pub route: Option<Route>,
    /// When it was asked for.
    pub asked_ns: u64,
    /// When it became ready.
    pub ready_ns: Option<u64>,
    /// Requests it works on and holds.
    pub in_flight: u32,
    /// Whether its owner forbids removing it.
    pub protected: bool,
    /// Counts lives of this place: what was planned in an earlier one is void.
    pub(super) generation: u32,
    /// Counts the times it lost all its requests: work begun before that is void.
    pub(super) losses: u32,
    pub(super) working: u32,
    pub(super) queue: VecDeque<Request>,
    pub(super) served: u64,
    pub(super) first_served_ns: Option<u64>,
    pub(super) slowness: f64,
    used_ns: f64,
    accrued_ns: u64,
}

impl Replica {
    pub(super) fn asked(id: ReplicaId, now_ns: u64, slowness: f64, before: (u32, u32)) -> Self {
        let (generation, losses) = before;
        Self {
            id,
            phase: Some(Phase::Starting),
            route: None,
            asked_ns: now_ns,
            ready_ns: None,
            in_flight: 0,
            protected: false,
            generation,
            losses,
            working: 0,
            queue: VecDeque::new(),
            served: 0,
            first_served_ns: None,
            slowness,
            used_ns: 0.0,
            accrued_ns: now_ns,
        }
    }

    /// Whether the engine or the balancer still knows it.
    pub fn exists(&self) -> bool {
        self.phase.is_some() || self.route.is_some()
    }

    /// Whether it gets new requests.
    pub(super) fn is_open(&self, balanced: bool) -> bool {
        self.phase == Some(Phase::Ready) && (!balanced || self.route == Some(Route::Routed))
    }

    /// Work takes so many times as long now.
    pub(super) fn slowness_at(&self, now_ns: u64, cold: Cold) -> f64 {
        let warm = self.ready_ns.is_none_or(|at| now_ns >= at + cold.ms * MS);
        if warm { self.slowness } else { self.slowness * cold.factor }
    }

    /// Brings the CPU counter up to `now_ns`.
    pub(super) fn accrue(&mut self, now_ns: u64, setup: &Setup) {
        let share = match self.phase {
            Some(Phase::Starting) => setup.cold.start_share,
            _ => f64::from(self.working) / f64::from(setup.workers),
        };
        self.used_ns += nanos(now_ns - self.accrued_ns) * share * setup.cpu_limit_cores;
        self.accrued_ns = now_ns;
    }

    /// CPU time used, in nanoseconds, as of the last [`Self::accrue`].
    pub(super) fn cpu_ns(&self) -> u64 {
        whole(self.used_ns)
    }

    /// The counter begins again.
    pub(super) fn forget_cpu(&mut self) {
        self.used_ns = 0.0;
    }
}
