//! Turns container labels into validated services. The file goes before labels; values are checked
//! as in the file. A service with wrong labels is left out and reported, and does not stop any
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::bytes::show_bytes;
use crate::reader::{
    ConfigError, ConfigErrors, LABELS_PATH, Place, Reports, Surroundings, Syntax, TableReader,
    shorten,
};
use crate::reservations::{Owner, Reservations};
use crate::service::{
    Balancer, Container, Engine, ExtraRights, Service, ServiceKeys, is_service_name, service,
};
use crate::systems::{Permits, permission};
use crate::tree::table_of;
use crate::{Config, Env, root};

/// What each label of ours begins with.
const PREFIX: &str = "flyball.";

/// Labels that are marks of a container and no settings of its service.
const MARKS: [&str; 10] = [
    "service",
    "enable",
    "owner",
    "replica",
    "managed",
    "copy",
    "generation",
    "signature",
    "protect",
    "hold",
];

/// Labels that one note names.
const NOTED_MAX: usize = 5;

/// What describes each service, by its name.
pub type ServiceLabels = BTreeMap<String, Described>;

/// The labels by which one service is described, and what carries them.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// What does not begin with `flyball.` is passed over.
    pub labels: BTreeMap<String, String>,
    /// Which engine it is follows from this, and how far the labels may go.
    pub source: Source,
}

/// What carries labels.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A container, with what it has itself.
    Container(Limits),
    /// A service of the Swarm, by the name that Swarm gives it.
    Swarm(String),
    /// An app of Marathon, by its id.
    App(String),
}

/// What a container has: labels may ask for as much for its copies without a permission.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Cores; `None`: not limited.
    pub cpus: Option<f64>,
    /// Bytes; `None`: not limited.
    pub memory_bytes: Option<u64>,
    /// The networks that it is in.
    pub networks: BTreeSet<String>,
}

impl Source {
    /// What is said by carrying labels at all: keys and their values.
    fn says(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Container(_) => vec![("engine", "docker")],
            Self::Swarm(name) => {
                vec![("engine", "swarm"), ("swarm_service", name)]
            }
            Self::App(id) => vec![("engine", "marathon"), ("app", id)],
        }
    }

    /// The table of the file that is about it.
    fn table(&self) -> &'static str {
        match self {
            Self::Container(_) => "docker",
            Self::Swarm(_) => "swarm",
            Self::App(_) => "marathon",
        }
    }
}

/// What labels came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// The services that they describe, by name; none of them is one of the file's.
    pub services: BTreeMap<String, Service>,
    /// What is wrong with the others.
    pub refused: BTreeMap<String, ConfigErrors>,
    /// What is worth saying, by service: labels that mean nothing because the file describes it.
    pub notes: BTreeMap<String, String>,
}

impl Config {
    /// The configuration without a file: services by labels alone, everything else by default.
    ///
    /// # Errors
    ///
    /// `env` does not say where state is kept.
    pub fn of_labels_only(env: &Env) -> Result<Self, ConfigErrors> {
        let name = "no file";
        root::config("[docker]", name, Path::new(""), env).map_err(|errors| errors.at_file(name))
    }

    /// The services that `labels` describe beside those of the file, which go first where both
    /// want the same name, address or backend. Of two that want the same and have labels both,
    /// the first one by name gets it.
    pub fn labelled(&self, labels: &ServiceLabels) -> Labelled {
        let mut taken = Reservations::by(self);
        let mut labelled = Labelled::default();
        for (name, described) in labels {
            if self.services.contains_key(name) {
                labelled.notes.extend(note(&described.labels).map(|note| (name.clone(), note)));
                continue;
            }
            let permits = match described.source {
                Source::Container(_) => &self.docker.permits,
                Source::Swarm(_) => &self.swarm.permits,
                Source::App(_) => &self.marathon.permits,
            };
            let backends = &self.haproxy.backends;
            match (Reader { name, described, permits, backends }).service(&mut taken) {
                Ok(mut service) => {
                    if let Some(zabbix) = &self.zabbix {
                        zabbix.widen_window(&mut service.policy);
                    }
                    labelled.services.insert(name.clone(), service);
                }
                Err(errors) => drop(labelled.refused.insert(name.clone(), errors)),
            }
        }
        labelled
    }
}

/// That `labels` describe a service which the file describes, too. The port is not a setting
/// alone: containers that flyball did not start also carry it.
fn note(labels: &BTreeMap<String, String>) -> Option<String> {
    let ours = settings(labels).map(|(name, _)| name).filter(|name| *name != "port");
    let shown: Vec<_> = ours.map(|name| format!("{PREFIX}{}", shorten(name))).collect();
    let rest = shown.len().saturating_sub(NOTED_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let list = shown.iter().take(NOTED_MAX).cloned().collect::<Vec<_>>().join(", ");
    (!shown.is_empty())
        .then(|| format!("its labels are ignored because the file describes it: {list}{more}"))
}

/// The labels that are settings: their names without prefix, and their values.
fn settings(labels: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    labels
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())))
        .filter(|(name, _)| !MARKS.contains(name))
}

/// Reads the labels of one service.
struct Reader<'a> {
    name: &'a str,
    described: &'a Described,
    permits: &'a Permits,
    backends: &'a BTreeSet<String>,
}

