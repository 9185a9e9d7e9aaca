//! The state of one service: its settings, its last look, and what was asked about it. Readers
//! never block its control loop, which publishes a snapshot and goes on.

#[cfg(test)]
mod silence;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use flyball_core::decision::Decision;
use flyball_core::observation::{
    Advice, Manual, Phase, Reading, ReplicaReport, Route, ServerReport,
};
use flyball_core::sick::{Sick, SickTreatment};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_web::{
    Counters, LastSeen, ManualView, Notice, PolicyView, ReplicaState, ReplicaView, ServiceView,
};
use tokio::sync::Notify;

use super::counters::LoopCounters;
use super::deploys::Deploys;
use super::engines::Engine;
use super::generations;
use super::live::Live;
use super::service_settings::ServiceSettings;
use super::trouble;
use crate::clock;

/// One service in the registry.
pub(crate) struct ServiceState {
    name: String,
    settings: ArcSwap<ServiceSettings>,
    pub(crate) engine: &'static str,
    pub(crate) balancer: &'static str,
    /// Where its requests are taken, if flyball does.
    pub(crate) address: Option<SocketAddr>,
    /// What runs its replicas, as long as its loop does.
    running: Weak<Engine>,
    /// The image that the configuration names, where it names one.
    configured_image: Mutex<Option<String>>,
    pub(super) deploys: Deploys,
    live: ArcSwapOption<Live>,
    /// The last look at which the engine answered.
    heard: ArcSwapOption<Live>,
    manual: Mutex<Option<Manual>>,
    /// Remarks about its labels.
    remarks: Mutex<Vec<String>>,
    /// What a reload could not apply.
    not_applied: Mutex<Vec<String>>,
    /// The last advice for the service; `None` if none was read yet.
    advice: Mutex<Option<Reading<Advice>>>,
    asked: Notify,
    /// Notified when the service's adviser should be asked at once.
    pub(crate) doubted: Notify,
}

