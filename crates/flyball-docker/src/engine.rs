//! The replicas of one service on a Docker host. Orders return at once and run in the background;
//! the next report shows the result. Containers outlive the engine, and the next one finds them by
//! label.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::generation::Generation;
use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_engine::GenerationInfo;

use crate::remove::carry_out;
use crate::service::Service;
use crate::settings::Publish;
use crate::{DockerError, DockerHost, DockerSettings, balancer, check, image_in_use, start, wake};

/// What a shutdown waits for starts and stops under way.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(15);

/// Runs the replicas of one service. Dropping it leaves them alone.
pub struct DockerEngine {
    host: Arc<DockerHost>,
    service: Arc<Service>,
}

impl DockerEngine {
    /// Checks the settings and asks for the service's containers, also those of earlier runs.
    ///
    /// # Errors
    /// Every [`DockerError`] of [`DockerSettings::validate`].
    pub fn new(host: Arc<DockerHost>, settings: DockerSettings) -> Result<Self, DockerError> {
        settings.validate()?;
        let service = Arc::new(Service::new(Arc::clone(&host.client), settings));
        host.add_service(&service);
        Ok(Self { host, service })
    }

    /// All that is known now, as old as the daemon's latest sign of life (a second, as a rule).
    /// Reads the CPU counters, some microseconds each; waits for nothing.
    ///
    /// Missing from the loss of the daemon until everything was listed again.
    pub fn observe(&self) -> Reading<EngineReport> {
        if self.service.follows_image() {
            // It ends with the service, and may be in the middle of a pull then.
            tokio::spawn(image_in_use::follow(Arc::clone(&self.service)));
        }
        self.service.observe()
    }

    /// Asks for a replica: the next look sees it starting. Does nothing if there is one of that
    /// name, or after [`Self::shutdown`]. A start that fails is an exit in the report. A container
    /// that sleeps is woken, under its own name.
    ///
    /// `generation`: what it is to be made as; `None` for what the service is made as now.
    pub fn start(&self, replica: &ReplicaId, generation: Option<Generation>) {
        if let Some(id) = self.service.order_wake(replica, generation) {
            let task = wake::wake(Arc::clone(&self.service), id, replica.clone());
            self.service.tasks.spawn(task);
        } else if self.service.order(replica, generation) {
            let task = start::start(Arc::clone(&self.service), replica.clone(), generation);
            self.service.tasks.spawn(task);
        }
    }

    /// Takes note that a replica passed its readiness probe. Does nothing for one that has a
    /// health check of its own, is ready, is not running, or is unknown.
    pub fn set_ready(&self, replica: &ReplicaId) {
        self.service.set_ready(replica);
    }

    /// Asks a replica to end: its stop signal now, `SIGKILL` after the grace, then removal. One that
    /// flyball did not start is put to sleep, where the service sleeps. Does nothing for one that
    /// is protected, stopping or unknown.
    pub fn stop(&self, replica: &ReplicaId) {
        carry_out(&self.service, self.service.order_end(replica));
    }

    /// Whether it needs to know now where the balancer is: some container is in several networks
    /// and none is configured as the one in which it is reached.
    pub fn wants_balancer(&self) -> bool {
        let open = Publish::ContainerAddress { network: None };
        self.service.settings().publish == open
            && self.service.has_several_networks()
            && self.service.seat().is_due()
    }

    /// Sets the host name of the balancer's machine; `None` if that is not known. Looks for it in
    /// the background: a container in several networks is reached in the one that both share.
    pub fn place_balancer(&self, host_name: Option<String>) {
        self.service.tasks.spawn(balancer::look(Arc::clone(&self.service), host_name));
    }

    /// Waits until something has changed since the last call. For one caller at a time.
    pub async fn changed(&self) {
        self.service.changed.notified().await;
    }

    /// The running containers without a CPU limit, by name: one core is assumed for each.
    pub fn unlimited(&self) -> BTreeSet<String> {
        self.service.unlimited()
    }

    /// Pulls `image`, or the one in use by its name, and makes replicas from it from now on; gives
    /// their generation. Those that run stay what they are. Takes up to ten minutes.
    ///
    /// # Errors
    /// What keeps the image from the host. For copies of a container, [`DockerError::NoImage`] if one
    /// is named, and [`DockerError::NoTemplate`] where there is nothing to copy.
    /// Nothing has changed then.
    pub async fn deploy(&self, image: Option<String>) -> Result<Generation, DockerError> {
        image_in_use::deploy(&self.service, image).await
    }

    /// Makes replicas as `settings` say from now on, where a running service can change so, of the
    /// image in use: only [`Self::deploy`] changes that. If a `deploy_follows`, they count from it.
    /// Gives the generation, as far as it is known already.
    ///
    /// # Errors
    /// What [`DockerSettings::validate`] refuses, and [`DockerError::Fixed`]. Nothing has changed
    /// then.
    pub fn reconfigure(
        &self,
        settings: DockerSettings,
        deploy_follows: bool,
    ) -> Result<Option<Generation>, DockerError> {
        settings.validate()?;
        if let Some(key) = self.service.settings().fixed_key(&settings) {
            let service = self.service.name().to_owned();
            return Err(DockerError::Fixed { service, key });
        }
        Ok(image_in_use::reconfigure(&self.service, settings, deploy_follows))
    }

    /// The generations that run or that replicas can be made as, oldest first; the last one is what
    /// they are made as now.
    pub fn generations(&self) -> Vec<GenerationInfo> {
        self.service.generations()
    }

    /// What is wrong with the service on its host. `balancer` is what the balancer's machine calls
    /// itself, as far as that is known.
    ///
    /// # Errors
    /// What keeps the host itself from being asked.
    pub async fn check(&self, balancer: Option<&str>) -> Result<check::Checked, DockerError> {
        check::look(&self.host, &self.service.settings(), balancer).await
    }

    /// Starts nothing any more, and waits at most 15 s for starts and stops under way. Containers
    /// stay.
    pub async fn shutdown(&self) {
        self.service.close();
        let tasks = &self.service.tasks;
        tasks.close();
        if tokio::time::timeout(SHUTDOWN_LIMIT, tasks.wait()).await.is_err() {
            tracing::warn!(
                service = self.service.name(),
                "docker did not finish pending requests before shutdown"
            );
        }
    }
}

impl fmt::Debug for DockerEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerEngine")
            .field("settings", &self.service.settings())
            .finish_non_exhaustive()
    }
}
