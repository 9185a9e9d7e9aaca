//! A replica as a container of the Docker host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::engine::{container_cpus, port, refuse_reserved_labels};
use super::{ServiceKeys, SleepMode, sleep};
use crate::reader::{ConfigError, Reports, Syntax};

/// A replica as a container. What is `None` or empty is as the image has it or, where a container
/// is copied, as that one has it.
#[derive(Clone, PartialEq)]
pub struct Container {
    /// The image; `None`: the newest container that is labelled `flyball.service=NAME` is copied.
    pub image: Option<String>,
    /// Whether containers that flyball did not start are also replicas, by their label. For a
    /// service defined by labels, those of its owner always are.
    pub adopt: bool,
    /// In what a replica may have more than the container that it is copied from.
    pub granted: ExtraRights,
    /// The program and its arguments, or empty; `{port}` stands for the port it serves on.
    pub command: Vec<String>,
    /// Variables added to its environment; may hold secrets, so `Debug` shows names only.
    pub env: BTreeMap<String, String>,
    /// Labels added to flyball's own; none begins with `flyball.`.
    pub labels: BTreeMap<String, String>,
    /// Cores it may use, at least 0.01.
    pub cpus: Option<f64>,
    /// Memory it may use, in bytes, at least 6 MiB.
    pub memory_bytes: Option<u64>,
    /// The port it serves on inside; above 0.
    pub port: u16,
    /// How requests reach it.
    pub reach: Reach,
    /// The network that it is reached in and, where it is no copy, joins; `None` with
    /// [`Reach::HostNetwork`].
    pub network: Option<String>,
    /// Where its output goes.
    pub log: Option<Log>,
    /// Time between its stop signal and SIGKILL, in milliseconds; 0: at once; `None`: as it says
    /// itself.
    pub grace_ms: Option<u64>,
    /// What happens while the service sleeps to a container that flyball did not start; `None`: the
    /// service does not sleep.
    pub sleep: Option<SleepMode>,
}

/// In what a copy may have more than its original, because the operator said so: in the file, or
/// by a permission for labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraRights {
    /// Its limit of cores.
    pub cpus: bool,
    /// Its limit of memory.
    pub memory: bool,
    /// The networks that it is in, that of the host included.
    pub networks: bool,
    /// A port that others than this machine reach.
    pub ports: bool,
    /// Where its output goes.
    pub log: bool,
}

impl ExtraRights {
    /// In everything: what the file says is the operator's own word.
    pub const ALL: Self = Self { cpus: true, memory: true, networks: true, ports: true, log: true };
}

/// How requests reach a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At a free port of this address of the host.
    Published(IpAddr),
    /// At the container's own address.
    ContainerAddress,
    /// At a port of the host that it is given in `PORT` and `{port}`.
    HostNetwork,
}

/// A log driver of Docker with its options, which may hold secrets: `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Log {
    /// Its name, such as `json-file`.
    pub driver: String,
    /// Its options, such as `max-size`.
    pub options: BTreeMap<String, String>,
}

debug_without_values!(Container {
   image, adopt, granted, command, env.keys(), labels, cpus, memory_bytes, port, reach, network, log,
   grace_ms, sleep
});

debug_without_values!(Log { driver, options.keys() });

pub(super) fn container(keys: &ServiceKeys, reports: &mut Reports) -> Option<Container> {
    let from_file = keys.image.syntax == Syntax::File;
    if keys.image.is_absent() && keys.adopt.value == Some(false) && from_file {
        let instead = "add image = \"registry.example/web:1.4\", or adopt = true to copy the \
                       newest container that is labelled with this service";
        let fault = ConfigError::setting(&keys.image.path, ": missing", instead.to_owned());
        keys.image.report(fault, reports);
    }
    let port = port(keys, reports);
    refuse_reserved_labels(keys, reports);
    let log = log(keys, reports);
    let cpus = container_cpus(keys, reports);
    Some(Container {
        image: keys.image.value.clone()?,
        adopt: keys.adopt.value?,
        granted: if from_file { ExtraRights::ALL } else { ExtraRights::default() },
        command: keys.command.value.clone()?.unwrap_or_default(),
        env: keys.env.value.clone()?,
        labels: keys.labels.value.clone()?,
        cpus: cpus?,
        memory_bytes: keys.memory.value?,
        port: port?,
        reach: match keys.reach.value? {
            "container" => Reach::ContainerAddress,
            "host" => Reach::HostNetwork,
            _ => Reach::Published(keys.publish_on.value?),
        },
        network: keys.network.value.clone()?,
        log: log?,
        grace_ms: keys.grace.value?,
        sleep: sleep::mode(keys),
    })
}

fn log(keys: &ServiceKeys, reports: &mut Reports) -> Option<Option<Log>> {
    if keys.log.is_absent() {
        return Some(None);
    }
    let mut options = keys.log.value.clone()?;
    let Some(driver) = options.remove("driver") else {
        let path = keys.log.path_of("driver");
        let assign = keys.log.syntax.assign(&path, "driver", "\"json-file\"");
        keys.log.report(ConfigError::setting(&path, ": missing", format!("add {assign}")), reports);
        return None;
    };
    Some(Some(Log { driver, options }))
}
