//! What is known of every service now, for whoever wants to see it, and what was asked by hand.
//!
//! Decides only whether a wish made by hand is one. Does not know HTTP. Invariant: readers never
//! make the loop wait: it publishes a snapshot and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwapOption;
use flyball_core::decision::Decision;
use flyball_core::observation::{
    Ask, BalancerReport, EngineReport, Manual, Phase, ReplicaReport, Route,
};
use flyball_core::policy::{Policy, Rule};
use flyball_core::record::Sample;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_journal::{Journal, JournalError, Reader, StoredManual};
use flyball_web::{
    AskError, Daemon, Fault, ManualAsk, ManualView, Notice, NoticeKind, PolicyView, ReplicaState,
    ReplicaView, ServiceView,
};
use tokio::sync::Notify;

use crate::clock;

/// The last look at one service.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) decision: Decision,
    pub(crate) engine: Option<EngineReport>,
    pub(crate) balancer: Option<BalancerReport>,
    /// Of the CPU limit, and of the time in which it held the replica back.
    pub(crate) shares: BTreeMap<ReplicaId, (Option<f64>, Option<f64>)>,
    /// What the plan drains, whether the balancer has begun to or not.
    pub(crate) draining: BTreeSet<ReplicaId>,
    pub(crate) tally: Tally,
}

/// What a service's loop has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
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
}

impl Tally {
    /// What was done since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            outs: self.outs - before.outs,
            ins: self.ins - before.ins,
            replica_ms: self.replica_ms - before.replica_ms,
            starts: self.starts - before.starts,
            starts_ms: self.starts_ms - before.starts_ms,
        }
    }
}

/// One service's place on the board.
pub(crate) struct Slot {
    pub(crate) policy: Policy,
    pub(crate) engine: &'static str,
    pub(crate) balancer: &'static str,
    /// Where its requests are taken, if flyball does.
    pub(crate) address: Option<SocketAddr>,
    live: ArcSwapOption<Live>,
    manual: Mutex<Option<Manual>>,
    asked: Notify,
}

impl Slot {
    pub(crate) fn new(
        policy: Policy,
        engine: &'static str,
        balancer: &'static str,
        address: Option<SocketAddr>,
    ) -> Self {
        Self {
            policy,
            engine,
            balancer,
            address,
            live: ArcSwapOption::empty(),
            manual: Mutex::new(None),
            asked: Notify::new(),
        }
    }

    /// Shows a look to everybody.
    pub(crate) fn publish(&self, live: Live) {
        self.live.store(Some(Arc::new(live)));
    }

    /// The last look; `None` before the first.
    pub(crate) fn live(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// What the loop has done so far.
    pub(crate) fn tally(&self) -> Tally {
        self.live().map(|live| live.tally).unwrap_or_default()
    }

    /// Returns when something was asked by hand since the last call.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// What was asked by hand and still holds at `now`.
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

    /// The count that a relative wish starts from.
    fn desired(&self) -> u32 {
        self.live().map_or(self.policy.bounds.min, |live| live.decision.desired)
    }

    fn view(&self) -> ServiceView {
        let live = self.live();
        let now = clock::now();
        ServiceView {
            name: self.policy.service.clone(),
            engine: self.engine.to_owned(),
            balancer: self.balancer.to_owned(),
            address: self.address.map(|address| format!("http://{address}")),
            bounds: self.policy.bounds,
            policy: PolicyView::of(&self.policy),
            now_wall_ms: clock::wall_ms(),
            replicas: live.as_ref().map(|live| replicas(live)).unwrap_or_default(),
            decision: live.as_ref().map(|live| live.decision.clone()),
            manual: self.manual(now).map(|manual| ManualView {
                ask: manual.ask,
                until_wall_ms: manual.until.map(clock::wall_of),
                by: manual.by,
            }),
            notices: live.as_ref().and_then(|live| engine_trouble(live)).into_iter().collect(),
        }
    }
}

/// What the engine says of itself, if anything must not be missed.
fn engine_trouble(live: &Live) -> Option<Notice> {
    let engine = live.engine.as_ref()?;
    let busy = || engine.busy.as_ref().map(|with| format!("the engine is busy: {with}"));
    let pending = || engine.pending.as_ref().map(|why| format!("replicas do not start: {why}"));
    let text = pending().or_else(busy)?;
    Some(Notice { kind: NoticeKind::Trouble, text, since_wall_ms: None, until_wall_ms: None })
}

fn replicas(live: &Live) -> Vec<ReplicaView> {
    let known = live.engine.iter().flat_map(|engine| &engine.replicas);
    known.map(|replica| replica_view(live, replica)).collect()
}

fn replica_view(live: &Live, replica: &ReplicaReport) -> ReplicaView {
    let server = live.balancer.as_ref().and_then(|b| b.servers.get(&replica.id));
    let draining =
        live.draining.contains(&replica.id) || server.is_some_and(|s| s.route == Route::Draining);
    let state = match replica.phase {
        Phase::Starting => ReplicaState::Starting,
        Phase::Ready if draining => ReplicaState::Draining,
        Phase::Ready => ReplicaState::Ready,
        Phase::Unhealthy => ReplicaState::Unhealthy,
        Phase::Stopping => ReplicaState::Stopping,
    };
    let (cpu, held_back) = live.shares.get(&replica.id).copied().unwrap_or_default();
    ReplicaView {
        id: replica.id.to_string(),
        state,
        asked_wall_ms: clock::wall_of(replica.asked_at),
        cpu,
        held_back,
        in_flight: server.map(|s| s.in_flight),
        address: replica.address,
    }
}

/// All services, their history, and the door for wishes.
pub(crate) struct Board {
    slots: RwLock<BTreeMap<String, Arc<Slot>>>,
    journal: Arc<Journal>,
    reader: Mutex<Reader>,
}

impl Board {
    pub(crate) fn new(journal: Arc<Journal>) -> Result<Self, JournalError> {
        let reader = Mutex::new(journal.reader()?);
        Ok(Self { slots: RwLock::default(), journal, reader })
    }

