//! The connection to one Docker daemon. Every call has a deadline, expensive calls are limited in
//! number, and everything known carries the time at which the daemon last answered.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use flyball_cgroup::Hierarchies;
use flyball_core::units::Timestamp;
use flyball_engine::ports::Ports;
use flyball_engine::{Hint as _, Link, Listing};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::discovery::Seen;
use crate::origins::Origins;
use crate::{DockerError, HostSettings};

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

/// One Docker daemon, as the watcher, the engines and their tasks ask it.
pub(crate) struct Client {
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
    /// Every container with a label of ours.
    pub(crate) listing: Listing<Vec<Seen>, DockerError>,
    /// Whether the daemon keeps the CPU time of containers apart; `None` until it was asked.
    counts_cpu: Mutex<Option<bool>>,
    link: Mutex<Link<Docker, DockerError>>,
}

/// What a look reports about the connection.
pub(crate) struct Heard {
    pub(crate) at: Timestamp,
    pub(crate) down: Option<String>,
}

impl Client {
    /// # Errors
    /// [`DockerError::Address`].
    pub(crate) fn of(settings: HostSettings) -> Result<Self, DockerError> {
        let host = settings.host.clone();
        let machine = machine_of(&host).ok_or(DockerError::Address { host })?;
        let hierarchies = settings.cgroup_mount.as_deref().and_then(|mount| {
            Hierarchies::at(mount)
                .inspect_err(
                    |error| tracing::warn!(%error, "reading CPU usage from docker instead"),
                )
                .ok()
        });
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let link = Link::new((settings.clock)());
        Ok(Self {
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
            listing: Listing::default(),
            counts_cpu: Mutex::default(),
            link: Mutex::new(link),
        })
    }

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
        self.link().connection(|| DockerError::NotRunning {
            host: self.settings.host.clone(),
            why: "not connected yet".to_owned(),
        })
    }

    /// Keeps a listing for service discovery.
    pub(crate) fn keep_listing(&self, all: Vec<Seen>) -> Arc<Vec<Seen>> {
        let all = Arc::new(all);
        self.listing.set(Arc::clone(&all));
        all
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
        self.link().heard(now);
    }

    /// There is a connection; what it says is not complete before the first listing.
    pub(crate) fn connected(&self, docker: Docker) {
        let now = self.now();
        if self.link().connected(docker, now) {
            tracing::info!("docker is back at {}", self.settings.host);
        }
    }

    /// The connection is lost, or could not be had; true if that is new.
    pub(crate) fn lost(&self, why: &DockerError) -> bool {
        let new = self.link().lost(why.clone());
        self.listing.lost(why.clone());
        if new {
            tracing::warn!("{}", why.with_hint());
        }
        new
    }

    pub(crate) fn heard(&self) -> Heard {
        let link = self.link();
        Heard { at: link.heard_at(), down: link.down().map(ToString::to_string) }
    }

    fn link(&self) -> MutexGuard<'_, Link<Docker, DockerError>> {
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
