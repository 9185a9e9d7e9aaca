//! The engine of a service, from its keys. A key that belongs to another engine is always reported.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use crate::bytes::show_bytes;
use crate::config_error::ConfigError;
use crate::syntax::Syntax;
use crate::table_reader::{Field, TableReader};
use crate::{
    Container, Engine, ExtraRights, Log, MarathonApp, Process, Reach, SwarmService, Task,
    TaskReach, address, check, keys,
};

/// What container engines give a process between SIGTERM and SIGKILL.
const GRACE_MS: u64 = 10_000;
/// Docker's own least share of a core, and Mesos's.
const CONTAINER_CPUS_MIN: f64 = 0.01;
/// Mesos's own least, and what a task is given where nothing is said, in bytes.
const TASK_MEMORY_MIN: u64 = 32 << 20;
const TASK_MEMORY: u64 = 256 << 20;

/// Which engine is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Process,
    Docker,
    Swarm,
    Mesos,
    Marathon,
}

impl Kind {
    /// The start lag until it has been measured, in milliseconds: of an interpreter with a few
    /// modules, and of the same in a container on a busy host.
    pub(crate) fn start_lag_ms(self) -> u64 {
        match self {
            Self::Process => 1_000,
            Self::Docker | Self::Swarm | Self::Mesos | Self::Marathon => 2_000,
        }
    }
}

/// What keys say that more than one engine knows.
struct Common {
    command: Field<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
    cpus: Field<f64>,
    grace_ms: Field<u64>,
}

/// The engine in `fields` and which one it is, as far as that is known.
pub(crate) fn engine(
    fields: &mut TableReader<'_>,
    name: &str,
    base: &Path,
) -> (Option<Kind>, Option<Engine>) {
    let kind = kind(fields);
    let common = Common {
        command: fields.take(&keys::COMMAND, check::words),
        env: fields.take_variables(&keys::ENV),
        cpus: fields.take(&keys::CPUS, check::cores),
        grace_ms: fields.take(&keys::GRACE, check::duration_ms),
    };
    let engine = match kind {
        None => None,
        Some(Kind::Process) => process(fields, common, base).map(Engine::Process),
        Some(Kind::Docker) => container(fields, common).map(Engine::Docker),
        Some(Kind::Swarm) => swarm(fields, name, common.cpus).map(Engine::Swarm),
        Some(Kind::Mesos) => task(fields, common).map(Engine::Mesos),
        Some(Kind::Marathon) => app(fields, name).map(Engine::Marathon),
    };
    (kind, engine)
}

fn kind(fields: &mut TableReader<'_>) -> Option<Kind> {
    let word = match (fields.take(&keys::ENGINE, check::word), fields.syntax) {
        (Field::Refused, _) => return None,
        (Field::Absent, Syntax::Labels) => "docker",
        (Field::Absent, Syntax::File) => {
            fields.missing(&keys::ENGINE, "\"docker\" or \"process\"");
            return None;
        }
        (Field::Given { value: word @ ("process" | "mesos"), span }, Syntax::Labels) => {
            let fault = ConfigError::NotA {
                key: fields.path_of(keys::ENGINE.name),
                found: format!("\"{word}\""),
                wanted: "a container engine".to_owned(),
                instead: Some("remove it: labels describe containers".to_owned()),
            };
            fields.report(fault, &span);
            return None;
        }
        (Field::Given { value, .. }, _) => value,
    };
    fields.refuse_useless(&keys::ENGINE, word);
    Some(match word {
        "docker" => Kind::Docker,
        "swarm" => Kind::Swarm,
        "mesos" => Kind::Mesos,
        "marathon" => Kind::Marathon,
        _ => Kind::Process,
    })
}

fn process(fields: &mut TableReader<'_>, common: Common, base: &Path) -> Option<Process> {
    let directory = fields.take(&keys::DIRECTORY, check::path).optional();
    if matches!(common.command, Field::Absent) {
        fields.missing(&keys::COMMAND, "[\"./server\", \"--port\", \"{port}\"]");
    }
    Some(Process {
        command: common.command.optional()??,
        env: common.env?,
        directory: directory?.map(|path| base.join(path)),
        cpus: common.cpus.or(1.0)?,
        grace_ms: common.grace_ms.or(GRACE_MS)?,
    })
}