impl Reader<'_> {
    fn service(&self, taken: &mut Reservations) -> Result<Service, ConfigErrors> {
        let mut reports = Reports::default();
        if !is_service_name(self.name) {
            let key = format!("{LABELS_PATH}.service={}", shorten(self.name));
            reports.add(ConfigError::bad_name(&key), &(0..0));
        }
        let obeyed = self.obeyed(&mut reports);
        let table = table_of(&obeyed, &mut reports);
        let (path, env) = (LABELS_PATH.to_owned(), Env::default());
        let around = Surroundings { syntax: Syntax::Labels, base: Path::new(""), env: &env };
        let keys: ServiceKeys = TableReader::read_all(path, 0..0, table, around, &mut reports);
        let (service, claims) = service(self.name, &keys, &mut reports);
        let service = service.map(|mut service| {
            reports.faults.extend(self.bound(&mut service).into_iter().map(|fault| (fault, 0..0)));
            service
        });
        if reports.faults.is_empty() {
            let owner = Owner { service: self.name, syntax: Syntax::Labels };
            reports.faults.extend(taken.claim(owner, claims));
        }
        match service {
            Some(service) if reports.faults.is_empty() => Ok(service),
            _ => {
                let place = Place::of_file(&format!("labels of service {}", shorten(self.name)));
                let faults = reports.faults.into_iter();
                let faults =
                    faults.map(|(fault, span)| (fault.in_words_of_labels(), span)).collect();
                Err(ConfigErrors::sorted(faults, |_, _| place.clone()))
            }
        }
    }

    /// The settings that labels may set, and those that follow from their carrier. A label that
    /// only repeats the latter is ignored.
    fn obeyed(&self, reports: &mut Reports) -> Vec<(&str, &str)> {
        let says = self.described.source.says();
        let same = |name: &str, value: &str| {
            says.iter().any(|(key, said)| name.replace('-', "_") == *key && value == *said)
        };
        let mut obeyed: Vec<(&str, &str)> = Vec::new();
        for (name, value) in settings(&self.described.labels) {
            if same(name, value) {
                continue;
            }
            match self.permits.refusal(name, self.described.source.table()) {
                Some(fault) => reports.faults.push((fault, 0..0)),
                None => obeyed.push((name, value)),
            }
        }
        obeyed.extend(says.iter().copied());
        obeyed
    }

    /// Holds what was read to what labels may ask for.
    fn bound(&self, service: &mut Service) -> Vec<ConfigError> {
        let mut faults: Vec<ConfigError> = self.bound_counts(service).into_iter().collect();
        if let Balancer::Haproxy { backend, .. } = &mut service.balancer {
            backend.must_ask = !self.backends.contains(&backend.name);
        }
        if let (Engine::Docker(container), Source::Container(limits)) =
            (&mut service.engine, &self.described.source)
        {
            container.granted = self.granted();
            faults.extend(self.beyond(container, limits));
        }
        faults
    }

    fn bound_counts(&self, service: &mut Service) -> Option<ConfigError> {
        let (bounds, most) = (&mut service.policy.bounds, self.permits.max);
        let table = self.described.source.table();
        let instead = || format!("lower it, or raise labels_max in [{table}] of flyball.toml");
        let more =
            |name, found: u32| beyond(name, &found.to_string(), &most.to_string(), instead());
        if bounds.max <= most {
            return None;
        }
        if self.described.labels.contains_key("flyball.max") {
            return Some(more("max", bounds.max));
        }
        // Nobody asked for the default.
        bounds.max = most;
        (bounds.min > most).then(|| more("min", bounds.min))
    }

    fn granted(&self) -> ExtraRights {
        let may = |name: &str| self.permits.allow(name);
        ExtraRights {
            cpus: may("cpus"),
            memory: may("memory"),
            networks: may("network") || may("reach"),
            ports: may("publish_on"),
            log: may("log"),
        }
    }

    /// What copies would have beyond the container that asks for it.
    fn beyond(&self, container: &Container, limits: &Limits) -> Vec<ConfigError> {
        let more = |name: &str, found: String, most: String| {
            let instead = permission(name, self.described.source.table());
            let most = format!("its container has {most}");
            (!self.permits.allow(name)).then(|| beyond(name, &found, &most, instead))
        };
        let cpus = container.cpus.zip(limits.cpus).filter(|(wanted, has)| wanted > has);
        let cpus = cpus.and_then(|(wanted, has)| more("cpus", wanted.to_string(), has.to_string()));
        let memory = container.memory_bytes.zip(limits.memory_bytes);
        let memory = memory
            .filter(|(wanted, has)| wanted > has)
            .and_then(|(wanted, has)| more("memory", show_bytes(wanted), show_bytes(has)));
        let network = container.network.as_ref().filter(|name| !limits.networks.contains(*name));
        let network = network.and_then(|name| {
            let has: Vec<_> = limits.networks.iter().map(|name| shorten(name)).collect();
            let has = if has.is_empty() { "no network".to_owned() } else { has.join(", ") };
            more("network", shorten(name), has)
        });
        [cpus, memory, network].into_iter().flatten().collect()
    }
}

/// The label for the key `name` asks for more than labels may.
fn beyond(name: &str, found: &str, most: &str, instead: String) -> ConfigError {
    let label = Syntax::Labels.key(LABELS_PATH, name);
    let wrong = format!(": {found} is more than labels may set ({most})");
    ConfigError::setting(&label, &wrong, instead)
}
