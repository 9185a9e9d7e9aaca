//! The control loop of one service: observe, decide, record, act, wait. Each service has its own,
//! so a slow one delays no other. A wake-up carries no data, so a lost one costs one interval at
//! most.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::generation::Generation;
use flyball_core::invariants;
use flyball_core::memory::Memory;
use flyball_core::observation::{
    BalancerReport, EngineReport, Observation, Reading, ReplicaReport,
};
use flyball_core::plan::Step;
use flyball_core::policy::{Bounds, Policy};
use flyball_core::record::Sample;
use flyball_core::rollout::{Rollout, RolloutState};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_journal::Journal;
use tokio::sync::watch;
use tokio::time::sleep;

use super::balancers::Balancer;
use super::counters::LoopCounters;
use super::engines::Engine;
use super::event_publisher::EventPublisher;
use super::leadership_guard::{LeadershipGuard, Permission};
use super::live::Live;
use super::loop_log::LoopLog;
use super::probe::Prober;
use super::registry::ServiceState;
use super::service_settings::ServiceSettings;
use super::sick::{SickTurns, Turn};
use super::trouble;
use super::zabbix::SampleSink;
use crate::clock;
use crate::plain::make_one_line;

/// Looks follow each other no faster than this, however many wake-ups come.
const GAP_MIN: Duration = Duration::from_millis(5);
/// A sample is kept about once in this time.
const SAMPLE_MS: u64 = 1_000;
/// A decision that changes nothing is still kept this often, so that every minute is explained.
const QUIET_MS: u64 = 60_000;

/// A count from before a restart that took longer says nothing of what is wanted.
const RECALLED_MAX_MS: i64 = 600_000;

/// What becomes of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceMode {
    /// The service is scaled.
    Run,
    /// Its replicas are drained and removed, and the loop ends with the last of them.
    Drain,
    /// The loop ends now; replicas that can run without it keep running.
    Stop,
}

/// All that the loop of one service works with.
pub(crate) struct ControlLoop {
    /// As it is set, but for the bounds of a service that is let go.
    pub(crate) policy: Policy,
    /// What `policy` comes from.
    pub(crate) settings: Arc<ServiceSettings>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) balancer: Balancer,
    pub(crate) prober: Prober,
    pub(crate) slot: Arc<ServiceState>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) events: EventPublisher,
    /// Told of each look that is kept, if anybody is.
    pub(crate) sink: Option<SampleSink>,
    pub(crate) guard: LeadershipGuard,
    pub(crate) log: LoopLog,
    pub(crate) recalled: Recalled,
}

/// What is known of the run before a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recalled {
    /// The start lag that was in use, if it was measured, in milliseconds.
    pub(crate) start_lag_ms: Option<u64>,
    /// To what a rollout went on, and how many replicas were wanted.
    pub(crate) rollout: Option<(Generation, u32)>,
}

impl Recalled {
    /// From the last decision, at `wall_ms`. Whatever a rollout came to long before is over.
    pub(crate) fn of(last: &Decision, wall_ms: i64) -> Self {
        let signals = &last.signals;
        let recent = wall_ms.saturating_sub(last.wall_ms) <= RECALLED_MAX_MS;
        let rolls = |rollout: &&Rollout| recent && rollout.state == RolloutState::Rolling;
        let rollout = last.rollout.as_ref().filter(rolls);
        Self {
            start_lag_ms: signals.start_lag_measured.then_some(signals.start_lag_ms),
            rollout: rollout.map(|rollout| (rollout.to, last.desired)),
        }
    }
}

/// What the loop itself remembers; the rest is the core's.
#[derive(Default)]
struct LoopState {
    memory: Memory,
    sampled_at: Option<Timestamp>,
    recorded_at: Option<Timestamp>,
    last_exit: Option<Timestamp>,
    sick: SickTurns,
    counters: LoopCounters,
    /// Whether the engine was heard at the last look.
    known: bool,
    looked_at: Option<Timestamp>,
}

impl LoopState {
    fn count(&mut self, decision: &Decision, engine: Option<&EngineReport>) {
        let before = self.looked_at.replace(decision.at).unwrap_or(decision.at);
        let span_ms = decision.at.ms_since(before);
        self.counters.outs += u64::from(decision.desired > decision.signals.current);
        self.counters.ins += u64::from(decision.desired < decision.signals.current);
        #[expect(
            clippy::cast_precision_loss,
            reason = "far below 2^52 replica-milliseconds a look"
        )]
        let replica_ms = (span_ms * engine.map_or(0, |e| e.replicas.len()) as u64) as f64;
        self.counters.replica_ms += replica_ms;
        for replica in engine.iter().flat_map(|engine| &engine.replicas) {
            if let Some(ready_at) = replica.ready_at.filter(|at| *at > before) {
                self.counters.starts += 1;
                self.counters.starts_ms += ready_at.ms_since(replica.asked_at);
            }
        }
    }

    /// Counts who has fallen sick, and gives what became of sick replicas since the last look.
    fn count_sick(&mut self, decision: &Decision, engine: Option<&EngineReport>) -> Vec<Turn> {
        // Without the engine nobody knows who is gone.
        let Some(engine) = engine else { return Vec::new() };
        let turns = self.sick.turn(&decision.sick, &engine.replicas, &self.memory.plan.draining);
        for turn in &turns {
            if let Turn::Fell { sick, .. } = turn {
                *self.counters.sick.entry(sick.cause).or_default() += 1;
            }
        }
        turns
    }

    fn count_silence(&mut self, seen: &Observation) {
        let silent = seen.balancer.as_ref().is_some_and(|reading| reading.value().is_none());
        self.counters.balancer_silent += u64::from(silent);
        self.counters.engine_silent += u64::from(seen.engine.value().is_none());
    }
}

