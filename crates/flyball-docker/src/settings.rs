//! Settings of a Docker host and of the replicas of one service on it.
//!
//! Environment values may be secrets and are never shown.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use flyball_core::units::Timestamp;

use crate::{DockerError, Members, Signer};

/// Where Docker listens nearly everywhere.
pub const USUAL_HOST: &str = "unix:///var/run/docker.sock";

/// How one Docker host is reached.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// `unix:///PATH`, or `tcp://IP:PORT` without encryption.
    pub host: String,
    /// Where cgroups are mounted, to read CPU time from files; `None` asks the daemon instead,
    /// which is a thousand times dearer and a second late.
    pub cgroup_mount: Option<PathBuf>,
    /// What every reading is stamped with.
    pub clock: fn() -> Timestamp,
    /// What shows which containers flyball started.
    pub signer: Arc<Signer>,
    /// Whether a label counts also where a container has it from its image.
    pub labels_from_images: bool,
    /// The folder of the configuration of Docker's own client, for its credentials.
    pub docker_config: Option<PathBuf>,
}

/// How the replicas of one service are run.
#[derive(Clone, PartialEq)]
pub struct DockerSettings {
    /// The name of the service; container names begin with it.
    pub service: String,
    /// The image; without one, the service's newest container is copied.
    pub image: Option<String>,
    /// Which containers are replicas beside those that flyball started.
    pub members: Members,
    /// In what a copy may have more than its original.
    pub granted: ExtraRights,
    /// The command, in place of the image's own; empty leaves that. `{port}` in any part becomes
    /// the port that the replica serves on.
    pub command: Vec<String>,
    /// Added to the image's own environment. `PORT` is set to the port unless it is named here.
    pub env: BTreeMap<String, String>,
    /// Labels beside flyball's own.
    pub labels: BTreeMap<String, String>,
    /// Cores that one replica may use; `None` for no limit, or for that of the copied container.
    pub cpus: Option<f64>,
    /// Memory that one replica may use; `None` as with `cpus`.
    pub memory_bytes: Option<u64>,
    /// The port that a replica serves on inside of its container; above 0.
    pub port: u16,
    /// How requests reach it.
    pub publish: Publish,
    /// The networks that it joins, the first one at its creation; empty for Docker's default. A
    /// copy joins all those of the copied container, which must be in each of these.
    pub networks: Vec<String>,
    /// The log driver; `None` for the daemon's default, or for that of the copied container.
    pub log_driver: Option<String>,
    /// Options of the log driver.
    pub log_options: BTreeMap<String, String>,
    /// From the stop signal to `SIGKILL`, in milliseconds, rounded up to whole seconds; 0 kills
    /// at once. `None` for what the container says itself (`--stop-timeout`), or Docker's 10 s.
    pub grace_ms: Option<u64>,
    /// What happens, while the service sleeps, to a container that flyball did not start; `None`:
    /// the service does not sleep.
    pub sleep: Option<SleepMode>,
}

/// What happens to a container that sleeps and that flyball did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SleepMode {
    /// It is stopped, and stays.
    Stop,
    /// It is frozen.
    Pause,
}

/// In what a copy may have more than its original, because the operator said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraRights {
    /// Its limit of cores.
    pub cpus: bool,
    /// Its limit of memory.
    pub memory: bool,
    /// The networks that it is in, that of the host included.
    pub networks: bool,
    /// A port that others than the Docker host itself reach.
    pub ports: bool,
    /// Where its output goes.
    pub log: bool,
}

/// How requests reach a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    /// Its port is published at a free port of this address of the host. Docker's own proxy takes
    /// part in every request to a loopback address.
    Address(IpAddr),
    /// At the container's own address in this network: cheaper, but only on the host itself.
    ContainerAddress {
        /// The network's name, as Docker or as the container's Compose file calls it; `None` for
        /// the only one, or for the one that the balancer is in, too.
        network: Option<String>,
    },
    /// It shares the host's network and serves on a free port that it gets in `PORT` and `{port}`:
    /// the cheapest, and the quickest to start.
    HostNetwork,
}

impl Default for Publish {
    fn default() -> Self {
        Self::Address(Ipv4Addr::LOCALHOST.into())
    }
}

