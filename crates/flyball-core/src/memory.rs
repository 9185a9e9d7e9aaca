//! What a service's decisions carry from one look to the next. Memory only ever adds caution: with
//! a fresh memory (after a restart) decisions are safe, because surpluses are held until the
//! windows are full.

mod failures;
pub(crate) mod headroom;
mod replica_history;
mod requests;
mod scale_out_trial;
mod trouble;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::estimate::arrivals::{Arrivals, Rate};
use crate::estimate::lag::StartLags;
use crate::estimate::usage::Usage;
use crate::estimate::window::WindowMax;
use crate::estimate::work::Work;
use crate::health::Sick;
use crate::observation::{
    BalancerReport, EngineReport, Observation, Phase, ReplicaReport, Route, ServerReport,
};
use crate::policy::Policy;
use crate::signals::Signals;
use crate::trouble::LastMinute;
use crate::units::{ReplicaId, Timestamp, seconds};

use replica_history::ReplicaHistory;
use requests::Requests;

pub use failures::Failures;
pub use headroom::{Headroom, HeadroomTerm};
pub use scale_out_trial::{Futile, ScaleOutTrial};

/// A first answer later than this after readiness was not waited for: no request came sooner.
const FIRST_ANSWER_MS: u64 = 1_000;
/// From a replica's first counted CPU to a mean that shows it: see `Busyness`.
const SETTLE_MS: u64 = 1_000;
/// Higher numbers in names are not counted: with a start each millisecond, this takes 8,000 years.
const NUMBER_MAX: u64 = 1 << 48;

/// The memory of one service. Starts empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The first look, or the first after a time in which nothing was looked at.
    pub since: Option<Timestamp>,
    /// The count of the last decision.
    pub desired: Option<u32>,
    /// When the last decision changed the count, and the replicas it added (or removed).
    pub changes: VecDeque<(Timestamp, i64)>,
    /// Counts that were still needed, over the hold window.
    pub needed: WindowMax,
    /// `u32::MAX` minus the counts recommended, over the scale-out window: its maximum is their
    /// minimum.
    pub floor_of_recommended: WindowMax,
    /// By how much the hold window is widened, since removals proved too early.
    pub hold_factor: f64,
    /// When the factor last changed.
    pub hold_factor_at: Option<Timestamp>,
    /// When a ready replica was last removed.
    pub removed_at: Option<Timestamp>,
    /// The count that a pause keeps, while there is one.
    pub paused_at: Option<u32>,
    /// When errors last explained a fall of the load.
    pub tainted_at: Option<Timestamp>,
    /// When a replica that failed last explained a fall of the load.
    #[serde(default)]
    pub sick_at: Option<Timestamp>,
    /// What raising the count brings, while requests wait.
    #[serde(default)]
    pub trial: Option<ScaleOutTrial>,
    /// Since when no reading has been trustworthy.
    pub blind_since: Option<Timestamp>,
    /// Replicas that fail.
    #[serde(default)]
    pub sick: BTreeMap<ReplicaId, Sick>,
    /// A fault that all replicas share, for which none of them is taken out.
    #[serde(default)]
    pub shared_fault: Option<String>,
    /// Replicas being drained, and since when.
    pub draining: BTreeMap<ReplicaId, Timestamp>,
    /// Replicas that were asked for since the engine's last report was made, and when.
    pub asked: BTreeMap<ReplicaId, Timestamp>,
    /// Where each replica was ordered to be routed to.
    pub routed: BTreeMap<ReplicaId, SocketAddr>,
    /// Starts that failed one after another.
    pub failures: Failures,
    /// The number of the next replica to be named.
    pub next_number: u64,
    /// Arrivals at the balancer.
    pub arrivals: Arrivals,
    /// What a request costs.
    pub work: Work,
    /// What is kept beyond the governor's cap.
    #[serde(default)]
    pub headroom: Headroom,
    /// Replicas' worth of CPU in use.
    #[serde(default)]
    pub usage: Usage,
    /// How long starts take.
    pub lags: StartLags,
    #[serde(default)]
    requests: Requests,
    seen_at: Option<Timestamp>,
    replicas: BTreeMap<ReplicaId, ReplicaHistory>,
}

