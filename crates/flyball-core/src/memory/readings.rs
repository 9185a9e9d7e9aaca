//! What readings add up to from look to look. A reading that repeats itself adds nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanMemory;
use super::replica_history::{ReplicaHistory, Worked};
use super::requests::Requests;
use crate::estimate::arrivals::{Arrivals, Rate};
use crate::estimate::lag::StartLags;
use crate::estimate::usage::Usage;
use crate::estimate::work::Work;
use crate::observation::{BalancerReport, EngineReport, Phase, ReplicaReport, ServerReport};
use crate::timing::Windows;
use crate::trouble::LastMinute;
use crate::units::{ReplicaId, Timestamp, seconds};

/// What `take_in` remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Readings {
    /// The first look, or the first after a time in which nothing was looked at.
    pub(super) since: Option<Timestamp>,
    /// The last look.
    pub(super) seen_at: Option<Timestamp>,
    /// How long starts take.
    pub(super) lags: StartLags,
    /// What a request costs.
    pub(super) work: Work,
    arrivals: Arrivals,
    requests: Requests,
    /// Replicas' worth of CPU in use.
    usage: Usage,
    replicas: BTreeMap<ReplicaId, ReplicaHistory>,
}

/// One look at the engine, with what is needed to judge its counters.
pub(super) struct EngineLook<'a> {
    pub(super) now: Timestamp,
    pub(super) engine: &'a EngineReport,
    pub(super) balancer: Option<&'a BalancerReport>,
    pub(super) plan: &'a PlanMemory,
    pub(super) stale_ms: u64,
    pub(super) start_lag_ms: u64,
    pub(super) cpu_window_ms: u64,
}

/// How busy replicas were since the last look: the sums of their shares and of the times those are
/// over, and how many they are.
#[derive(Clone, Copy, Debug, Default)]
struct RecentUsage {
    shares: f64,
    spans_ms: f64,
    count: f64,
}

impl Readings {
    pub(super) fn see_balancer(&mut self, at: Timestamp, balancer: &BalancerReport) {
        self.arrivals.see(at, balancer.epoch, balancer.arrivals);
        self.requests.see(at, balancer);
    }

    pub(super) fn see_engine(&mut self, look: &EngineLook<'_>) {
        let EngineLook { now, engine, balancer, plan, .. } = *look;
        let is_idle = balancer.is_some_and(|b| b.servers.values().all(|s| s.in_flight == 0));
        self.work.fade(self.seen_at.map_or(0, |before| now.ms_since(before)));
        let mut lately = RecentUsage::default();
        for replica in &engine.replicas {
            let server = balancer.and_then(|b| b.servers.get(&replica.id));
            let Some(worked) = self.see_replica(look, replica, server) else { continue };
            if plan.serves(replica) && worked.span_ms > 0 {
                lately.add(worked.busy_s, worked.span_ms);
            }
            // What fails quickly would make requests look cheap.
            if let Some(served) = worked.served.filter(|_| replica.phase != Phase::Unhealthy) {
                self.work.see(worked.busy_s, served, is_idle);
            }
        }
        // Names are unique, so that a longer memory is one of replicas that are gone.
        if self.replicas.len() > engine.replicas.len() {
            let there: BTreeSet<&ReplicaId> = engine.replicas.iter().map(|r| &r.id).collect();
            self.replicas.retain(|id, _| there.contains(id));
        }
        if lately.count > 0.0 {
            let ready = u32::try_from(plan.serving(engine).count()).unwrap_or(u32::MAX);
            let share = lately.shares / lately.count;
            let span_ms = lately.spans_ms / lately.count;
            self.usage.see(now, share, span_ms, ready, look.cpu_window_ms);
        }
    }

    fn see_replica(
        &mut self,
        look: &EngineLook<'_>,
        replica: &ReplicaReport,
        server: Option<&ServerReport>,
    ) -> Option<Worked> {
        let EngineLook { now, balancer, start_lag_ms, .. } = *look;
        let served = balancer.zip(server).map(|(b, s)| (b.epoch, s.served));
        let history = self.replicas.entry(replica.id.clone()).or_default();
        history.see_answers(now, served);
        let worked = history.worked(look.stale_ms, replica, served);
        if self.since.is_some_and(|since| replica.asked_at >= since)
            && let Some(lag_ms) = history.start_lag_ms(now, replica, balancer.is_some(), server)
        {
            self.lags.see(lag_ms);
        }
        if let Some(counter) = replica.cpu.filter(|_| is_warm(now, start_lag_ms, replica)) {
            history.see_cpu(counter, replica.throttled, look.cpu_window_ms);
        }
        worked
    }

