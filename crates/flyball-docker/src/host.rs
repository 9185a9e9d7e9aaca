//! One Docker host, shared by the engines of its services.
//!
//! Every call has a deadline, expensive calls are limited in number, and everything known carries
//! the time at which the host last answered.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bollard::models::{ContainerSummary, SystemInfoCgroupDriverEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use flyball_cgroup::Hierarchies;
use flyball_core::units::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::discovery::{Discovery, Seen, discover};
use crate::labels::SERVICE;
use crate::ports::Ports;
use crate::provenance::Origins;
use crate::service::Service;
use crate::{DockerError, HostSettings, watcher};

/// For questions that the daemon answers from memory.
pub(crate) const ASK_LIMIT: Duration = Duration::from_secs(5);
/// An inspection waits while the daemon starts or stops that very container.
pub(crate) const INSPECT_LIMIT: Duration = Duration::from_secs(15);
/// Longer than any call's own deadline, so that those decide: a day, since a grace may be hours.
const CLIENT_LIMIT_S: u64 = 86_400;
/// NanoCpus came with 1.25, negotiable event filters before that.
const OLDEST_API: ClientVersion = ClientVersion { major_version: 1, minor_version: 25 };
/// Stops cost the daemon less than starts, and mostly wait for the application.
const ENDS_AT_ONCE: usize = 16;
const INSPECTIONS_AT_ONCE: usize = 8;

/// One connection to one Docker daemon. Dropping it ends the watching; containers stay.
pub struct DockerHost {
    pub(crate) core: Arc<Core>,
    pump: AbortHandle,
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

/// What the watcher, the engines and their tasks have in common.
pub(crate) struct Core {
    pub(crate) settings: HostSettings,
    /// An address of the machine that the daemon runs on.
    pub(crate) machine: IpAddr,
    pub(crate) hierarchies: Option<Hierarchies>,
    pub(crate) ports: Ports,
    /// Starting is work for processors: more at once than there are makes each one slower.
    pub(crate) starts: Semaphore,
    pub(crate) ends: Semaphore,
    pub(crate) inspections: Semaphore,
    /// One image is pulled once, however many replicas wait for it.
    pub(crate) pull: tokio::sync::Mutex<()>,
    /// A new engine needs the current list.
    pub(crate) relist: Notify,
    /// Who wrote the labels of which container.
    pub(crate) origins: Origins,
    /// Every container with a label of ours as last listed; `None` before the first answer.
    listing: watch::Sender<Option<Listing>>,
    /// Whether the daemon keeps the CPU time of containers apart; `None` until it was asked.
    counts_cpu: Mutex<Option<bool>>,
    link: Mutex<Link>,
    services: Mutex<Vec<Weak<Service>>>,
}

type Listing = Result<Arc<Vec<Seen>>, DockerError>;

struct Link {
    docker: Option<Docker>,
    spoke_at: Timestamp,
    /// Why the daemon cannot be asked, while it cannot.
    down: Option<DockerError>,
}

/// What a look reports about the connection.
pub(crate) struct Heard {
    pub(crate) at: Timestamp,
    pub(crate) down: Option<String>,
}

impl DockerHost {
    /// Begins to watch a host. It need not run yet: until it answers, engines report nothing, and
    /// say why.
    ///
    /// # Errors
    /// [`DockerError::Address`], or [`DockerError::NoRuntime`] outside of a tokio runtime.
    pub fn open(settings: HostSettings) -> Result<Arc<Self>, DockerError> {
        let host = settings.host.clone();
        let runtime =
            Handle::try_current().map_err(|_| DockerError::NoRuntime { host: host.clone() })?;
        let machine = machine_of(&host).ok_or(DockerError::Address { host })?;
        let hierarchies = settings.cgroup_mount.as_deref().and_then(|mount| {
            Hierarchies::at(mount)
                .inspect_err(
                    |error| tracing::warn!(%error, "reading CPU usage from docker instead"),
                )
                .ok()
        });
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let link = Link { docker: None, spoke_at: (settings.clock)(), down: None };
        let core = Arc::new(Core {
            settings,
            machine,
            hierarchies,
            ports: Ports::default(),
            starts: Semaphore::new(cores),
            ends: Semaphore::new(ENDS_AT_ONCE),
            inspections: Semaphore::new(INSPECTIONS_AT_ONCE),
            pull: tokio::sync::Mutex::default(),
            relist: Notify::new(),
            origins: Origins::default(),
            listing: watch::Sender::default(),
            counts_cpu: Mutex::default(),
            link: Mutex::new(link),
            services: Mutex::default(),
        });
        let pump = runtime.spawn(watcher::watch(Arc::clone(&core))).abort_handle();
        Ok(Arc::new(Self { core, pump }))
    }