/// How busy replicas were since the last look: the sums of their shares and of the times those are
/// over, and how many they are.
#[derive(Clone, Copy, Debug, Default)]
struct RecentUsage {
    shares: f64,
    spans_ms: f64,
    count: f64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            since: None,
            desired: None,
            changes: VecDeque::new(),
            needed: WindowMax::default(),
            floor_of_recommended: WindowMax::default(),
            hold_factor: 1.0,
            hold_factor_at: None,
            removed_at: None,
            paused_at: None,
            tainted_at: None,
            sick_at: None,
            trial: None,
            blind_since: None,
            sick: BTreeMap::new(),
            shared_fault: None,
            draining: BTreeMap::new(),
            asked: BTreeMap::new(),
            routed: BTreeMap::new(),
            failures: Failures::default(),
            next_number: 1,
            arrivals: Arrivals::default(),
            work: Work::default(),
            headroom: Headroom::default(),
            usage: Usage::default(),
            lags: StartLags::default(),
            requests: Requests::default(),
            seen_at: None,
            replicas: BTreeMap::new(),
        }
    }
}

impl Memory {
    /// The start lag in use, and whether it was measured.
    pub fn start_lag_ms(&self, policy: &Policy) -> (u64, bool) {
        match self.lags.p90_ms() {
            Some(lag_ms) => (lag_ms.max(1), true),
            None => (policy.timing.start_lag_prior_ms.max(1), false),
        }
    }

    /// Errors and arrivals of the last `window_ms`; `None` without a reading.
    pub fn errors_and_arrivals(&self, now: Timestamp, window_ms: u64) -> Option<(f64, f64)> {
        let (errors, _) = self.requests.failed(now, window_ms)?;
        let (per_s, span_ms) = self.arrivals.mean(now, window_ms)?;
        Some((errors, per_s * seconds(span_ms)))
    }

    /// Requests answered without an error per second over the last `window_ms`, 2 min at most;
    /// `None` without a reading.
    pub fn answered_per_s(&self, now: Timestamp, window_ms: u64) -> Option<f64> {
        let (answered, span_ms) = self.requests.answered(now, window_ms)?;
        Some(answered / seconds(span_ms))
    }

    fn last_minute(&self, now: Timestamp) -> Option<LastMinute> {
        let (per_s, span_ms) = self.arrivals.mean(now, Requests::window_ms())?;
        self.requests.last_minute(now, per_s * seconds(span_ms))
    }

    fn rate(&self, policy: &Policy, now: Timestamp) -> Option<Rate> {
        let windows = policy.windows(self.start_lag_ms(policy).0);
        self.arrivals.rate(now, windows.floor_ms, windows.level_ms)
    }

    /// The share of its CPU limit that `replica` uses; `None` without a reading.
    pub fn busy_share(&self, replica: &ReplicaReport) -> Option<f64> {
        Some(self.replicas.get(&replica.id)?.busyness.cores()? / replica.cpu_limit_cores)
    }

    /// The same of each ready replica that is not draining and has a reading.
    pub fn busy_shares(&self, engine: &EngineReport) -> Vec<f64> {
        self.serving(engine).filter_map(|r| self.busy_share(r)).collect()
    }

    /// The share of its time in which the CPU limit of `replica` held it back, over the same time
    /// as its CPU; `None` without a reading. Above 1 where several processors waited at once.
    pub fn held_share(&self, replica: &ReplicaReport) -> Option<f64> {
        self.replicas.get(&replica.id)?.held.cores()
    }