fn swarm(fields: &mut TableReader<'_>, name: &str, cpus: Field<f64>) -> Option<SwarmService> {
    let swarm_service = fields.take(&keys::SWARM_SERVICE, check::text).or(name.to_owned());
    let (port, reach) = (port(fields), task_reach(fields));
    let cpus = container_cpus(fields, cpus);
    Some(SwarmService { swarm_service: swarm_service?, port: port?, reach: reach?, cpus: cpus? })
}

fn app(fields: &mut TableReader<'_>, name: &str) -> Option<MarathonApp> {
    let app = fields.take(&keys::APP, check::text).or(format!("/{name}"));
    let port = fields.take(&keys::PORT, address::port).optional();
    Some(MarathonApp { app: app?, port: port? })
}

fn task_reach(fields: &mut TableReader<'_>) -> Option<TaskReach> {
    let span = fields.span_of(&keys::REACH);
    let word = fields.take(&keys::REACH, check::word).or("published")?;
    fields.refuse_useless(&keys::REACH, word);
    let network_span = fields.span_of(&keys::NETWORK);
    let network = fields.take(&keys::NETWORK, check::text).optional()?;
    match (word, network) {
        ("container", network) => Some(TaskReach::Network(network)),
        ("published", None) => Some(TaskReach::Node),
        ("published", Some(_)) => {
            let key = fields.path_of(keys::NETWORK.name);
            let assign = |word| fields.assign(&keys::REACH, word);
            let beside = assign("\"published\"");
            let instead = format!("write {}, or remove this key", assign("\"container\""));
            fields.report(ConfigError::Useless { key, beside, instead }, &network_span);
            None
        }
        (_, _) => {
            let fault = ConfigError::NotA {
                key: fields.path_of(keys::REACH.name),
                found: format!("\"{word}\""),
                wanted: "a way to reach a Swarm task".to_owned(),
                instead: Some("write \"published\" or \"container\"".to_owned()),
            };
            fields.report(fault, &span);
            None
        }
    }
}

fn port(fields: &mut TableReader<'_>) -> Option<u16> {
    let port = fields.take(&keys::PORT, address::port);
    if matches!(port, Field::Absent) {
        fields.missing(&keys::PORT, "8080");
    }
    port.optional()?
}

fn container(fields: &mut TableReader<'_>, common: Common) -> Option<Container> {
    let reach = reach(fields);
    let image = fields.take(&keys::IMAGE, check::text);
    let adopt = fields.take(&keys::ADOPT, check::flag).or(false);
    if let (Field::Absent, Some(false), Syntax::File) = (&image, adopt, fields.syntax) {
        let instead = "add image = \"registry.example/web:1.4\", or adopt = true to copy the \
                       newest container that is labelled with this service";
        let (key, span) = (fields.path_of(keys::IMAGE.name), fields.span.clone());
        fields.report(ConfigError::Missing { key, instead: instead.to_owned() }, &span);
    }
    let port = port(fields);
    let network = fields.take(&keys::NETWORK, check::text).optional();
    let memory_bytes = fields.take(&keys::MEMORY, check::bytes).optional();
    let (labels, log) = (labels(fields), log(fields));
    let cpus = container_cpus(fields, common.cpus);
    Some(Container {
        image: image.optional()?,
        adopt: adopt?,
        granted: match fields.syntax {
            Syntax::File => ExtraRights::ALL,
            Syntax::Labels => ExtraRights::default(),
        },
        command: common.command.or(Vec::new())?,
        env: common.env?,
        labels: labels?,
        cpus: cpus?,
        memory_bytes: memory_bytes?,
        port: port?,
        reach: reach?,
        network: network?,
        log: log?,
        grace_ms: common.grace_ms.optional()?,
    })
}