    /// Asks the daemon what it is. Facts that flyball can work without may be missing: a proxy in
    /// front of its socket may not let that question pass.
    ///
    /// # Errors
    /// What keeps flyball from working with it: not running, no permission, too old, silent.
    pub async fn check(&self) -> Result<DaemonFacts, DockerError> {
        let docker = self.core.connect().await?;
        let what = "read its version";
        let version = self.core.ask(what, ASK_LIMIT, docker.version()).await?;
        let info = self.core.ask("read its system information", ASK_LIMIT, docker.info()).await;
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

    /// What containers declare by their labels.
    ///
    /// # Errors
    /// Any failure to list containers; no containers is an empty list.
    pub async fn discover(&self) -> Result<Discovery, DockerError> {
        let docker = self.core.connect().await?;
        Ok(discover(&self.core.see_with(&docker).await?))
    }

    /// The same as the watcher listed them last, which it does every few seconds and whenever
    /// somebody else made a container. Asks the daemon nothing; waits for the first answer.
    ///
    /// # Errors
    /// Why the daemon cannot be asked, while it cannot.
    pub async fn discovered(&self) -> Result<Discovery, DockerError> {
        let mut listing = self.core.listing.subscribe();
        match timeout(ASK_LIMIT, listing.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => match answer.as_ref() {
                Some(Ok(all)) => Ok(discover(all)),
                Some(Err(why)) => Err(why.clone()),
                None => Ok(Discovery::default()),
            },
            _ => Err(DockerError::silent("list containers", ASK_LIMIT)),
        }
    }
}

impl Drop for DockerHost {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl fmt::Debug for DockerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerHost").field("host", &self.core.settings.host).finish_non_exhaustive()
    }
}

impl Core {
    /// A connection that speaks a version both sides know.
    pub(crate) async fn connect(&self) -> Result<Docker, DockerError> {
        let host = &self.settings.host;
        let docker = match host.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_unix(path, CLIENT_LIMIT_S, API_DEFAULT_VERSION),
            None => Docker::connect_with_http(host, CLIENT_LIMIT_S, API_DEFAULT_VERSION),
        };
        let docker = docker.map_err(|error| DockerError::of(host, "connect", &error))?;
        let docker = self.ask("agree on a version", ASK_LIMIT, docker.negotiate_version()).await?;
        let spoken = docker.client_version();
        if spoken < OLDEST_API {
            let (host, needed) = (host.clone(), OLDEST_API.to_string());
            return Err(DockerError::TooOld { host, found: spoken.to_string(), needed });
        }
        Ok(docker)
    }