impl ControlLoop {
    /// Looks until its mode ends, then ends what cannot live on without flyball.
    pub(crate) async fn run(mut self, mut mode: watch::Receiver<ServiceMode>) {
        let mut kept = LoopState::default();
        if let Some(start_lag_ms) = self.recalled.start_lag_ms {
            // One measurement among the next twenty: it counts for less with each new start.
            kept.memory.recall_start_lag(start_lag_ms);
        }
        if let Some((to, desired)) = self.recalled.rollout {
            kept.memory.recall_rollout(to, desired);
        }
        loop {
            let now = *mode.borrow_and_update();
            self.take_settings();
            self.policy.bounds = match now {
                ServiceMode::Run => self.settings.policy.bounds,
                ServiceMode::Drain => Bounds { min: 0, max: 0 },
                ServiceMode::Stop => break,
            };
            let decision = self.look(&mut kept).await;
            if now == ServiceMode::Drain && self.nothing_left() {
                break;
            }
            let wait = Duration::from_millis(decision.next_look_ms);
            tokio::select! {
                () = self.wake(wait) => {}
                _ = mode.changed() => {}
            }
        }
        self.balancer.shutdown().await;
        self.engine.shutdown().await;
    }

    /// Goes by what the service's settings are now. What was learned stays.
    fn take_settings(&mut self) {
        let settings = self.slot.settings();
        if Arc::ptr_eq(&settings, &self.settings) {
            return;
        }
        self.prober.change(&settings.ready, settings.liveness_ms);
        self.policy = settings.policy.clone();
        self.settings = settings;
    }

    /// One look, start to end. Waits for nothing but a balancer's answer, and for that not long.
    async fn look(&mut self, kept: &mut LoopState) -> Decision {
        let begun = clock::stopwatch();
        let balancer = self.balancer.observe().await.map(plain_words);
        self.engine.place(&self.balancer).await;
        let mut engine = self.observe_engine();
        let now = clock::now();
        if let Reading::Taken { value: report, .. } = &mut engine {
            self.prober.watch(report);
            report.not_ready = self.prober.not_ready(report);
            self.log_exits(kept, now, report);
        }
        let (manual, advice) = (self.slot.manual(now), self.slot.advice());
        let wall_ms = clock::wall_ms();
        let seen = Observation {
            wall_ms,
            balancer,
            manual,
            advice,
            failing: self.prober.failing(),
            rollout: self.slot.deploys.order(),
            ..Observation::new(now, engine)
        };
        let mut decision = decide(&self.policy, &mut kept.memory, &seen);
        self.refuse_broken(kept, &seen, &mut decision);
        let sample = self.record(kept, &decision, seen.balancer.as_ref().and_then(Reading::value));
        for step in &decision.plan {
            if !self.act(now, step) {
                break;
            }
        }
        kept.count(&decision, seen.engine.value());
        let turns = kept.count_sick(&decision, seen.engine.value());
        kept.count_silence(&seen);
        kept.counters.looks.count((clock::stopwatch() - begun).as_secs_f64());
        let live = self.publish(kept, &decision, seen);
        let mut notices = flyball_web::decided(&live.decision, self.settings.error_limit);
        notices.extend(trouble::of_service(&live));
        self.log.states(now, &notices, &turns);
        self.log.rollout(&live.decision);
        if let Some(sink) = &self.sink {
            sink.tell(live, sample);
        }
        decision
    }

    /// What the engine knows. Whatever it is busy with keeps nothing that is let go.
    fn observe_engine(&self) -> Reading<EngineReport> {
        let mut engine = plain_words(self.engine.observe());
        if let Reading::Taken { value, .. } = &mut engine {
            value.busy = value.busy.take().filter(|_| self.policy.bounds.max > 0);
            let reasons = value.exits.iter_mut().map(|exit| &mut exit.reason);
            let told = reasons.chain(&mut value.busy).chain(&mut value.pending);
            told.chain(&mut value.notices).for_each(make_one_line);
        }
        engine
    }

    /// Whether the engine was heard and has no replica, and the balancer no server that is known of.
    fn nothing_left(&self) -> bool {
        self.slot.live().is_some_and(|live| {
            let servers = live.balancer.as_ref().is_none_or(|b| b.servers.is_empty());
            servers && live.engine.as_ref().is_some_and(|e| e.replicas.is_empty())
        })
    }

