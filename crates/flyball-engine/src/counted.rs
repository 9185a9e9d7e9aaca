//! Engines of a system that keeps the count of each service itself and is only told to change it.
//! No lock is held during a request. Everything known carries the time of the request that it
//! answers.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::labels::Labelled;
use crate::{Hint, Link, Listing, Services};

/// What a shutdown waits for orders under way.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(6);

/// A system with counts: how its services are told to change, and how its state becomes a report.
pub trait CountedSystem: Sized + Send + Sync + 'static {
    /// How one service is looked at.
    type Settings: Send + Sync;
    /// What is known of one service.
    type State: Default + Send;
    /// Where requests go.
    type Connection: Clone + Send;
    /// Why a request failed, or cannot be made.
    type Error: Hint + Clone + PartialEq + Send + Sync;

    /// What messages call the system.
    const NAME: &'static str;

    /// The time that readings are stamped with.
    fn now(&self) -> Timestamp;

    /// Why nothing can be asked before the first try to connect has ended.
    fn untried() -> Self::Error;

    /// Whether nothing is wrong: the next look decides again.
    fn is_expected(error: &Self::Error) -> bool;

    /// What flyball calls the service.
    fn service(settings: &Self::Settings) -> &str;

    /// The last known count of a service.
    fn wanted(state: &Self::State) -> Option<u32>;

    /// Takes note of a ready replica; false for one that is unknown or does not run.
    fn set_ready(state: &mut Self::State, replica: &ReplicaId, now: Timestamp) -> bool;

    /// The report for a look.
    fn report(
        &self,
        settings: &Self::Settings,
        state: &Self::State,
        now: Timestamp,
    ) -> EngineReport;

    /// The report without what is measured all the time: a difference in it is news.
    fn stable_report(
        &self,
        settings: &Self::Settings,
        state: &Self::State,
        now: Timestamp,
    ) -> EngineReport {
        self.report(settings, state, now)
    }

    /// Changes the count, once, if it still is what was `seen`.
    fn scale(
        service: &CountedService<Self>,
        seen: Option<u32>,
        order: Order,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// State shared by the watcher of a system, the engines of its services and their orders.
pub struct Counted<S: CountedSystem> {
    /// The system itself.
    pub system: S,
    /// Something has changed or is about to: the watcher looks at once, and often for a while.
    pub stir: Notify,
    /// What labels describe.
    pub listing: Listing<Vec<Labelled>, S::Error>,
    link: Mutex<Link<S::Connection, S::Error>>,
    services: Services<CountedService<S>>,
}

/// One service, shared by its engine, the watcher and its orders.
pub struct CountedService<S: CountedSystem> {
    /// What it is a service of.
    pub core: Arc<Counted<S>>,
    /// How it is looked at.
    pub settings: S::Settings,
    changed: Notify,
    inside: Mutex<Inside<S::State>>,
}

/// A count, and who leaves for it, where the system lets flyball choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The count.
    pub to: u32,
    /// The replicas to end.
    pub leaving: Vec<ReplicaId>,
}

/// What is known of a service, and what was ordered.
#[derive(Default)]
struct Inside<T> {
    state: T,
    /// Whether its tasks were listed since the system was last away.
    listed: bool,
    /// What the loop ordered, until the request starts.
    order: Option<Order>,
    /// Whether an order is being carried out.
    working: bool,
    /// What was logged last about failed orders, so that it is logged once.
    complaint: String,
}

impl<S: CountedSystem> Counted<S> {
    /// Nothing is known of it yet.
    pub fn new(system: S) -> Arc<Self> {
        Arc::new(Self {
            link: Mutex::new(Link::new(system.now())),
            system,
            stir: Notify::new(),
            listing: Listing::default(),
            services: Services::default(),
        })
    }

    /// The time that readings are stamped with.
    pub fn now(&self) -> Timestamp {
        self.system.now()
    }

    /// Where the last answer came from.
    ///
    /// # Errors
    /// Why nothing can be asked.
    pub fn connection(&self) -> Result<S::Connection, S::Error> {
        self.link().connection(S::untried)
    }

    /// The system answered everything that a look needs; it was asked at `asked_at`. True if it had
    /// been lost before.
    pub fn heard(&self, connection: &S::Connection, asked_at: Timestamp) -> bool {
        self.link().connected(connection.clone(), asked_at)
    }

    /// The connection is lost, or could not be had: logged once for each reason.
    pub fn lost(&self, why: &S::Error) {
        let new = self.link().lost(why.clone());
        self.listing.lost(why.clone());
        for service in self.services() {
            service.inside().listed = false;
            service.changed.notify_one();
        }
        if new {
            tracing::warn!("{}", why.with_hint());
        }
    }