    /// Mean time held back of the replicas with a CPU reading, as a share; `None` if none of them
    /// has been held back or not, as far as anybody knows.
    ///
    /// Each counts for no more than it has left (a replica is never more than busy), and for no
    /// more than it used: bursts of a replica that otherwise idles (a collection of garbage on
    /// eight threads) are held back at any load, and would ask for more replicas without end.
    fn mean_held(&self, engine: &EngineReport) -> Option<f64> {
        let measured = self.serving(engine).filter_map(|replica| {
            let past = self.replicas.get(&replica.id)?;
            Some((past.busyness.cores()? / replica.cpu_limit_cores, past.held.cores()))
        });
        let measured: Vec<(f64, Option<f64>)> = measured.collect();
        measured.iter().find(|(_, held)| held.is_some())?;
        let counted = |&(used, held): &(f64, Option<f64>)| {
            held.unwrap_or(0.0).min(used).min(1.0 - used).max(0.0)
        };
        mean(&measured.iter().map(counted).collect::<Vec<_>>())
    }

    /// Whether `replica` has not become ready within the start limit. The time begins anew with a
    /// memory: one that an earlier run started long ago has only just been asked whether it is
    /// ready.
    pub(crate) fn is_overdue(
        &self,
        policy: &Policy,
        now: Timestamp,
        replica: &ReplicaReport,
    ) -> bool {
        let since = replica.asked_at.max(self.since.unwrap_or(now));
        replica.phase == Phase::Starting && now.ms_since(since) > policy.timing.start_limit_ms
    }

    fn serving<'a>(&'a self, engine: &'a EngineReport) -> impl Iterator<Item = &'a ReplicaReport> {
        let counts =
            |r: &&ReplicaReport| r.phase == Phase::Ready && !self.draining.contains_key(&r.id);
        engine.replicas.iter().filter(counts)
    }

    /// Takes in one look and says what it saw.
    pub fn take_in(&mut self, policy: &Policy, observation: &Observation) -> Signals {
        let now = observation.at;
        self.since.get_or_insert(now);
        let stale_ms = policy.timing.stale_after_ms;
        let engine = observation.engine.fresh(now, stale_ms);
        let balancer = observation.balancer.as_ref().and_then(|b| b.fresh(now, stale_ms));
        if let (Some(balancer), Some(at)) = (balancer, taken_at(observation)) {
            self.see_balancer(at, balancer);
        }
        if let Some(engine) = engine {
            self.see_engine(policy, now, engine, balancer);
        }
        self.seen_at = Some(now);
        self.summarize(policy, observation, engine, balancer)
    }

    /// After a time in which nothing was looked at (flyball or its machine stood still), what
    /// windows hold is too old to remove anything by, and patience has not been used up: that
    /// time did not pass for whoever drains or is sick.
    pub fn bridge_gap(&mut self, policy: &Policy, now: Timestamp) {
        let Some(gap_ms) = self.seen_at.map(|at| now.ms_since(at)) else { return };
        if gap_ms <= policy.timing.stale_after_ms {
            return;
        }
        self.since = Some(now);
        self.arrivals = Arrivals::default();
        self.usage = Usage::default();
        self.requests = Requests::default();
        self.draining.values_mut().for_each(|since| *since = since.plus_ms(gap_ms));
        self.sick.values_mut().for_each(|one| one.since = one.since.plus_ms(gap_ms));
    }

    /// Whether the balancer saw `replica` answer a request within the last `ms`.
    pub(crate) fn answered_within(&self, now: Timestamp, ms: u64, replica: &ReplicaId) -> bool {
        let answered_at = self.replicas.get(replica).and_then(|past| past.answered_at());
        answered_at.is_some_and(|at| now.ms_since(at) <= ms)
    }

    fn see_balancer(&mut self, at: Timestamp, balancer: &BalancerReport) {
        self.arrivals.see(at, balancer.epoch, balancer.arrivals);
        self.requests.see(at, balancer);
    }