impl DockerSettings {
    /// Docker's own least share of a client.
    const CPUS_MIN: f64 = 0.01;
    /// Leaves room for the number within what a host name may have (255).
    const NAME_CHARS_MAX: usize = 128;

    /// Copies the newest container of `service`, published on 127.0.0.1, with its own grace. Nobody
    /// else's container is a replica, and a copy has no more than its original.
    pub fn new(service: impl Into<String>, port: u16) -> Self {
        Self {
            service: service.into(),
            image: None,
            members: Members::default(),
            granted: ExtraRights::default(),
            command: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            cpus: None,
            memory_bytes: None,
            port,
            publish: Publish::default(),
            networks: Vec::new(),
            log_driver: None,
            log_options: BTreeMap::new(),
            grace_ms: None,
            sleep: None,
        }
    }

    /// Checks what can be checked without the daemon.
    ///
    /// # Errors
    /// A service name that no container can bear, a port of 0, a CPU limit under 0.01.
    pub fn validate(&self) -> Result<(), DockerError> {
        let service = || self.service.clone();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let named = self.service.starts_with(|c: char| c.is_ascii_alphanumeric())
            && self.service.chars().all(plain)
            && self.service.len() <= Self::NAME_CHARS_MAX;
        if !named {
            return Err(DockerError::ServiceName { service: service() });
        }
        if self.port == 0 {
            return Err(DockerError::PortZero { service: service() });
        }
        match self.cpus {
            Some(cores) if !(cores.is_finite() && cores >= Self::CPUS_MIN) => {
                Err(DockerError::Cpus { service: service(), cores })
            }
            _ => Ok(()),
        }
    }

    /// A key that cannot change to `wanted` while the service runs: what it would change is known of
    /// containers that run already.
    pub(crate) fn fixed_key(&self, wanted: &Self) -> Option<&'static str> {
        let pairs = [
            ("port", self.port != wanted.port),
            (
                "reach, or the network of its containers' own addresses",
                self.publish != wanted.publish,
            ),
            ("adopt", self.members != wanted.members),
            (
                "from an image to copies of a container, or back",
                self.image.is_some() != wanted.image.is_some(),
            ),
        ];
        pairs.into_iter().find(|(_, differs)| *differs).map(|(key, _)| key)
    }

    /// For a copy of what was made by such settings, which has in it what they add.
    pub(crate) fn as_copied(&self) -> Self {
        Self {
            command: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            cpus: None,
            memory_bytes: None,
            log_driver: None,
            log_options: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// The grace as Docker takes it.
    pub(crate) fn grace_s(&self) -> Option<i32> {
        let grace_ms = self.grace_ms?;
        Some(i32::try_from(grace_ms.div_ceil(1000)).unwrap_or(i32::MAX))
    }
}

impl fmt::Debug for DockerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerSettings")
            .field("service", &self.service)
            .field("image", &self.image)
            .field("members", &self.members)
            .field("granted", &self.granted)
            .field("command", &self.command)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("port", &self.port)
            .field("publish", &self.publish)
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_container_can_be_is_refused_before_anybody_is_asked() {
        assert_eq!(DockerSettings::new("web", 80).validate(), Ok(()));
        for name in ["", "-web", "we b", "wéb", &"w".repeat(300)] {
            let refused = DockerSettings::new(name, 80).validate();
            assert!(matches!(refused, Err(DockerError::ServiceName { .. })), "{name}");
        }
        let no_port = DockerSettings::new("web", 0).validate();
        assert!(matches!(no_port, Err(DockerError::PortZero { .. })));
        for cores in [0.0, -1.0, 0.001, f64::NAN, f64::INFINITY] {
            let limited = DockerSettings { cpus: Some(cores), ..DockerSettings::new("web", 80) };
            assert!(matches!(limited.validate(), Err(DockerError::Cpus { .. })), "{cores}");
        }
    }

    #[test]
    fn debug_shows_names_of_variables_and_no_values() {
        let mut settings = DockerSettings::new("web", 80);
        settings.env.insert("DB_PASSWORD".into(), "hunter2".into());
        let shown = format!("{settings:?}");
        assert!(shown.contains("DB_PASSWORD") && !shown.contains("hunter2"));
    }
}
