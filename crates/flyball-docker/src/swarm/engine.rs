//! The managers of a Swarm, and the replicas of one service. Orders return at once and run in the
//! background; the next report shows the result. Services outlive the engine.

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
use super::check::{self, ManagerFacts};
use super::core::{Core, Service, Swarm};
use super::error::SwarmError;
use super::settings::{ManagerSettings, SwarmSettings};
use super::watcher;
use crate::DockerError;

/// The managers of one Swarm, shared by the engines of its services. Dropping it ends the watching.
pub struct SwarmManagers {
    core: Arc<Core>,
    watcher: AbortHandle,
}

/// Looks after the count of one service. Dropping it leaves the service alone.
pub struct SwarmEngine {
    service: Arc<Service>,
}

impl SwarmManagers {
    /// Begins to watch a Swarm. No manager need run yet: until one answers, engines report nothing,
    /// and say why.
    ///
    /// # Errors
    /// [`SwarmError::NoManagers`], an address that is none, or no tokio runtime.
    pub fn open(settings: ManagerSettings) -> Result<Arc<Self>, SwarmError> {
        let Some(host) = settings.managers.first().cloned() else {
            return Err(SwarmError::NoManagers);
        };
        for host in &settings.managers {
            super::call::Manager::at(host)?;
        }
        let runtime = Handle::try_current().map_err(|_| DockerError::NoRuntime { host })?;
        let core = Swarm::shared(settings);
        let watcher = runtime.spawn(watcher::watch(Arc::clone(&core))).abort_handle();
        Ok(Arc::new(Self { core, watcher }))
    }

    /// Asks the first manager that answers what it is.
    ///
    /// # Errors
    /// Why the last one could not be asked.
    pub async fn check(&self) -> Result<ManagerFacts, SwarmError> {
        check::managers(&self.core.system.settings).await
    }

    /// The services that describe themselves by labels, in the order of their names, as the watcher
    /// saw them last, which it does each second. Sends no request; waits at most 5 s for the first
    /// answer.
    ///
    /// # Errors
    /// Why no manager can be asked, while none can.
    pub async fn discovered(&self) -> Result<Vec<Labelled>, SwarmError> {
        match self.core.listing.latest(ASK_LIMIT).await {
            Some(listing) => listing.map(|listing| listing.to_vec()),
            None => Err(DockerError::silent("list services", ASK_LIMIT).into()),
        }
    }
}

impl Drop for SwarmManagers {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl fmt::Debug for SwarmManagers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let managers = &self.core.system.settings.managers;
        f.debug_struct("SwarmManagers").field("managers", managers).finish_non_exhaustive()
    }
}

impl SwarmEngine {
    /// Checks the settings and begins to look at the service, which need not exist yet.
    ///
    /// # Errors
    /// Every [`SwarmError`] of [`SwarmSettings::validate`].
    pub fn new(managers: &SwarmManagers, settings: SwarmSettings) -> Result<Self, SwarmError> {
        settings.validate()?;
        Ok(Self { service: managers.core.add(settings) })
    }

    /// All that is known now, as old as the latest answer of a manager (a second, as a rule). Waits
    /// for nothing.
    ///
    /// Missing from the loss of the managers until one has answered everything again. A service
    /// that is not there has no replicas and is busy being away.
    pub fn observe(&self) -> Reading<EngineReport> {
        self.service.observe()
    }

    /// The machines that replicas are on, in the order of their names, as far as is known now; none
    /// before the first answer of a manager. Waits for nothing.
    pub fn nodes(&self) -> Vec<Node> {
        let agents = self.service.core.system.settings.agents.as_ref();
        let agents = agents.map(|agents| &*agents.agents);
        self.service.with_state(|state| state.spread(agents))
    }

    /// Sets the service's replicas to `to`, if they differ, and if nothing else changed it since it
    /// was last seen. Who leaves is Swarm's own choice.
    pub fn scale(&self, to: u32) {
        self.service.scale(Order { to, leaving: Vec::new() });
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

    /// What is wrong with the service.
    ///
    /// # Errors
    /// What keeps the managers themselves from being asked.
    pub async fn check(&self) -> Result<Vec<Finding>, SwarmError> {
        check::service(&self.service.core.system.settings, &self.service.settings).await
    }

    /// Waits at most 6 s for an order under way.
    pub async fn shutdown(&self) {
        self.service.shutdown().await;
    }
}

impl fmt::Debug for SwarmEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.service.settings;
        f.debug_struct("SwarmEngine").field("settings", settings).finish_non_exhaustive()
    }
}
