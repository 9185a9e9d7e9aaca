//! State shared by the watcher of a Marathon, the engines of its apps and their orders.
//!
//! No lock is held during a request. Everything known carries the time of the request that it
//! answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use flyball_core::nodes::Node;
use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::sync::{Notify, watch};

use super::error::MarathonError;
use super::labels::LabelledApp;
use super::settings::{AppSettings, MarathonSettings};
use super::state::State;
use crate::Access;
use crate::agents::Agent;
use crate::nodes::nodes_of;
use crate::task::Used;
use crate::usage::{Meters, UsageSource};

/// A Marathon that does not answer is reported as down, with the reason.
type Listing = Result<Arc<Vec<LabelledApp>>, MarathonError>;

pub(super) struct Core {
    pub(super) settings: MarathonSettings,
    /// Something has changed or is about to: look at once, and often for a while.
    pub(super) stir: Notify,
    contact: Mutex<Contact>,
    services: Mutex<Vec<Weak<Service>>>,
    /// What labels describe; `None` before the first answer.
    listing: watch::Sender<Option<Listing>>,
    agents: Mutex<BTreeMap<String, Agent>>,
    /// Who is asked for CPU time.
    meters: Meters,
}

/// The Marathon that answers.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Its `HOST:PORT`.
    pub(super) at: String,
    /// Whether a count is changed by PATCH, which versions before 1.5 do not know.
    pub(super) patches: bool,
    /// The Mesos framework whose tasks are Marathon's.
    pub(super) framework: Option<String>,
}

struct Contact {
    site: Option<Site>,
    heard_at: Timestamp,
    /// Why no request can be made, while that is so.
    down: Option<MarathonError>,
}

/// One service, shared by its engine, the watcher and its orders.
pub(super) struct Service {
    pub(super) core: Arc<Core>,
    pub(super) settings: AppSettings,
    pub(super) changed: Notify,
    state: Mutex<Inside>,
}

/// What is known of it, and whether that is whole.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) state: State,
    /// Whether its tasks were listed since Marathon was last away.
    pub(super) listed: bool,
}

impl Core {
    pub(super) fn new(settings: MarathonSettings) -> Self {
        let contact = Contact { site: None, heard_at: (settings.clock)(), down: None };
        Self {
            settings,
            stir: Notify::new(),
            contact: Mutex::new(contact),
            services: Mutex::default(),
            listing: watch::Sender::default(),
            agents: Mutex::default(),
            meters: Meters::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    /// The Marathon that answered last.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn site(&self) -> Result<Site, MarathonError> {
        let contact = self.contact();
        let away = || contact.down.clone().unwrap_or(MarathonError::NoLeader);
        contact.site.clone().ok_or_else(away)
    }

    /// A Marathon answered everything that a look needs; it was asked at `asked_at`.
    pub(super) fn heard(&self, site: &Site, asked_at: Timestamp) {
        let was = {
            let mut contact = self.contact();
            contact.heard_at = asked_at;
            contact.site = Some(site.clone());
            contact.down.take()
        };
        if was.is_some() {
            tracing::info!("marathon is back at {}", site.at);
        }
    }

    /// The Marathon that was asked is lost, or could not be had.
    pub(super) fn lost(&self, why: &MarathonError) {
        let new = {
            let mut contact = self.contact();
            contact.site = None;
            let new = contact.down.as_ref() != Some(why);
            contact.down = Some(why.clone());
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

    pub(super) fn found(&self, labelled: Vec<LabelledApp>) {
        self.listing.send_replace(Some(Ok(Arc::new(labelled))));
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

    /// The agents that Mesos has now.
    pub(super) fn set_agents(&self, agents: BTreeMap<String, Agent>) {
        *self.agents.lock().unwrap_or_else(PoisonError::into_inner) = agents;
    }

    fn contact(&self) -> MutexGuard<'_, Contact> {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UsageSource for Core {
    fn now(&self) -> Timestamp {
        Core::now(self)
    }

    fn access(&self) -> &Access {
        &self.settings.mesos_access
    }

    fn meters(&self) -> &Meters {
        &self.meters
    }

    fn busy_agents(&self) -> BTreeMap<String, Agent> {
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut busy = BTreeMap::new();
        for service in self.services() {
            for id in service.inside().state.running() {
                if let Some(agent) = agents.get(id) {
                    busy.entry(id.to_owned()).or_insert_with(|| agent.clone());
                }
            }
        }
        busy
    }

    fn counted(&self, framework: &str, task: &str, used: Used) {
        let ours = self.contact().site.as_ref().and_then(|site| site.framework.clone());
        // A Marathon that does not name its framework still has task ids that are unique.
        if ours.is_none_or(|ours| ours == framework) {
            let services = self.services();
            let _found = services.iter().any(|it| it.inside().state.counted(task, used));
        }
    }
}

impl Service {
    pub(super) fn new(core: Arc<Core>, settings: AppSettings) -> Self {
        Self { core, settings, changed: Notify::new(), state: Mutex::default() }
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The report for a look: as old as the latest answer; missing from the loss of Marathon until
    /// one has answered everything again.
    pub(super) fn observe(&self) -> Reading<EngineReport> {
        let (heard_at, down) = {
            let contact = self.core.contact();
            (contact.heard_at, contact.down.as_ref().map(ToString::to_string))
        };
        let inside = self.inside();
        let unlisted = || (!inside.listed).then(|| "marathon has not been queried yet".to_owned());
        match down.or_else(unlisted) {
            Some(why) => Reading::Missing { since: heard_at, why },
            None => {
                let value = inside.state.report(&self.settings, self.core.now());
                Reading::Taken { at: heard_at, value }
            }
        }
    }

    /// Which agents the replicas are on.
    pub(super) fn nodes(&self) -> Vec<Node> {
        let inside = self.inside();
        let agents = self.core.agents.lock().unwrap_or_else(PoisonError::into_inner);
        nodes_of(&inside.state.placed(), &agents, &self.core.meters)
    }

    pub(super) fn set_ready(&self, replica: &ReplicaId) {
        if self.inside().state.set_ready(replica, self.core.now()) {
            self.changed.notify_one();
        }
    }
}
