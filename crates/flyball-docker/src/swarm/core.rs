//! State shared by the watcher of a Swarm, the engines of its services and their orders.
//!
//! No lock is held during a request. Everything known carries the time of the request that it
//! answers.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

use super::answers::ServiceAnswer;
use super::call::Manager;
use super::error::SwarmError;
use super::labels::{LabelledSwarm, services_of};
use super::settings::{ManagerSettings, SwarmSettings};
use super::state::{AgentsSeen, State};

/// A manager that does not answer is reported as down, with the reason.
type Listing = Result<Arc<Vec<LabelledSwarm>>, SwarmError>;

pub(super) struct Core {
    pub(super) settings: ManagerSettings,
    /// Something is about to change: look at once, and often for a while.
    pub(super) stir: Notify,
    pub(super) tasks: TaskTracker,
    /// Whether the Swarm had no service of agents at the latest look.
    lacks_agents: AtomicBool,
    link: Mutex<Link>,
    services: Mutex<Vec<Weak<Service>>>,
    /// What labels describe; `None` before the first answer.
    listing: watch::Sender<Option<Listing>>,
}

struct Link {
    manager: Option<Manager>,
    heard_at: Timestamp,
    /// Why no request can be made, while that is so.
    down: Option<SwarmError>,
}

/// One service, shared by its engine, the watcher and its orders.
pub(super) struct Service {
    pub(super) core: Arc<Core>,
    pub(super) settings: SwarmSettings,
    pub(super) changed: Notify,
    state: Mutex<Inside>,
}

/// What is known of it, and whether that is whole.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) state: State,
    /// Whether its tasks were listed since the managers were last away.
    pub(super) listed: bool,
    /// Whether they were ever listed.
    pub(super) known: bool,
}

impl Core {
    pub(super) fn new(settings: ManagerSettings) -> Self {
        let link = Link { manager: None, heard_at: (settings.clock)(), down: None };
        Self {
            settings,
            stir: Notify::new(),
            tasks: TaskTracker::new(),
            lacks_agents: AtomicBool::new(false),
            link: Mutex::new(link),
            services: Mutex::default(),
            listing: watch::Sender::default(),
        }
    }

    pub(super) fn lacks_agents(&self) -> bool {
        self.lacks_agents.load(Relaxed)
    }

    pub(super) fn set_lacks_agents(&self, lacks: bool) {
        self.lacks_agents.store(lacks, Relaxed);
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    /// The manager that answered last.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn manager(&self) -> Result<Manager, SwarmError> {
        let link = self.link();
        match (&link.manager, &link.down) {
            (Some(manager), _) => Ok(manager.clone()),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Err(SwarmError::NoManagers),
        }
    }

    /// A manager answered everything that a look needs; it was asked at `asked_at`.
    pub(super) fn heard(&self, manager: &Manager, asked_at: Timestamp, services: &[ServiceAnswer]) {
        let was = {
            let mut link = self.link();
            link.heard_at = asked_at;
            if link.manager.is_none() {
                link.manager = Some(manager.clone());
            }
            link.down.take()
        };
        self.listing.send_replace(Some(Ok(Arc::new(services_of(services)))));
        if was.is_some() {
            tracing::info!("a swarm manager is back at {}", manager.host());
        }
    }

    /// The manager that was asked is lost, or could not be had.
    pub(super) fn lost(&self, why: &SwarmError) {
        let new = {
            let mut link = self.link();
            link.manager = None;
            let new = link.down.as_ref() != Some(why);
            link.down = Some(why.clone());
            new
        };
        self.listing.send_replace(Some(Err(why.clone())));
        for service in self.services() {
            service.inside().listed = false;
            service.changed.notify_one();
        }
        if new {
            match why.hint() {
                Some(hint) => tracing::warn!("{why}; hint: {hint}"),
                None => tracing::warn!("{why}"),
            }
        }
    }

    pub(super) fn add(&self, service: &Arc<Service>) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.retain(|known| known.strong_count() > 0);
        services.push(Arc::downgrade(service));
        drop(services);
        self.stir.notify_one();
    }

    pub(super) fn services(&self) -> Vec<Arc<Service>> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().filter_map(Weak::upgrade).collect()
    }

    /// What labels described at the latest answer; waits for the first one.
    pub(super) async fn listing(&self) -> Listing {
        let mut listing = self.listing.subscribe();
        match listing.wait_for(Option::is_some).await.map(|answer| (*answer).clone()) {
            Ok(Some(answer)) => answer,
            // The sender lives in self, so the channel does not close.
            Ok(None) | Err(_) => Ok(Arc::default()),
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    pub(super) fn new(core: Arc<Core>, settings: SwarmSettings) -> Self {
        Self { core, settings, changed: Notify::new(), state: Mutex::default() }
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The report for a look: as old as the latest answer; missing from the loss of the managers
    /// until one has answered everything again.
    pub(super) fn observe(&self) -> Reading<EngineReport> {
        let (heard_at, down) = {
            let link = self.core.link();
            (link.heard_at, link.down.as_ref().map(ToString::to_string))
        };
        let inside = self.inside();
        if let Some(why) = down {
            return Reading::Missing { since: heard_at, why };
        }
        if !inside.listed {
            let why = "the swarm has not been queried yet".to_owned();
            return Reading::Missing { since: heard_at, why };
        }
        let configured = self.core.settings.agents.as_ref();
        let report = inside.state.report(&self.settings, configured.map(|it| &*it.agents));
        let seen = match configured {
            Some(it) if self.core.lacks_agents() => AgentsSeen::Missing(&it.service),
            Some(_) | None => AgentsSeen::There,
        };
        let notices = inside.state.notices(&self.settings, seen, self.core.now());
        Reading::Taken { at: heard_at, value: EngineReport { notices, ..report } }
    }

    pub(super) fn set_ready(&self, replica: &ReplicaId) {
        if self.inside().state.set_ready(replica, self.core.now()) {
            self.changed.notify_one();
        }
    }
}
