//! One Docker host, shared by the engines of its services.

use std::fmt;
use std::sync::Arc;

use bollard::models::SystemInfoCgroupDriverEnum;
use flyball_engine::Services;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::client::{ASK_LIMIT, Client};
use crate::discovery::{Discovery, discover};
use crate::service::Service;
use crate::{DockerError, HostSettings, watcher};

/// One connection to one Docker daemon. Dropping it ends the watching; containers stay.
pub struct DockerHost {
    pub(crate) client: Arc<Client>,
    services: Arc<Services<Service>>,
    watcher: AbortHandle,
}

/// What the daemon says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonFacts {
    /// Its version.
    pub version: String,
    /// The newest version of the API that it speaks.
    pub api: String,
    /// The processors of its machine; `None` where it does not let itself be asked.
    pub cores: Option<usize>,
    /// Whether it keeps the CPU time of containers apart; `None` as above.
    pub counts_cpu: Option<bool>,
}

impl DockerHost {
    /// Begins to watch a host. It need not run yet: until it answers, engines report nothing, and
    /// say why.
    ///
    /// # Errors
    /// [`DockerError::Address`], or [`DockerError::NoRuntime`] outside of a tokio runtime.
    pub fn open(settings: HostSettings) -> Result<Arc<Self>, DockerError> {
        let host = settings.host.clone();
        let runtime = Handle::try_current().map_err(|_| DockerError::NoRuntime { host })?;
        let client = Arc::new(Client::of(settings)?);
        let services: Arc<Services<Service>> = Arc::default();
        let watched = watcher::watch(Arc::clone(&client), Arc::clone(&services));
        let watcher = runtime.spawn(watched).abort_handle();
        Ok(Arc::new(Self { client, services, watcher }))
    }

    /// Asks the daemon what it is. Facts that flyball can work without may be missing: a proxy in
    /// front of its socket may not let that question pass.
    ///
    /// # Errors
    /// What keeps flyball from working with it: not running, no permission, too old, silent.
    pub async fn check(&self) -> Result<DaemonFacts, DockerError> {
        let docker = self.client.connect().await?;
        let what = "read its version";
        let version = self.client.ask(what, ASK_LIMIT, docker.version()).await?;
        let info = self.client.ask("read its system information", ASK_LIMIT, docker.info()).await;
        let info = info.inspect_err(|error| tracing::debug!(%error, "no system information"));
        let info = info.ok();
        let cores = info.as_ref().and_then(|info| usize::try_from(info.ncpu?).ok());
        let driver = info.as_ref().and_then(|info| info.cgroup_driver);
        Ok(DaemonFacts {
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            cores: cores.filter(|cores| *cores > 0),
            counts_cpu: driver.map(|driver| driver != SystemInfoCgroupDriverEnum::NONE),
        })
    }

    /// From now on `service` gets updates about its containers, starting with a full list.
    pub(crate) fn add_service(&self, service: &Arc<Service>) {
        self.services.add(service);
        self.client.relist.notify_one();
    }

    /// What containers declare by their labels.
    ///
    /// # Errors
    /// Any failure to list containers; no containers is an empty list.
    pub async fn discover(&self) -> Result<Discovery, DockerError> {
        let docker = self.client.connect().await?;
        Ok(discover(&self.client.see_with(&docker).await?))
    }

    /// The same as the watcher listed them last, which it does every few seconds and whenever
    /// somebody else made a container. Asks the daemon nothing; waits for the first answer.
    ///
    /// # Errors
    /// Why the daemon cannot be asked, while it cannot.
    pub async fn discovered(&self) -> Result<Discovery, DockerError> {
        match self.client.listing.latest(ASK_LIMIT).await {
            Some(listing) => listing.map(|all| discover(&all)),
            None => Err(DockerError::silent("list containers", ASK_LIMIT)),
        }
    }
}

impl Drop for DockerHost {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl fmt::Debug for DockerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerHost")
            .field("host", &self.client.settings.host)
            .finish_non_exhaustive()
    }
}