    fn see_engine(
        &mut self,
        policy: &Policy,
        now: Timestamp,
        engine: &EngineReport,
        balancer: Option<&BalancerReport>,
    ) {
        let (lag_ms, _) = self.start_lag_ms(policy);
        let window_ms = policy.cpu_window_ms(lag_ms);
        let stale_ms = policy.timing.stale_after_ms;
        let idle = balancer.is_some_and(|b| b.servers.values().all(|s| s.in_flight == 0));
        self.work.fade(self.seen_at.map_or(0, |before| now.ms_since(before)));
        if !self.draining.is_empty() {
            // A replica that became protected while it drained comes back.
            let may_go = engine.replicas.iter().filter(|r| !r.protected);
            let may_go: BTreeSet<&ReplicaId> = may_go.map(|r| &r.id).collect();
            self.draining.retain(|id, _| may_go.contains(id));
        }
        // A server may outlive its replica: its name is taken, too.
        let servers = balancer.iter().flat_map(|b| b.servers.keys());
        let names = engine.replicas.iter().map(|r| &r.id).chain(servers);
        // Somebody else's container may be called anything, and must not end the numbers.
        let numbers = names.filter_map(ReplicaId::number).filter(|number| *number < NUMBER_MAX);
        self.next_number = self.next_number.max(numbers.max().map_or(1, |used| used + 1));
        let mut lately = RecentUsage::default();
        for replica in &engine.replicas {
            let server = balancer.and_then(|b| b.servers.get(&replica.id));
            self.adopt_drain(now, replica, server);
            let served = balancer.zip(server).map(|(b, s)| (b.epoch, s.served));
            let counter = replica.cpu.filter(|_| is_warm(now, lag_ms, replica));
            let serving = replica.phase == Phase::Ready && !self.draining.contains_key(&replica.id);
            let past = self.replicas.entry(replica.id.clone()).or_default();
            past.see_answers(now, served);
            if let Some(worked) = past.worked(stale_ms, replica, served) {
                if serving && worked.span_ms > 0 {
                    lately.add(worked.busy_s, worked.span_ms);
                }
                // What fails quickly would make requests look cheap.
                if let Some(served) = worked.served.filter(|_| replica.phase != Phase::Unhealthy) {
                    self.work.see(worked.busy_s, served, idle);
                }
            }
            if self.since.is_some_and(|since| replica.asked_at >= since)
                && let Some(lag_ms) = past.start_lag_ms(now, replica, balancer.is_some(), server)
            {
                self.lags.see(lag_ms);
            }
            if let Some(counter) = counter {
                past.see_cpu(counter, replica.throttled, window_ms);
            }
        }
        // Names are unique, so that a longer memory is one of replicas that are gone.
        if self.replicas.len() > engine.replicas.len() {
            let there: BTreeSet<&ReplicaId> = engine.replicas.iter().map(|r| &r.id).collect();
            self.replicas.retain(|id, _| there.contains(id));
        }
        if lately.count > 0.0 {
            let ready = u32::try_from(self.serving(engine).count()).unwrap_or(u32::MAX);
            let (share, span_ms) = (lately.shares / lately.count, lately.spans_ms / lately.count);
            self.usage.see(now, share, span_ms, ready, window_ms);
        }
        self.failures.see(now, engine, self.next_number);
    }

    /// A drain that an earlier run began goes on.
    fn adopt_drain(
        &mut self,
        now: Timestamp,
        replica: &ReplicaReport,
        server: Option<&ServerReport>,
    ) {
        let first = self.seen_at.is_none();
        if first && !replica.protected && server.is_some_and(|s| s.route == Route::Draining) {
            self.draining.insert(replica.id.clone(), now);
        }
    }

    /// Takes a start for failed that has not become ready in time: once, however often the order to
    /// end it has to be given. `answered` is what its readiness check was last answered.
    pub(crate) fn give_up(
        &mut self,
        now: Timestamp,
        replica: &ReplicaReport,
        answered: Option<&String>,
    ) {
        let past = self.replicas.entry(replica.id.clone()).or_default();
        if !std::mem::replace(&mut past.given_up, true) {
            let took_ms = now.ms_since(replica.asked_at);
            let mut why = format!("{} was not ready after {} s", replica.id, took_ms / 1000);
            if let Some(answered) = answered {
                why += &format!(": {answered}");
            }
            self.failures.give_up(now, &replica.id, self.next_number, took_ms, why);
        }
    }

