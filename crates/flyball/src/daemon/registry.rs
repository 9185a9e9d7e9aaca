//! The state of every service, and the manual overrides. Readers never block a control loop: it
//! publishes a snapshot and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use flyball_core::decision::Decision;
use flyball_core::observation::{
    Advice, Ask, Manual, Phase, Reading, ReplicaReport, Route, ServerReport,
};
use flyball_core::record::{DecisionFilter, Sample};
use flyball_core::sick::{Sick, SickTreatment};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_journal::{Journal, JournalError, Reader, StoredManual, StoredRollout};
use flyball_web::{
    AskError, Counters, Daemon, Fault, Feed, History, LastSeen, LeaderStatus, ManualAsk,
    ManualView, Notice, PolicyView, ReloadError, ReloadReport, ReplicaState, ReplicaView,
    RolloutAsk, ServiceView,
};
use flyball_zookeeper::Candidate;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use super::counters::LoopCounters;
use super::deploys::Deploys;
use super::engines::Engine;
use super::generations;
use super::live::Live;
use super::overrides::Overrides;
use super::service_settings::ServiceSettings;
use super::trouble;
use crate::{clock, leadership};

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
    fn desired(&self) -> u32 {
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

/// All services, their history, and the entry for manual overrides.
pub(crate) struct Registry {
    slots: RwLock<BTreeMap<String, Arc<ServiceState>>>,
    journal: Arc<Journal>,
    /// With the number of the opening that it is of.
    reader: Mutex<Option<(u64, Reader)>>,
    feed: Feed,
    /// Where one of several flyballs acts: by what, and what the next one is told.
    candidate: Option<Arc<Candidate>>,
    wishes: Option<Overrides>,
    /// Where what is asked of the engines goes on.
    runtime: Handle,
    /// Who reads the configuration again, if there is a file.
    reloads: OnceLock<mpsc::Sender<ReloadOrder>>,
    /// What is wrong with the configuration file, or could not be applied, beside the services.
    reload_trouble: Mutex<Vec<String>>,
}

/// A wish to read the configuration again, and who waits for what comes of it.
pub(super) type ReloadOrder = SyncSender<Result<ReloadReport, ReloadError>>;

/// Adding a service may take as long as its systems take to answer.
const RELOAD_LIMIT: Duration = Duration::from_secs(8);

/// Writes orders about rollouts down.
pub(super) struct OrderKeeper(Arc<Journal>);

impl OrderKeeper {
    /// An order takes effect even if it cannot be stored.
    pub(super) fn keep(&self, slot: &ServiceState, order: &StoredRollout) {
        if let Err(error) = self.0.set_rollout(slot.name(), Some(order)) {
            tracing::warn!(
                "{}: the order about its rollout will not survive a restart: {error}",
                slot.name()
            );
        }
        slot.wake();
    }
}

impl Registry {
    /// An empty registry. Must be called within a runtime.
    pub(super) fn new(
        journal: Arc<Journal>,
        candidate: Option<Arc<Candidate>>,
        wishes: Option<Overrides>,
    ) -> Self {
        let (slots, reader) = (RwLock::default(), Mutex::default());
        let (feed, runtime) = (Feed::start(), Handle::current());
        let (reloads, reload_trouble) = (OnceLock::new(), Mutex::default());
        Self { slots, journal, reader, feed, candidate, wishes, runtime, reloads, reload_trouble }
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn order_keeper(&self) -> OrderKeeper {
        OrderKeeper(Arc::clone(&self.journal))
    }

    /// From now on reloads are asked of whoever receives from `orders`.
    pub(super) fn reload_by(&self, orders: mpsc::Sender<ReloadOrder>) {
        let _only_once = self.reloads.set(orders);
    }

    /// Has the configuration read again; the log and the page say what comes of it.
    pub(crate) fn reload_soon(&self) {
        let (reply, _nobody) = sync_channel(1);
        let sent = self.reloads.get().map(|orders| orders.try_send(reply));
        if !matches!(sent, Some(Ok(()))) {
            tracing::warn!("the configuration is not read again: too many reloads at once");
        }
    }

    /// Shows with every service what is wrong with the configuration file.
    pub(super) fn set_reload_trouble(&self, texts: Vec<String>) {
        *self.reload_trouble.lock().unwrap_or_else(PoisonError::into_inner) = texts;
    }

    /// One service's place; `None` if there is no such service.
    pub(crate) fn slot(&self, service: &str) -> Option<Arc<ServiceState>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }

    /// Every service's place.
    pub(super) fn slots(&self) -> Vec<Arc<ServiceState>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Shows a service.
    pub(super) fn add(&self, service: &str, slot: Arc<ServiceState>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(service.to_owned(), slot);
    }

    /// Shows a service no longer.
    pub(super) fn remove(&self, service: &str) {
        self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(service);
    }

    fn known(&self, service: &str) -> Result<Arc<ServiceState>, Fault> {
        self.slot(service).ok_or_else(|| Fault::UnknownService(service.to_owned()))
    }

    fn read<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, JournalError>) -> Result<T, Fault> {
        let unavailable = |error: JournalError| {
            Fault::Unavailable(self.journal.fault().unwrap_or_else(|| error.to_string()))
        };
        let mut kept = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let opening = self.journal.openings();
        let (_, reader) = match kept.take().filter(|(of, _)| *of == opening) {
            Some(reader) => kept.insert(reader),
            None => kept.insert((opening, self.journal.reader().map_err(unavailable)?)),
        };
        ask(reader).map_err(unavailable)
    }

    /// What is wrong with the history, if anything is.
    fn trouble(&self) -> Option<Notice> {
        let fault = self.journal.fault()?;
        Some(Notice::trouble(format!("history is not being kept: {fault}")))
    }

    fn shown(&self, slot: &ServiceState) -> ServiceView {
        let mut view = slot.view();
        view.notices.extend(self.trouble());
        let texts = self.reload_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        view.notices.extend(texts.into_iter().map(Notice::trouble));
        view
    }
}