    /// What the watcher's connection answers.
    ///
    /// # Errors
    /// At once while there is no connection; [`DockerError::Silent`] after `limit`.
    pub(crate) async fn call<T, F>(
        &self,
        what: &str,
        limit: Duration,
        request: impl FnOnce(Docker) -> F,
    ) -> Result<T, DockerError>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let docker = self.docker()?;
        self.ask(what, limit, request(docker)).await
    }

    pub(crate) async fn ask<T>(
        &self,
        what: &str,
        limit: Duration,
        answer: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, DockerError> {
        match timeout(limit, answer).await {
            Ok(answer) => {
                answer.map_err(|error| DockerError::of(&self.settings.host, what, &error))
            }
            Err(_) => Err(DockerError::silent(what, limit)),
        }
    }

    pub(crate) fn docker(&self) -> Result<Docker, DockerError> {
        let link = self.link();
        link.docker.clone().ok_or_else(|| {
            let (host, why) = (self.settings.host.clone(), "not connected yet".to_owned());
            link.down.clone().unwrap_or(DockerError::NotRunning { host, why })
        })
    }

    /// Keeps a listing for service discovery.
    pub(crate) fn keep_listing(&self, all: Vec<Seen>) -> Arc<Vec<Seen>> {
        let all = Arc::new(all);
        self.listing.send_replace(Some(Ok(Arc::clone(&all))));
        all
    }

    /// Every container with a label of ours, running or not, and what its labels are worth.
    pub(crate) async fn see(self: &Arc<Self>) -> Result<Vec<Seen>, DockerError> {
        self.see_with(&self.docker()?).await
    }

    pub(crate) async fn see_with(
        self: &Arc<Self>,
        docker: &Docker,
    ) -> Result<Vec<Seen>, DockerError> {
        let all = self.list_with(docker).await?;
        let ids: BTreeSet<&str> = all.iter().filter_map(|c| c.id.as_deref()).collect();
        self.origins.retain(&ids);
        self.tell_apart(docker, &ids).await;
        let seen = |summary: ContainerSummary| {
            let labels = summary.labels.as_ref();
            let standing = summary.id.as_deref().zip(labels);
            let standing = standing.and_then(|(id, labels)| self.standing_of(id, labels));
            (summary, standing)
        };
        Ok(all.into_iter().map(seen).collect())
    }

    async fn list_with(&self, docker: &Docker) -> Result<Vec<ContainerSummary>, DockerError> {
        let filters = HashMap::from([("label", vec![SERVICE])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        self.ask("list containers", ASK_LIMIT, docker.list_containers(Some(options))).await
    }

    /// Whether the daemon keeps the CPU time of containers apart; `None` until it was asked.
    pub(crate) fn counts_cpu(&self) -> Option<bool> {
        *self.counts_cpu.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_counts_cpu(&self, apart: bool) {
        *self.counts_cpu.lock().unwrap_or_else(PoisonError::into_inner) = Some(apart);
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    /// The daemon has just said something.
    pub(crate) fn spoke(&self) {
        let now = self.now();
        self.link().spoke_at = now;
    }

    /// There is a connection; what it says is not complete before the first listing.
    pub(crate) fn connected(&self, docker: Docker) {
        let was = {
            let mut link = self.link();
            link.docker = Some(docker);
            link.down.take()
        };
        self.spoke();
        if was.is_some() {
            tracing::info!("docker is back at {}", self.settings.host);
        }
    }

    /// The connection is lost, or could not be had.
    pub(crate) fn lost(&self, why: DockerError) {
        let changed = {
            let mut link = self.link();
            link.docker = None;
            let changed = link.down.as_ref() != Some(&why);
            link.down = Some(why.clone());
            changed
        };
        self.listing.send_replace(Some(Err(why.clone())));
        if changed {
            match why.hint() {
                Some(hint) => tracing::warn!("{why}; hint: {hint}"),
                None => tracing::warn!("{why}"),
            }
            self.services().iter().for_each(|service| service.lost());
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        let link = self.link();
        Heard { at: link.spoke_at, down: link.down.as_ref().map(ToString::to_string) }
    }

    /// From now on `service` gets updates about its containers, starting with a full list.
    pub(crate) fn add_service(&self, service: &Arc<Service>) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.retain(|known| known.strong_count() > 0);
        services.push(Arc::downgrade(service));
        drop(services);
        self.relist.notify_one();
    }

    pub(crate) fn services(&self) -> Vec<Arc<Service>> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().filter_map(Weak::upgrade).collect()
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the machine behind `host`; `None` if that is no address.
fn machine_of(host: &str) -> Option<IpAddr> {
    if let Some(path) = host.strip_prefix("unix://") {
        return path.starts_with('/').then_some(Ipv4Addr::LOCALHOST.into());
    }
    let place = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://"))?;
    let place = place.trim_end_matches('/').replacen("localhost:", "127.0.0.1:", 1);
    place.parse::<SocketAddr>().ok().map(|place| place.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_this_machine_and_an_address_its_own() {
        let machine = |host| machine_of(host).map(|ip| ip.to_string());
        assert_eq!(machine("unix:///run/docker.sock").as_deref(), Some("127.0.0.1"));
        assert_eq!(machine("tcp://localhost:2375").as_deref(), Some("127.0.0.1"));
        assert_eq!(machine("tcp://10.1.2.3:2375/").as_deref(), Some("10.1.2.3"));
        for bad in ["", "docker.sock", "unix://docker.sock", "ssh://me@there", "tcp://there"] {
            assert_eq!(machine(bad), None, "{bad}");
        }
    }
}