    fn summarize(
        &self,
        policy: &Policy,
        observation: &Observation,
        engine: Option<&EngineReport>,
        balancer: Option<&BalancerReport>,
    ) -> Signals {
        let (start_lag_ms, start_lag_measured) = self.start_lag_ms(policy);
        let rate = balancer.and_then(|_| self.rate(policy, observation.at));
        let shares = engine.map(|e| self.busy_shares(e)).unwrap_or_default();
        let mut out = Signals {
            engine_age_ms: observation
                .engine
                .value()
                .map(|_| observation.engine.age_ms(observation.at)),
            balancer_age_ms: observation
                .balancer
                .as_ref()
                .and_then(|b| b.value().map(|_| b.age_ms(observation.at))),
            mean_cpu: mean(&shares),
            held_cpu: engine.and_then(|e| self.mean_held(e)),
            cpu_used: engine.and_then(|_| {
                self.usage.replicas(observation.at, policy.cpu_window_ms(start_lag_ms))
            }),
            arrivals_per_s: rate.map(|r| r.per_s),
            arrivals_window_ms: rate.map_or(0, |r| r.window_ms),
            level_per_s: rate.map_or(0.0, |r| r.level_per_s),
            level_window_ms: rate.map_or(0, |r| r.level_window_ms),
            waiting: balancer.map_or(0, |b| b.waiting),
            in_flight: balancer.map_or(0, in_flight),
            work_s: self.work.per_request_s(),
            start_lag_ms,
            start_lag_measured,
            last_minute: balancer.and_then(|_| self.last_minute(observation.at)),
            trouble: self.trouble(policy, observation, engine),
            ..Signals::default()
        };
        for replica in engine.iter().flat_map(|e| &e.replicas) {
            match replica.phase {
                // It may not be stopped: all that can be done is to start another one.
                Phase::Starting
                    if replica.protected && self.is_overdue(policy, observation.at, replica) =>
                {
                    out.unhealthy += 1;
                }
                Phase::Starting => {
                    let due_ms =
                        start_lag_ms.saturating_sub(observation.at.ms_since(replica.asked_at));
                    let first = out.starting == 0;
                    out.starting_due_ms =
                        if first { due_ms } else { due_ms.min(out.starting_due_ms) };
                    out.starting += 1;
                }
                Phase::Ready if self.draining.contains_key(&replica.id) => out.draining += 1,
                Phase::Ready => {
                    out.ready += 1;
                    out.warming += u32::from(!is_warm(
                        observation.at,
                        start_lag_ms.saturating_add(SETTLE_MS),
                        replica,
                    ));
                }
                Phase::Unhealthy => out.unhealthy += 1,
                Phase::Stopping => {}
            }
        }
        let measured = u32::try_from(shares.len()).unwrap_or(u32::MAX);
        out.unmeasured = out.ready.saturating_sub(measured);
        // At the first look: what an engine with a count of its own was told, or what there is.
        let told = engine.and_then(|engine| Some(engine.count.as_ref()?.wanted));
        out.current = self.desired.or(told).unwrap_or(out.committed());
        out.blind_since = self.blind_since;
        out
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
fn is_warm(now: Timestamp, lag_ms: u64, replica: &ReplicaReport) -> bool {
    replica.ready_at.is_some_and(|at| now.ms_since(at) > lag_ms)
}

fn taken_at(observation: &Observation) -> Option<Timestamp> {
    use crate::observation::Reading;
    match observation.balancer.as_ref()? {
        Reading::Taken { at, .. } => Some(*at),
        Reading::Missing { .. } => None,
    }
}

/// Requests in all servers together.
fn in_flight(balancer: &BalancerReport) -> u32 {
    balancer.servers.values().fold(0, |sum, server| sum.saturating_add(server.in_flight))
}

fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 replicas")]
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}