impl ServiceState {
    pub(crate) fn new(
        settings: ServiceSettings,
        (engine, balancer): (&'static str, &'static str),
        address: Option<SocketAddr>,
        running: &Arc<Engine>,
    ) -> Self {
        Self {
            name: settings.policy.service.clone(),
            settings: ArcSwap::from_pointee(settings),
            engine,
            balancer,
            address,
            running: Arc::downgrade(running),
            configured_image: Mutex::default(),
            deploys: Deploys::default(),
            live: ArcSwapOption::empty(),
            heard: ArcSwapOption::empty(),
            manual: Mutex::new(None),
            remarks: Mutex::default(),
            not_applied: Mutex::default(),
            advice: Mutex::new(None),
            asked: Notify::new(),
            doubted: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it is decided for and probed now.
    pub(crate) fn settings(&self) -> Arc<ServiceSettings> {
        self.settings.load_full()
    }

    /// Changes that from the next look on, which is soon.
    pub(super) fn set_settings(&self, settings: ServiceSettings) {
        self.settings.store(Arc::new(settings));
        self.wake();
    }

    /// What runs its replicas; `None` once its loop has ended.
    pub(super) fn running_engine(&self) -> Option<Arc<Engine>> {
        self.running.upgrade()
    }

    pub(super) fn configured_image(&self) -> Option<String> {
        self.configured_image.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_configured_image(&self, image: Option<String>) {
        *self.configured_image.lock().unwrap_or_else(PoisonError::into_inner) = image;
    }

    /// The next look comes at once.
    pub(super) fn wake(&self) {
        self.asked.notify_one();
    }

    /// Publishes a look.
    pub(crate) fn publish(&self, live: Arc<Live>) {
        if self.is_heard(&live) {
            self.heard.store(Some(Arc::clone(&live)));
        }
        self.live.store(Some(live));
    }

    /// The last look; `None` before the first.
    pub(crate) fn live(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// Whether the engine's report at a look exists and is fresh.
    fn is_heard(&self, live: &Live) -> bool {
        let age_ms = live.decision.signals.engine_age_ms;
        live.engine.is_some()
            && age_ms
                .is_some_and(|age_ms| age_ms <= self.settings.load().policy.timing.stale_after_ms)
    }

    /// What the loop has done so far.
    pub(crate) fn counters(&self) -> LoopCounters {
        self.live().map(|live| live.counters.clone()).unwrap_or_default()
    }

    /// Returns when a manual override was set since the last call.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The manual override that still holds at `now`.
    pub(crate) fn manual(&self, now: Timestamp) -> Option<Manual> {
        let mut manual = self.manual.lock().unwrap_or_else(PoisonError::into_inner);
        if manual.as_ref().and_then(|m| m.until).is_some_and(|until| until <= now) {
            *manual = None;
        }
        manual.clone()
    }

    /// Puts `manual` in force and wakes the loop.
    pub(crate) fn set_manual(&self, manual: Option<Manual>) {
        *self.manual.lock().unwrap_or_else(PoisonError::into_inner) = manual;
        self.asked.notify_one();
    }

    /// Shows `texts` in place of what was shown before.
    pub(crate) fn set_remarks(&self, texts: Vec<String>) {
        *self.remarks.lock().unwrap_or_else(PoisonError::into_inner) = texts;
    }

    fn remarks(&self) -> Vec<Notice> {
        let texts = self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kept = self.not_applied.lock().unwrap_or_else(PoisonError::into_inner).clone();
        texts.into_iter().chain(kept).chain(self.deploys.failed()).map(Notice::trouble).collect()
    }

    /// Shows what a reload could not apply, in place of what an earlier one could not.
    pub(super) fn set_not_applied(&self, texts: Vec<String>) {
        *self.not_applied.lock().unwrap_or_else(PoisonError::into_inner) = texts;
    }

    /// What was advised last.
    pub(crate) fn advice(&self) -> Option<Reading<Advice>> {
        self.advice.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes advice in, and wakes the loop if it is other than before.
    pub(crate) fn set_advice(&self, advice: Reading<Advice>) {
        let mut last = self.advice.lock().unwrap_or_else(PoisonError::into_inner);
        let other = last.as_ref().and_then(Reading::value) != advice.value();
        // A gap lasts from its beginning, even if its reason changes meanwhile.
        let advice = match (&*last, advice) {
            (Some(Reading::Missing { since, .. }), Reading::Missing { why, .. }) => {
                Reading::Missing { since: *since, why }
            }
            (_, advice) => advice,
        };
        *last = Some(advice);
        drop(last);
        if other {
            self.asked.notify_one();
        }
    }

    /// The count that a relative override starts from.
    pub(super) fn desired(&self) -> u32 {
        self.live().map_or(self.settings.load().policy.bounds.min, |live| live.decision.desired)
    }

    pub(super) fn view(&self) -> ServiceView {
        let live = self.live();
        let silent = live.as_ref().is_some_and(|live| !self.is_heard(live));
        let heard = if silent { self.heard.load_full() } else { None };
        let shown = heard.as_ref().or(live.as_ref());
        let now = clock::now();
        let ServiceSettings { policy, error_limit, .. } = &*self.settings();
        ServiceView {
            name: self.name.clone(),
            engine: self.engine.to_owned(),
            balancer: self.balancer.to_owned(),
            address: self.address.map(|address| format!("http://{address}")),
            bounds: policy.bounds,
            policy: PolicyView::of(policy),
            now_wall_ms: clock::wall_ms(),
            held: live.as_ref().and_then(|live| live.held),
            last_seen: heard.as_ref().map(|heard| last_seen(heard)),
            error_limit: *error_limit,
            replicas: shown.map(|live| replicas(live)).unwrap_or_default(),
            nodes: shown.map(|live| live.nodes.clone()).unwrap_or_default(),
            decision: live.as_ref().map(|live| live.decision.clone()),
            manual: self.manual(now).map(|manual| ManualView {
                ask: manual.ask,
                until_wall_ms: manual.until.map(clock::wall_of),
                by: manual.by,
            }),
            rollout: live.as_ref().and_then(|live| live.decision.rollout.clone()),
            deploy: self.deploys.view(),
            generations: shown.map(|live| generations::of(live, self)).unwrap_or_default(),
            notices: live
                .iter()
                .flat_map(|live| trouble::of_live(live))
                .chain(self.remarks())
                .collect(),
            counters: live.as_ref().map(|live| counters(live)).unwrap_or_default(),
        }
    }
}

fn last_seen(heard: &Live) -> LastSeen {
    let seen = &heard.decision.signals;
    let age_ms = i64::try_from(seen.engine_age_ms.unwrap_or(0)).unwrap_or(i64::MAX);
    LastSeen {
        wall_ms: heard.decision.wall_ms.saturating_sub(age_ms),
        ready: seen.ready,
        starting: seen.starting,
        draining: seen.draining,
    }
}

fn counters(live: &Live) -> Counters {
    Counters {
        arrivals: live.balancer.as_ref().map(|balancer| balancer.arrivals),
        failed_requests: live.balancer.as_ref().map(|balancer| balancer.errors),
        failures: live.balancer.as_ref().map(|balancer| balancer.failures),
        latency: live.latency.clone(),
        refusals: live.refusals.clone(),
        ..live.counters.counters()
    }
}

fn replicas(live: &Live) -> Vec<ReplicaView> {
    let named = live.nodes.iter().flat_map(|node| {
        node.replicas.iter().map(|replica| (replica.as_str(), node.name.as_str()))
    });
    let nodes: BTreeMap<&str, &str> = named.collect();
    let known = live.engine.iter().flat_map(|engine| &engine.replicas);
    known.map(|replica| replica_view(live, replica, &nodes)).collect()
}

/// What is wrong with `replica`, if anything is.
pub(super) fn sick_one<'a>(decision: &'a Decision, replica: &ReplicaId) -> Option<&'a Sick> {
    decision.sick.iter().find(|sick| sick.replica == *replica)
}

/// What `replica` is doing, as far as its engine, its server and the plan tell.
pub(super) fn state_of(
    replica: &ReplicaReport,
    server: Option<&ServerReport>,
    draining: &BTreeSet<ReplicaId>,
    sick: Option<&Sick>,
) -> ReplicaState {
    let draining =
        draining.contains(&replica.id) || server.is_some_and(|s| s.route == Route::Draining);
    match replica.phase {
        Phase::Starting => ReplicaState::Starting,
        Phase::Ready if sick.is_some_and(|sick| sick.standing != SickTreatment::Kept) => {
            ReplicaState::Unhealthy
        }
        Phase::Ready if draining => ReplicaState::Draining,
        Phase::Ready => ReplicaState::Ready,
        Phase::Unhealthy => ReplicaState::Unhealthy,
        Phase::Stopping => ReplicaState::Stopping,
    }
}

/// Why `replica` is not ready, or how it fails.
fn reason(live: &Live, replica: &ReplicaReport, sick: Option<&Sick>) -> Option<String> {
    let fails = || sick.map(|sick| sick.why.clone());
    let engine = live.engine.as_ref().filter(|_| replica.phase == Phase::Starting);
    engine.and_then(|engine| engine.not_ready.get(&replica.id).cloned()).or_else(fails)
}

fn replica_view(live: &Live, replica: &ReplicaReport, nodes: &BTreeMap<&str, &str>) -> ReplicaView {
    let server = live.balancer.as_ref().and_then(|b| b.servers.get(&replica.id));
    let sick = sick_one(&live.decision, &replica.id);
    let (cpu, held_back) = live.shares.get(&replica.id).copied().unwrap_or_default();
    ReplicaView {
        id: replica.id.to_string(),
        state: state_of(replica, server, &live.draining, sick),
        generation: replica.generation,
        reason: reason(live, replica, sick),
        asked_wall_ms: clock::wall_of(replica.asked_at),
        cpu,
        held_back,
        in_flight: server.map(|s| s.in_flight),
        address: replica.address,
        node: nodes.get(replica.id.as_str()).map(|node| (*node).to_owned()),
    }
}