fn task(fields: &mut TableReader<'_>, common: Common) -> Option<Task> {
    let host_network = host_network(fields);
    let image = fields.take(&keys::IMAGE, check::text);
    if matches!(image, Field::Absent) {
        fields.missing(&keys::IMAGE, "\"registry.example/web:1.4\"");
    }
    let port = fields.take(&keys::PORT, address::port);
    if matches!(port, Field::Absent) && host_network == Some(false) {
        fields.missing(&keys::PORT, "8080");
    }
    let memory = fields.take(&keys::MEMORY, check::bytes);
    if let Some((bytes, span)) = memory.given()
        && *bytes < TASK_MEMORY_MIN
    {
        let (key, found) = (fields.path_of(keys::MEMORY.name), show_bytes(*bytes));
        let limit = format!("at least {}", show_bytes(TASK_MEMORY_MIN));
        fields.report(ConfigError::OutOfRange { key, found, limit }, span);
    }
    let (labels, cpus) = (labels(fields), container_cpus(fields, common.cpus));
    let inner = port.optional()?.filter(|_| host_network == Some(false));
    if inner.is_none() && !host_network? {
        return None;
    }
    Some(Task {
        image: image.optional()??,
        command: common.command.or(Vec::new())?,
        env: common.env?,
        labels: labels?,
        cpus: cpus?.unwrap_or(1.0),
        memory_bytes: memory.or(TASK_MEMORY)?,
        port: inner,
        grace_ms: common.grace_ms.or(GRACE_MS)?,
    })
}

/// Whether a task of Mesos shares its agent's network. No agent leads to a container's own address.
fn host_network(fields: &mut TableReader<'_>) -> Option<bool> {
    let reach = fields.take(&keys::REACH, check::word);
    if let Some((&"container", span)) = reach.given() {
        let fault = ConfigError::NotA {
            key: fields.path_of(keys::REACH.name),
            found: "\"container\"".to_owned(),
            wanted: "a way to reach a Mesos task".to_owned(),
            instead: Some("write reach = \"published\" or \"host\"".to_owned()),
        };
        fields.report(fault, span);
    }
    Some(reach.or("published")? == "host")
}

fn reach(fields: &mut TableReader<'_>) -> Option<Reach> {
    let word = fields.take(&keys::REACH, check::word).or("published");
    if let Some(word) = word {
        fields.refuse_useless(&keys::REACH, word);
    }
    let publish_on = fields.take(&keys::PUBLISH_ON, address::ip);
    Some(match word? {
        "container" => Reach::ContainerAddress,
        "host" => Reach::HostNetwork,
        _ => Reach::Published(publish_on.or(IpAddr::V4(Ipv4Addr::LOCALHOST))?),
    })
}

fn container_cpus(fields: &mut TableReader<'_>, cpus: Field<f64>) -> Option<Option<f64>> {
    if let Some((cores, span)) = cpus.given()
        && *cores < CONTAINER_CPUS_MIN
    {
        let key = fields.path_of(keys::CPUS.name);
        let limit = format!("at least {CONTAINER_CPUS_MIN}");
        fields.report(ConfigError::OutOfRange { key, found: cores.to_string(), limit }, span);
    }
    cpus.optional()
}

fn labels(fields: &mut TableReader<'_>) -> Option<BTreeMap<String, String>> {
    let span = fields.span_of(&keys::LABELS);
    let labels = fields.take_variables(&keys::LABELS)?;
    for name in labels.keys().filter(|name| name.starts_with("flyball.")) {
        let path = fields.path_of(keys::LABELS.name);
        let fault = ConfigError::NotA {
            key: fields.syntax.named(&path, name),
            found: "this name".to_owned(),
            wanted: "a name for your own label".to_owned(),
            instead: Some("labels that begin with flyball. are reserved for flyball".to_owned()),
        };
        fields.report(fault, &span);
    }
    Some(labels)
}

fn log(fields: &mut TableReader<'_>) -> Option<Option<Log>> {
    if !fields.names().contains(&keys::LOG.name) {
        return Some(None);
    }
    let span = fields.span_of(&keys::LOG);
    let mut options = fields.take_variables(&keys::LOG)?;
    let Some(driver) = options.remove("driver") else {
        let path = fields.path_of(keys::LOG.name);
        let key = fields.syntax.named(&path, "driver");
        let instead = format!("add {}", fields.syntax.assign(&key, "driver", "\"json-file\""));
        fields.report(ConfigError::Missing { key, instead }, &span);
        return None;
    };
    Some(Some(Log { driver, options }))
}
