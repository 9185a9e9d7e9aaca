//! The labels of containers to validated services.
//!
//! Decides which labels describe a service, and what goes first where the file or another label
//! wants the same. What a setting may be is decided as for the file. Invariant: a service whose
//! labels are wrong is left out and said, and stops no other.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dialect::{Dialect, LABELS_PATH};
use crate::fault::Fault;
use crate::fields::{Fields, Reports};
use crate::keys;
use crate::problem::{ConfigErrors, Place};
use crate::service::{is_service_name, service};
use crate::taken::{Owner, Taken};
use crate::tree::table_of;
use crate::value::shorten;
use crate::{Config, Docker, Env, Haproxy, Marathon, Mesos, Proxy, Service, Swarm, daemon};

/// What each label of ours begins with.
const PREFIX: &str = "flyball.";

/// Labels that are marks of a container and no settings of its service.
const MARKS: [&str; 6] = ["service", "replica", "managed", "copy", "protect", "hold"];

/// Labels that one note names.
const NOTED_MAX: usize = 5;

/// The labels by which each service is described, by its name: those of one container. What does not
/// begin with `flyball.` is passed over.
pub type ServiceLabels = BTreeMap<String, BTreeMap<String, String>>;

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
        let key = keys::STATE_DIR.name;
        let no_place = || {
            let key = format!("{}.{key}", keys::FLYBALL.path);
            ConfigErrors::of_file(Fault::NoStateDir { key }, "no file")
        };
        let docker = Docker::default();
        Ok(Self {
            daemon: daemon::preset(env).ok_or_else(no_place)?,
            swarm: Swarm { labels: false, ..Swarm::at(&docker) },
            docker,
            mesos: Mesos::default(),
            marathon: Marathon::default(),
            ha: None,
            proxy: Proxy::default(),
            haproxy: Haproxy::default(),
            zabbix: None,
            services: BTreeMap::new(),
        })
    }

    /// The services that `labels` describe beside those of the file, which go first where both
    /// want the same name, address or backend. Of two that want the same and have labels both,
    /// the first one by name gets it.
    pub fn labelled(&self, labels: &ServiceLabels) -> Labelled {
        let mut taken = Taken::by(self);
        let mut labelled = Labelled::default();
        for (name, labels) in labels {
            if self.services.contains_key(name) {
                labelled.notes.extend(note(labels).map(|note| (name.clone(), note)));
                continue;
            }
            match described(name, labels, &mut taken) {
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
/// alone: it is what a container says that somebody else started.
fn note(labels: &BTreeMap<String, String>) -> Option<String> {
    let ours = settings(labels).map(|(name, _)| name).filter(|name| *name != keys::PORT.name);
    let shown: Vec<_> = ours.map(|name| format!("{PREFIX}{}", shorten(name))).collect();
    let rest = shown.len().saturating_sub(NOTED_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let list = shown.iter().take(NOTED_MAX).cloned().collect::<Vec<_>>().join(", ");
    (!shown.is_empty()).then(|| format!("its labels mean nothing beside the file: {list}{more}"))
}

/// The labels that are settings: their names without prefix, and their values.
fn settings(labels: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    labels
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())))
        .filter(|(name, _)| !MARKS.contains(name))
}

fn described(
    name: &str,
    labels: &BTreeMap<String, String>,
    taken: &mut Taken,
) -> Result<Service, ConfigErrors> {
    let mut reports = Reports::default();
    if !is_service_name(name) {
        let key = format!("{LABELS_PATH}.service={}", shorten(name));
        reports.faults.push((Fault::BadName { key }, 0..0));
    }
    let table = table_of(&settings(labels).collect::<Vec<_>>(), &mut reports);
    let path = LABELS_PATH.to_owned();
    let fields =
        Fields::new(&keys::SERVICE, path.clone(), 0..0, table, Dialect::Labels, &mut reports);
    let (service, claims) = service(name, fields, Path::new(""));
    if reports.faults.is_empty() {
        let owner = Owner { service: name.to_owned(), path, dialect: Dialect::Labels };
        reports.faults.extend(taken.claim(&owner, claims));
    }
    match service {
        Some(service) if reports.faults.is_empty() => Ok(service),
        _ => {
            let place = Place::of_file(&format!("labels of service {}", shorten(name)));
            let faults = reports.faults.into_iter();
            let faults = faults.map(|(fault, span)| (fault.in_words_of_labels(), span)).collect();
            Err(ConfigErrors::sorted(faults, |_, _| place.clone()))
        }
    }
}