    /// One service's place; `None` if there is no such service.
    pub(crate) fn slot(&self, service: &str) -> Option<Arc<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }

    /// Shows a service.
    pub(super) fn add(&self, service: &str, slot: Arc<Slot>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(service.to_owned(), slot);
    }

    /// Shows a service no longer.
    pub(super) fn remove(&self, service: &str) {
        self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(service);
    }

    fn known(&self, service: &str) -> Result<Arc<Slot>, Fault> {
        self.slot(service).ok_or_else(|| Fault::UnknownService(service.to_owned()))
    }

    fn read<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, JournalError>) -> Result<T, Fault> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&reader).map_err(|error| Fault::Unavailable(error.to_string()))
    }

    /// What is wrong with the history, if anything is.
    fn trouble(&self) -> Option<Notice> {
        let fault = self.journal.fault()?;
        Some(Notice {
            kind: NoticeKind::Trouble,
            text: format!("history is not being kept: {fault}"),
            since_wall_ms: None,
            until_wall_ms: None,
        })
    }

    fn shown(&self, slot: &Slot) -> ServiceView {
        let mut view = slot.view();
        view.notices.extend(self.trouble());
        view
    }
}

impl Daemon for Board {
    fn services(&self) -> Vec<ServiceView> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner).clone();
        slots.values().map(|slot| self.shown(slot)).collect()
    }

    fn service(&self, name: &str) -> Option<ServiceView> {
        self.slot(name).map(|slot| self.shown(&slot))
    }

    fn decisions(
        &self,
        service: &str,
        before_wall_ms: i64,
        limit: usize,
    ) -> Result<Vec<Decision>, Fault> {
        self.known(service)?;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.read(|reader| Ok(reader.decisions(service, before_wall_ms, limit)?.decisions))
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
        // A hand on the wheel counts also where it cannot be written down.
        if let Err(error) = self.journal.set_manual(service, stored.as_ref()) {
            tracing::warn!("{service}: what was asked will not survive a restart: {error}");
        }
        slot.set_manual(manual);
        Ok(self.shown(&slot))
    }
}

/// The wish as the loop takes it; `None` ends the one in force.
fn manual(
    slot: &Slot,
    ask: ManualAsk,
    for_ms: Option<u64>,
    by: &str,
) -> Result<Option<Manual>, AskError> {
    let ask = match ask {
        ManualAsk::Resume if slot.policy.rule == Rule::External => {
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

fn within_bounds(slot: &Slot, asked: i64) -> Result<u32, AskError> {
    let bounds = slot.policy.bounds;
    u32::try_from(asked).ok().filter(|count| (bounds.min..=bounds.max).contains(count)).ok_or_else(
        || AskError::OutsideBounds {
            service: slot.policy.service.clone(),
            asked,
            min: bounds.min,
            max: bounds.max,
        },
    )
}