    /// Forgets what windows hold, but not what was learnt about replicas and requests.
    pub(super) fn begin_again(&mut self, now: Timestamp) {
        self.since = Some(now);
        self.arrivals = Arrivals::default();
        self.usage = Usage::default();
        self.requests = Requests::default();
    }

    /// Errors and arrivals of the last `window_ms`; `None` without a reading.
    pub(crate) fn errors_and_arrivals(&self, now: Timestamp, window_ms: u64) -> Option<(f64, f64)> {
        let (errors, _) = self.requests.failed(now, window_ms)?;
        let (per_s, span_ms) = self.arrivals.mean(now, window_ms)?;
        Some((errors, per_s * seconds(span_ms)))
    }

    /// Requests answered without an error per second over the last `window_ms`, 10 s at most;
    /// `None` without a reading.
    pub(crate) fn answered_per_s(&self, now: Timestamp, window_ms: u64) -> Option<f64> {
        let (answered, span_ms) = self.requests.answered(now, window_ms)?;
        Some(answered / seconds(span_ms))
    }

    /// Whether the balancer saw `replica` answer a request within the last `ms`.
    pub(crate) fn answered_within(&self, now: Timestamp, ms: u64, replica: &ReplicaId) -> bool {
        let answered_at = self.replicas.get(replica).and_then(ReplicaHistory::answered_at);
        answered_at.is_some_and(|at| now.ms_since(at) <= ms)
    }

    pub(super) fn last_minute(&self, now: Timestamp) -> Option<LastMinute> {
        let (per_s, span_ms) = self.arrivals.mean(now, Requests::window_ms())?;
        self.requests.last_minute(now, per_s * seconds(span_ms))
    }

    /// Mean arrivals per second over the last `window_ms`; `None` without a reading.
    pub(crate) fn recent_per_s(&self, now: Timestamp, window_ms: u64) -> Option<f64> {
        Some(self.arrivals.mean(now, window_ms)?.0)
    }

    pub(super) fn rate(&self, now: Timestamp, windows: Windows) -> Option<Rate> {
        self.arrivals.rate(now, windows.floor_ms, windows.level_ms)
    }

    pub(super) fn cpu_used(&self, now: Timestamp, window_ms: u64) -> Option<f64> {
        self.usage.replicas(now, window_ms)
    }

    pub(super) fn busy_share(&self, replica: &ReplicaReport) -> Option<f64> {
        Some(self.replicas.get(&replica.id)?.busy_cores()? / replica.cpu_limit_cores)
    }

    pub(super) fn held_share(&self, replica: &ReplicaReport) -> Option<f64> {
        self.replicas.get(&replica.id)?.held_cores()
    }

    /// Mean time held back of the replicas with a CPU reading, as a share; `None` if none of them
    /// has been held back or not, as far as anybody knows.
    ///
    /// Each counts for no more than it has left (a replica is never more than busy), and for no
    /// more than it used: bursts of a replica that otherwise idles (a collection of garbage on
    /// eight threads) are held back at any load, and would ask for more replicas without end.
    pub(super) fn mean_held<'a>(
        &self,
        serving: impl Iterator<Item = &'a ReplicaReport>,
    ) -> Option<f64> {
        let mut is_known = false;
        let measured = serving.filter_map(|replica| {
            let history = self.replicas.get(&replica.id)?;
            let used = history.busy_cores()? / replica.cpu_limit_cores;
            let held = history.held_cores();
            is_known |= held.is_some();
            Some(held.unwrap_or(0.0).min(used).min(1.0 - used).max(0.0))
        });
        mean(&measured.collect::<Vec<_>>()).filter(|_| is_known)
    }
}

impl RecentUsage {
    fn add(&mut self, busy_s: f64, span_ms: u64) {
        self.shares += busy_s / seconds(span_ms);
        self.spans_ms += seconds(span_ms) * 1_000.0;
        self.count += 1.0;
    }
}

/// Whether a replica's CPU is that of its work. What it burns while it starts, and for one start
/// lag after (caches fill, code compiles), says nothing about load.
pub(super) fn is_warm(now: Timestamp, lag_ms: u64, replica: &ReplicaReport) -> bool {
    replica.ready_at.is_some_and(|at| now.ms_since(at) > lag_ms)
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 replicas")]
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}