    /// Begins to look at a service, which need not exist yet.
    pub fn add(self: &Arc<Self>, settings: S::Settings) -> Arc<CountedService<S>> {
        let service = Arc::new(CountedService {
            core: Arc::clone(self),
            settings,
            changed: Notify::new(),
            inside: Mutex::default(),
        });
        self.services.add(&service);
        self.stir.notify_one();
        service
    }

    /// All services that have an engine.
    pub fn services(&self) -> Vec<Arc<CountedService<S>>> {
        self.services.all()
    }

    fn link(&self) -> MutexGuard<'_, Link<S::Connection, S::Error>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: CountedSystem> CountedService<S> {
    /// What `look` says of the state.
    pub fn with_state<T>(&self, look: impl FnOnce(&mut S::State) -> T) -> T {
        look(&mut self.inside().state)
    }

    /// Takes in an answer about the service; `learn` gives false for one from before an order of
    /// ours.
    pub fn learn(&self, learn: impl FnOnce(&mut S::State, Timestamp) -> bool) {
        let (system, now) = (&self.core.system, self.core.now());
        let mut inside = self.inside();
        let report = |state: &S::State| system.stable_report(&self.settings, state, now);
        let before = inside.listed.then(|| report(&inside.state));
        if !learn(&mut inside.state, now) {
            return;
        }
        inside.listed = true;
        let news = before.as_ref() != Some(&report(&inside.state));
        drop(inside);
        if news {
            self.changed.notify_one();
        }
    }

    /// The report for a look: as old as the latest answer; missing from the loss of the system until
    /// it has answered everything again.
    pub fn observe(&self) -> Reading<EngineReport> {
        let (heard_at, down) = {
            let link = self.core.link();
            (link.heard_at(), link.down().map(ToString::to_string))
        };
        let inside = self.inside();
        let unlisted = || (!inside.listed).then(|| format!("{} has not been queried yet", S::NAME));
        match down.or_else(unlisted) {
            Some(why) => Reading::Missing { since: heard_at, why },
            None => {
                let system = &self.core.system;
                let value = system.report(&self.settings, &inside.state, self.core.now());
                Reading::Taken { at: heard_at, value }
            }
        }
    }

    /// Takes an order in; carried out in the background, the newest of several last.
    pub fn scale(self: &Arc<Self>, order: Order) {
        let mut inside = self.inside();
        if S::wanted(&inside.state) == Some(order.to) {
            return;
        }
        inside.order = Some(order);
        if std::mem::replace(&mut inside.working, true) {
            return;
        }
        drop(inside);
        tokio::spawn(carry_out(Arc::clone(self)));
    }

    /// Takes note that a replica passed its readiness probe.
    pub fn set_ready(&self, replica: &ReplicaId) {
        let now = self.core.now();
        if self.with_state(|state| S::set_ready(state, replica, now)) {
            self.changed.notify_one();
        }
    }

    /// Waits until something has changed since the last call. For one caller at a time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits at most 6 s for an order under way.
    pub async fn shutdown(&self) {
        let idle = async {
            while self.inside().working {
                self.changed.notified().await;
            }
        };
        if timeout(SHUTDOWN_LIMIT, idle).await.is_err() {
            let service = S::service(&self.settings);
            tracing::warn!(
                %service, "{} did not finish pending requests before shutdown", S::NAME
            );
        }
    }

    /// Logs a failure, each one once until something else happens.
    fn complain(&self, failure: Option<&S::Error>) {
        let said = failure.map(ToString::to_string).unwrap_or_default();
        let new = {
            let mut inside = self.inside();
            let new = inside.complaint != said;
            inside.complaint = said;
            new
        };
        match failure {
            Some(failure) if S::is_expected(failure) => tracing::debug!("{failure}"),
            Some(failure) if new => tracing::warn!("{}", failure.with_hint()),
            _ => {}
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside<S::State>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn carry_out<S: CountedSystem>(service: Arc<CountedService<S>>) {
    loop {
        let (order, seen) = {
            let mut inside = service.inside();
            let Some(order) = inside.order.take() else {
                inside.working = false;
                drop(inside);
                // Waiters for the end of orders see it now.
                return service.changed.notify_one();
            };
            (order, S::wanted(&inside.state))
        };
        let done = S::scale(&service, seen, order).await;
        service.complain(done.err().as_ref());
        service.core.stir.notify_one();
        service.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
