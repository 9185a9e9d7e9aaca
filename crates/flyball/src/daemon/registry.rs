//! All services by their names, their history, and the orders about them.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use flyball_core::decision::Decision;
use flyball_core::observation::{Ask, Manual};
use flyball_core::record::{DecisionFilter, Sample};
use flyball_journal::{Journal, JournalError, Reader, StoredManual, StoredRollout};
use flyball_web::{
    AskError, Daemon, Fault, Feed, History, LeaderStatus, ManualAsk, Notice, ReloadError,
    ReloadReport, RolloutAsk, ServiceView,
};
use flyball_zookeeper::Candidate;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::overrides::Overrides;
pub(crate) use super::service_state::ServiceState;
use crate::systemd::LastLook;
use crate::{clock, leadership};

/// All services, their history, and the entry for manual overrides.
pub(crate) struct Registry {
    slots: RwLock<BTreeMap<String, Arc<ServiceState>>>,
    journal: Arc<Journal>,
    /// With the number of the opening that it is of.
    reader: Mutex<Option<(u64, Reader)>>,
    feed: Feed,
    /// Where one of several flyballs acts: by what, and what the next one is told.
    candidate: Option<Arc<Candidate>>,
    handed_on: Option<HandedOn>,
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

/// What the next leader is told.
pub(super) struct HandedOn {
    pub(super) manuals: Overrides<StoredManual>,
    pub(super) rollouts: Arc<Overrides<StoredRollout>>,
}

/// Writes orders about rollouts down.
pub(super) struct OrderKeeper {
    journal: Arc<Journal>,
    handed_on: Option<Arc<Overrides<StoredRollout>>>,
}

impl OrderKeeper {
    /// An order takes effect even if it cannot be stored.
    pub(super) fn keep(&self, slot: &ServiceState, order: &StoredRollout) {
        if let Some(handed_on) = &self.handed_on {
            handed_on.put(slot.name(), Some(order), |_| false);
        }
        if let Err(error) = self.journal.set_rollout(slot.name(), Some(order)) {
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
        handed_on: Option<HandedOn>,
    ) -> Self {
        let (slots, reader) = (RwLock::default(), Mutex::default());
        let (feed, runtime) = (Feed::start(), Handle::current());
        let (reloads, reload_trouble) = (OnceLock::new(), Mutex::default());
        Self {
            slots,
            journal,
            reader,
            feed,
            candidate,
            handed_on,
            runtime,
            reloads,
            reload_trouble,
        }
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn order_keeper(&self) -> OrderKeeper {
        let handed_on = self.handed_on.as_ref().map(|all| Arc::clone(&all.rollouts));
        OrderKeeper { journal: Arc::clone(&self.journal), handed_on }
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

    /// Whether every service has had its first look.
    pub(crate) fn all_have_looked(&self) -> bool {
        self.slots().iter().all(|slot| slot.live().is_some())
    }

    /// The last look of every service that has had one.
    pub(crate) fn last_looks(&self) -> Vec<LastLook> {
        let looked = |slot: Arc<ServiceState>| {
            let live = slot.live()?;
            let decision = &live.decision;
            let (at, next_look_ms) = (decision.at, decision.next_look_ms);
            Some(LastLook { service: slot.name().to_owned(), at, next_look_ms })
        };
        self.slots().into_iter().filter_map(looked).collect()
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
    /// The last decision about `service` in the journal; `None` without history. Blocks for 2 s at
    /// most.
    pub(super) fn last_decision(&self, service: &str) -> Option<Decision> {
        self.read(|reader| reader.decision_at(service, i64::MAX)).ok()?
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
            slot.wake();
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
        if let Some(handed_on) = &self.handed_on {
            let now_ms = clock::wall_ms();
            let is_over = |it: &StoredManual| it.until_wall_ms.is_some_and(|until| until <= now_ms);
            handed_on.manuals.put(service, stored.as_ref(), is_over);
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
