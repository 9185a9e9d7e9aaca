//! One Marathon, and the replicas of one service. Orders return at once and run in the background;
//! the next report shows the result. Apps outlive the engine.

use std::fmt;
use std::sync::Arc;

use flyball_core::nodes::Node;
use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_engine::Finding;
use flyball_engine::counted::Order;
use flyball_engine::labels::Labelled;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::call::ASK_LIMIT;
use super::check::{self, MarathonFacts};
use super::core::{self, Apps, Core, Service};
use super::error::MarathonError;
use super::settings::{AppSettings, MarathonPlaces, MarathonSettings};
use super::{meters, watcher};
use crate::http::host_and_port;
use crate::usage;

/// One Marathon, shared by the engines of its apps. Dropping it ends the watching.
///
/// | source | reports | delay |
/// |---|---|---|
/// | event stream | any change of a watched app | about 100 ms |
/// | reading the apps again | the same, if events are lost | 1 s |
/// | launch queue | why tasks do not start | 1 s, while some are missing |
/// | statistics of the Mesos agents | CPU usage | 1 s |
pub struct Marathon {
    core: Arc<Core>,
    tasks: Vec<AbortHandle>,
}

/// Looks after the count of one app. Dropping it leaves the app alone.
pub struct MarathonEngine {
    service: Arc<Service>,
}

impl Marathon {
    /// Begins to watch a Marathon, which need not run yet: until it answers, engines report nothing,
    /// and say why.
    ///
    /// # Errors
    /// [`MarathonError::Address`], or [`MarathonError::NoRuntime`].
    pub fn open(settings: MarathonSettings) -> Result<Arc<Self>, MarathonError> {
        let runtime = Handle::try_current().map_err(|_| MarathonError::NoRuntime)?;
        if let MarathonPlaces::At(all) = &settings.places {
            let wrong = all.iter().find(|at| host_and_port(at).is_none()).cloned();
            if wrong.is_some() || all.is_empty() {
                return Err(MarathonError::Address { at: wrong.unwrap_or_default() });
            }
        }
        let mesos = settings.mesos.clone();
        let core = Apps::shared(settings);
        let mut tasks = vec![runtime.spawn(watcher::watch(Arc::clone(&core))).abort_handle()];
        if let Some(master) = mesos {
            tasks.push(runtime.spawn(meters::follow(Arc::clone(&core), master)).abort_handle());
            tasks.push(runtime.spawn(usage::follow(Arc::clone(&core))).abort_handle());
        }
        Ok(Arc::new(Self { core, tasks }))
    }

    /// Asks the first Marathon that answers what it is.
    ///
    /// # Errors
    /// Why the last one could not be asked.
    pub async fn check(&self) -> Result<MarathonFacts, MarathonError> {
        check::marathon(&self.core.system.settings).await
    }

    /// The apps that describe themselves by labels, in the order of their names, as the watcher saw
    /// them last, some 2 s ago at most. Sends no request; waits at most 5 s for the first answer.
    ///
    /// # Errors
    /// Why Marathon cannot be asked, while it cannot.
    pub async fn discovered(&self) -> Result<Vec<Labelled>, MarathonError> {
        match self.core.listing.latest(ASK_LIMIT).await {
            Some(listing) => listing.map(|listing| listing.to_vec()),
            None => Err(crate::http::silent("marathon", "list apps", ASK_LIMIT).into()),
        }
    }
}

impl Drop for Marathon {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Marathon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = &self.core.system.settings.places;
        f.debug_struct("Marathon").field("places", places).finish_non_exhaustive()
    }
}

impl MarathonEngine {
    /// Checks the settings and begins to look at the app, which need not exist yet.
    ///
    /// # Errors
    /// Every [`MarathonError`] of [`AppSettings::validate`].
    pub fn new(marathon: &Marathon, settings: AppSettings) -> Result<Self, MarathonError> {
        settings.validate()?;
        Ok(Self { service: marathon.core.add(settings) })
    }

    /// All that is known now, as old as Marathon's latest answer (a second, as a rule). CPU counters
    /// are those of the Mesos agents, at most 5 s old. Waits for nothing.
    ///
    /// Missing from the loss of Marathon until one has answered everything again. An app that is
    /// not there has no replicas and is busy being away.
    pub fn observe(&self) -> Reading<EngineReport> {
        self.service.observe()
    }

    /// The Mesos agents that replicas are on, in the order of their names, as far as is known now. Waits
    /// for nothing.
    pub fn nodes(&self) -> Vec<Node> {
        core::nodes(&self.service)
    }

    /// Sets the app's instances to `to` and, where that is fewer, ends those of `leaving`, if
    /// nothing changed it since it was last seen. Does nothing during an external deployment.
    pub fn scale(&self, to: u32, leaving: &[ReplicaId]) {
        self.service.scale(Order { to, leaving: leaving.to_vec() });
    }

    /// Takes note that a replica passed its readiness probe. Does nothing for one that does not run
    /// or is unknown.
    pub fn set_ready(&self, replica: &ReplicaId) {
        self.service.set_ready(replica);
    }

    /// Waits until something has changed since the last call. For one caller at a time.
    pub async fn changed(&self) {
        self.service.changed().await;
    }

    /// What is wrong with the app.
    ///
    /// # Errors
    /// What keeps Marathon itself from being asked.
    pub async fn check(&self) -> Result<Vec<Finding>, MarathonError> {
        check::app(&self.service.core.system.settings, &self.service.settings).await
    }

    /// Waits at most 6 s for an order under way.
    pub async fn shutdown(&self) {
        self.service.shutdown().await;
    }
}

impl fmt::Debug for MarathonEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.service.settings;
        f.debug_struct("MarathonEngine").field("settings", settings).finish_non_exhaustive()
    }
}
