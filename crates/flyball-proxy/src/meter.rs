//! Counters only grow, and each request adds at most one to `errors`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flyball_core::observation::{FailureCounts, LatencyReport, WakefulRequests};

use crate::budget::TurnedAway;
use crate::latency::Window;
use crate::rejection::Rejection;
use crate::times::{Times, TimesMeter};

/// All counters of one proxy.
pub(crate) struct Meter {
    started: Instant,
    arrivals: AtomicU64,
    /// Those of them that are not ignored.
    wakeful: AtomicU64,
    /// Ignored requests that are being served.
    pub(crate) ignored: Arc<AtomicU32>,
    errors: AtomicU64,
    late: AtomicU64,
    late_after: Option<Duration>,
    refusals: [AtomicU64; Rejection::ALL.len()],
    pub(crate) turned_away: TurnedAway,
    times: Mutex<Window>,
    all_times: TimesMeter,
}

impl Meter {
    /// None yet; a request is late after `late_after`, where that is known.
    pub(crate) fn new(late_after: Option<Duration>) -> Self {
        Self {
            started: Instant::now(),
            arrivals: AtomicU64::new(0),
            wakeful: AtomicU64::new(0),
            ignored: Arc::default(),
            errors: AtomicU64::new(0),
            late: AtomicU64::new(0),
            late_after,
            refusals: Default::default(),
            turned_away: TurnedAway::default(),
            times: Mutex::new(Window::new()),
            all_times: TimesMeter::default(),
        }
    }

    /// `wakeful`: whether it keeps the service awake.
    pub(crate) fn arrived(&self, wakeful: bool) {
        self.arrivals.fetch_add(1, Relaxed);
        if wakeful {
            self.wakeful.fetch_add(1, Relaxed);
        }
    }

    /// Requests that keep the service awake, where `in_flight` are with replicas in all.
    pub(crate) fn wakeful(&self, in_flight: u32) -> WakefulRequests {
        let ignored = self.ignored.load(Relaxed);
        let arrivals = self.wakeful.load(Relaxed);
        WakefulRequests { arrivals, in_flight: in_flight.saturating_sub(ignored) }
    }

    /// The request ended in an error that a replica made.
    pub(crate) fn failed(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    /// The request was answered here.
    pub(crate) fn refused(&self, reason: Rejection) {
        self.refusals[reason as usize].fetch_add(1, Relaxed);
        // Nobody was free in time: who waited in vain is as late as can be.
        if matches!(reason, Rejection::QueueFull | Rejection::WaitLimit) {
            self.late.fetch_add(1, Relaxed);
        }
        if reason.is_error() {
            self.failed();
        }
    }

    /// A replica's answer to a request that arrived at `arrived` has ended.
    pub(crate) fn ended(&self, arrived: Instant) {
        let now = Instant::now();
        self.all_times.count(now - arrived);
        if self.late_after.is_some_and(|limit| now - arrived > limit) {
            self.late.fetch_add(1, Relaxed);
        }
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.record(now - self.started, now - arrived);
    }

    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Requests that took longer than they may; `None` where nobody said how long that is.
    pub(crate) fn late(&self) -> Option<u64> {
        self.late_after.map(|_| self.late.load(Relaxed))
    }

    /// The errors by who made them. What was not refused here came from a replica.
    pub(crate) fn failures(&self) -> FailureCounts {
        let mut counts = FailureCounts::default();
        let mut refused = 0;
        for reason in Rejection::ALL.into_iter().filter(|reason| reason.is_error()) {
            let count = self.refusals[reason as usize].load(Relaxed);
            refused += count;
            match reason {
                Rejection::QueueFull | Rejection::WaitLimit => counts.by_balancer += count,
                Rejection::ConnectFailed => counts.unreachable += count,
                Rejection::ConnectionBroken | Rejection::BadAnswer | Rejection::AnswerLimit => {
                    counts.by_replicas += count;
                }
                // The client's own doing, or no request yet: no error.
                Rejection::BadRequest
                | Rejection::UploadBroken
                | Rejection::TooManyConnections
                | Rejection::Starting
                | Rejection::UnknownHost
                | Rejection::Asleep => {}
            }
        }
        // The counters are read one after another: an error whose refusal is counted may be missing
        // yet.
        counts.by_replicas += self.errors().saturating_sub(refused);
        counts
    }

    pub(crate) fn refusals(&self) -> BTreeMap<Rejection, u64> {
        Rejection::ALL.into_iter().map(|r| (r, self.refusals[r as usize].load(Relaxed))).collect()
    }

    pub(crate) fn times(&self) -> Times {
        self.all_times.report()
    }

    pub(crate) fn latency(&self) -> Option<LatencyReport> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.report(self.started.elapsed())
    }
}
