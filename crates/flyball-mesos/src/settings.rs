//! Settings of a cluster and of the replicas of one service on it.
//!
//! Values of variables may be secrets, and `Debug` does not show them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use flyball_core::units::Timestamp;
use flyball_zookeeper::Candidate;
use tokio::sync::watch;

use crate::{Access, MesosError};

/// A cluster, and flyball's own framework on it.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Where its leading master is.
    pub master: Master,
    /// How it and its agents are spoken to.
    pub access: Access,
    /// The role that resources are offered to; `*` for unreserved ones.
    pub role: String,
    /// Where the framework's id is kept from run to run. Losing it means losing the tasks.
    pub id_file: PathBuf,
    /// Who notes the id for whichever flyball leads next, where there are several; it is then taken
    /// from there, whatever is in the file.
    pub shared: Option<Arc<Candidate>>,
    /// The clock of all times.
    pub clock: fn() -> Timestamp,
}

/// How the leading master is found.
#[derive(Clone, Debug)]
pub enum Master {
    /// At this `HOST:PORT`, or wherever that one says.
    At(String),
    /// At the `HOST:PORT` that others keep up to date; `None` while there is no leader.
    Elected(watch::Receiver<Option<String>>),
}

/// How the replicas of a service are made.
#[derive(Clone, PartialEq)]
pub struct MesosSettings {
    /// Its name; the names of its replicas begin with it.
    pub service: String,
    /// The Docker image.
    pub image: String,
    /// The program and its arguments, or empty for the image's own. `{port}` stands for the port
    /// that the replica serves on.
    pub command: Vec<String>,
    /// Variables added to its environment; may hold secrets, so `Debug` shows names only.
    pub env: BTreeMap<String, String>,
    /// Labels of its tasks, beside flyball's own.
    pub labels: BTreeMap<String, String>,
    /// Cores that one replica is given; above 0.
    pub cpus: f64,
    /// Memory that one replica is given, in bytes.
    pub memory_bytes: u64,
    /// How it is reached.
    pub network: Network,
    /// From the stop signal to `SIGKILL`, in milliseconds; 0 kills at once.
    pub grace_ms: u64,
}

/// How requests reach a replica. Always at the address of its agent and a port that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// That port leads to this one inside of the container.
    Bridge {
        /// Above 0.
        port: u16,
    },
    /// It serves on that port itself, which it gets in `PORT` and by `{port}`.
    Host,
}

impl MesosSettings {
    /// Mesos gives no task less than this (`MIN_CPUS`).
    pub const CPUS_MIN: f64 = 0.01;
    /// Mesos gives no task less than this (`MIN_MEM`), in bytes.
    pub const MEMORY_MIN: u64 = 32 << 20;

    /// One core, 256 MiB and 10 s grace for `image`, whose `port` is mapped.
    pub fn new(service: impl Into<String>, image: impl Into<String>, port: u16) -> Self {
        Self {
            service: service.into(),
            image: image.into(),
            command: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            cpus: 1.0,
            memory_bytes: 256 << 20,
            network: Network::Bridge { port },
            grace_ms: 10_000,
        }
    }

    /// Checks what can be checked without a master.
    ///
    /// # Errors
    /// Less than what Mesos gives a task, or a port of 0.
    pub fn validate(&self) -> Result<(), MesosError> {
        let refuse = |what: &str, least: String| {
            let (service, what) = (self.service.clone(), what.to_owned());
            Err(MesosError::Setting { service, what, least })
        };
        if self.network == (Network::Bridge { port: 0 }) {
            return refuse("port 0", "1".into());
        }
        if !(self.cpus.is_finite() && self.cpus >= Self::CPUS_MIN) {
            return refuse(&format!("{} cpus", self.cpus), Self::CPUS_MIN.to_string());
        }
        if self.memory_bytes < Self::MEMORY_MIN {
            let least = format!("{} MiB", Self::MEMORY_MIN >> 20);
            return refuse(&format!("{} bytes of memory", self.memory_bytes), least);
        }
        Ok(())
    }

    /// Memory as Mesos counts it, in whole MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        self.memory_bytes.div_ceil(1 << 20)
    }
}

impl fmt::Debug for MesosSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MesosSettings")
            .field("service", &self.service)
            .field("image", &self.image)
            .field("command", &self.command)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("cpus", &self.cpus)
            .field("memory_bytes", &self.memory_bytes)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mesos_gives_no_task_is_refused_before_anybody_is_asked() {
        let usual = MesosSettings::new("web", "web:1", 80);
        assert_eq!(usual.validate(), Ok(()));
        for cpus in [0.0, -1.0, 0.001, f64::NAN, f64::INFINITY] {
            assert!(MesosSettings { cpus, ..usual.clone() }.validate().is_err(), "{cpus}");
        }
        assert!(MesosSettings { memory_bytes: 1 << 20, ..usual.clone() }.validate().is_err());
        let network = Network::Bridge { port: 0 };
        assert!(MesosSettings { network, ..usual }.validate().is_err());
    }

    #[test]
    fn debug_shows_names_of_variables_and_no_values() {
        let mut settings = MesosSettings::new("web", "web:1", 80);
        settings.env.insert("DB_PASSWORD".into(), "hunter2".into());
        let shown = format!("{settings:?}");
        assert!(shown.contains("DB_PASSWORD") && !shown.contains("hunter2"));
    }
}