    /// A decision that breaks an invariant is a fault in flyball: it is not carried out.
    fn refuse_broken(&mut self, kept: &mut LoopState, seen: &Observation, decision: &mut Decision) {
        let broken = invariants::check(&self.policy, seen, decision);
        if let Some(first) = broken.first() {
            self.log.refused(seen.at, &first.to_string());
            decision.plan.clear();
            kept.counters.refused += 1;
        }
    }

    /// Carries a step out at `now`, unless another flyball may be the leader by now.
    fn act(&mut self, now: Timestamp, step: &Step) -> bool {
        match self.guard.leave() {
            Permission::Standalone => tracing::debug!(service = %self.policy.service, "{step}"),
            Permission::Term(term) => self.log.acted(now, term, step),
            Permission::Refused => {
                self.log.not_mine(now, step);
                return false;
            }
        }
        match step {
            Step::Start { replica, generation } => self.engine.start(replica, *generation),
            Step::Route { replica, address } => self.balancer.route(replica, *address),
            Step::Drain { replica } => self.balancer.drain(replica),
            Step::Stop { replica, .. } => self.engine.stop(replica),
            Step::Scale { to, leaving } => self.engine.scale(*to, leaving),
        }
        true
    }

    /// The sample, if one is due and was kept.
    fn record(
        &self,
        kept: &mut LoopState,
        decision: &Decision,
        balancer: Option<&BalancerReport>,
    ) -> Option<Sample> {
        let now = decision.at;
        let due = |last: Option<Timestamp>, ms| last.is_none_or(|at| now.ms_since(at) >= ms);
        let sample = due(kept.sampled_at, SAMPLE_MS).then(|| Sample::of(decision, balancer));
        if let Some(sample) = &sample {
            kept.sampled_at = Some(now);
            self.events.sample(sample);
            self.journal.record_sample(&self.policy.service, sample);
        }
        // Before the engine was heard, the difference says nothing, and says it at every look.
        let known = decision.signals.engine_age_ms.is_some();
        let turned = std::mem::replace(&mut kept.known, known) != known;
        if turned || known && decision.is_change() || due(kept.recorded_at, QUIET_MS) {
            kept.recorded_at = Some(now);
            self.events.decision(decision);
            self.journal.record_decision(decision);
        }
        self.log.decided(decision, known);
        sample
    }

    fn log_exits(&mut self, kept: &mut LoopState, now: Timestamp, engine: &EngineReport) {
        let newest = kept.last_exit;
        for exit in engine.exits.iter().filter(|e| newest.is_none_or(|newest| e.at > newest)) {
            kept.counters.exits += 1;
            self.log.ended(now, exit);
        }
        kept.last_exit = engine.exits.iter().map(|exit| exit.at).max().max(newest);
    }

    fn publish(
        &mut self,
        kept: &mut LoopState,
        decision: &Decision,
        seen: Observation,
    ) -> Arc<Live> {
        let engine = value_of(seen.engine);
        let memory = &kept.memory;
        let share =
            |r: &ReplicaReport| (r.id.clone(), (memory.busy_share(r), memory.held_share(r)));
        let replicas = engine.iter().flat_map(|engine| &engine.replicas);
        let shares = replicas.map(share).collect();
        let balancer = seen.balancer.and_then(value_of);
        let draining: BTreeSet<ReplicaId> = memory.plan.draining.keys().cloned().collect();
        self.events.replicas(engine.as_ref(), balancer.as_ref(), &draining, decision);
        let (decision, counters) = (decision.clone(), kept.counters.clone());
        let latency = self.balancer.times();
        let (crowded, refusals) = (self.balancer.trouble(), self.balancer.refusals());
        let nodes = self.engine.nodes();
        let live = Arc::new(Live {
            decision,
            engine,
            nodes,
            balancer,
            crowded,
            refusals,
            shares,
            draining,
            counters,
            latency,
        });
        self.slot.publish(Arc::clone(&live));
        live
    }

    /// Returns at the first of: the time is over, a source has news, a replica became ready,
    /// somebody asked for something. Never sooner than [`GAP_MIN`].
    async fn wake(&mut self, wait: Duration) {
        sleep(GAP_MIN).await;
        let ready: Option<ReplicaId> = tokio::select! {
            () = sleep(wait.saturating_sub(GAP_MIN)) => None,
            () = self.engine.changed() => None,
            () = self.balancer.changed() => None,
            () = self.slot.asked() => None,
            replica = self.prober.next_ready() => Some(replica),
        };
        if let Some(replica) = ready {
            self.engine.set_ready(&replica);
        }
    }
}

/// What others say of themselves is shown in lines that are flyball's.
fn plain_words<T>(mut reading: Reading<T>) -> Reading<T> {
    if let Reading::Missing { why, .. } = &mut reading {
        make_one_line(why);
    }
    reading
}

fn value_of<T>(reading: Reading<T>) -> Option<T> {
    match reading {
        Reading::Taken { value, .. } => Some(value),
        Reading::Missing { .. } => None,
    }
}