impl Registry {
    /// The start lag of `service` by the last decision in the journal, in milliseconds; `None` if
    /// it was not measured, or without history. Blocks for 2 s at most.
    pub(super) fn last_start_lag_ms(&self, service: &str) -> Option<u64> {
        let last = self.read(|reader| reader.decision_at(service, i64::MAX)).ok()??;
        last.signals.start_lag_measured.then_some(last.signals.start_lag_ms)
    }
}

impl Daemon for Registry {
    fn services(&self) -> Vec<ServiceView> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner).clone();
        slots.values().map(|slot| self.shown(slot)).collect()
    }

    fn leader(&self) -> LeaderStatus {
        leadership::view(self.candidate.as_deref())
    }

    fn history(&self) -> Option<History> {
        Some(History { kept: self.journal.fault().is_none(), lost: self.journal.lost() })
    }

    fn service(&self, name: &str) -> Option<ServiceView> {
        self.slot(name).map(|slot| self.shown(&slot))
    }

    fn wake(&self, service: &str) {
        if let Some(slot) = self.slot(service) {
            slot.doubted.notify_one();
            slot.asked.notify_one();
        }
    }

    fn decisions(&self, service: &str, filter: &DecisionFilter) -> Result<Vec<Decision>, Fault> {
        self.known(service)?;
        self.read(|reader| Ok(reader.decisions(service, filter)?.decisions))
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn decision_at(&self, service: &str, wall_ms: i64) -> Result<Option<Decision>, Fault> {
        self.known(service)?;
        self.read(|reader| reader.decision_at(service, wall_ms))
    }

    fn samples(
        &self,
        service: &str,
        from_wall_ms: i64,
        to_wall_ms: i64,
        points_max: usize,
    ) -> Result<Vec<Sample>, Fault> {
        self.known(service)?;
        let points_max = u32::try_from(points_max).unwrap_or(u32::MAX);
        self.read(|reader| reader.samples(service, from_wall_ms, to_wall_ms, points_max))
    }

    fn ask(
        &self,
        service: &str,
        ask: ManualAsk,
        for_ms: Option<u64>,
        by: &str,
    ) -> Result<ServiceView, AskError> {
        let unknown = || AskError::UnknownService(service.to_owned());
        let slot = self.slot(service).ok_or_else(unknown)?;
        let manual = manual(&slot, ask, for_ms, by)?;
        let stored = manual.as_ref().map(|manual| StoredManual {
            ask: manual.ask,
            until_wall_ms: manual.until.map(clock::wall_of),
            by: manual.by.clone(),
        });
        // A manual override takes effect even if it cannot be stored.
        if let Err(error) = self.journal.set_manual(service, stored.as_ref()) {
            tracing::warn!("{service}: the manual override will not survive a restart: {error}");
        }
        if let Some(wishes) = &self.wishes {
            wishes.put(service, stored.as_ref());
        }
        slot.set_manual(manual);
        Ok(self.shown(&slot))
    }

    fn roll(&self, service: &str, ask: RolloutAsk, by: &str) -> Result<ServiceView, AskError> {
        let unknown = || AskError::UnknownService(service.to_owned());
        let slot = self.slot(service).ok_or_else(unknown)?;
        self.order(&slot, ask, by)?;
        Ok(self.shown(&slot))
    }

    fn reload(&self) -> Result<ReloadReport, ReloadError> {
        let away = |why: &str| ReloadError::Unavailable(why.to_owned());
        let no_file = || away("this flyball runs without a configuration file");
        let (reply, answer) = sync_channel(1);
        let orders = self.reloads.get().ok_or_else(no_file)?;
        orders.try_send(reply).map_err(|_| away("too many reloads at once"))?;
        let late = "the reload takes longer; the log says what comes of it";
        answer.recv_timeout(RELOAD_LIMIT).map_err(|_| away(late))?
    }
}

/// The override as the loop takes it; `None` ends the current one.
fn manual(
    slot: &ServiceState,
    ask: ManualAsk,
    for_ms: Option<u64>,
    by: &str,
) -> Result<Option<Manual>, AskError> {
    let ask = match ask {
        ManualAsk::Resume if slot.settings().policy.rule.is_external() => {
            // Its count stays where it was put; only a pause can be resumed.
            let pinned = Ask::Pin(slot.desired());
            return Ok(Some(Manual { ask: pinned, until: None, by: by.to_owned() }));
        }
        ManualAsk::Resume => return Ok(None),
        ManualAsk::Pause => Ask::Pause,
        ManualAsk::To(count) => Ask::Pin(within_bounds(slot, i64::from(count))?),
        ManualAsk::By(by) => {
            Ask::Pin(within_bounds(slot, i64::from(slot.desired()) + i64::from(by))?)
        }
    };
    let until = for_ms.map(|ms| clock::now().plus_ms(ms));
    Ok(Some(Manual { ask, until, by: by.to_owned() }))
}

fn within_bounds(slot: &ServiceState, asked: i64) -> Result<u32, AskError> {
    let bounds = slot.settings().policy.bounds;
    u32::try_from(asked).ok().filter(|count| (bounds.min..=bounds.max).contains(count)).ok_or_else(
        || AskError::OutsideBounds {
            service: slot.name().to_owned(),
            asked,
            min: bounds.min,
            max: bounds.max,
        },
    )
}
