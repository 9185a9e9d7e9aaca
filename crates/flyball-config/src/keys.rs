//! Every key of the file: its type, default and meaning, and the keys that it depends on. Values
//! are checked against this table, and hints, label types and the reference come from it. Tests
//! check that every listed key is read and that the listed defaults apply.

mod health;
mod policy;
mod service;
mod systems;
mod zabbix;

pub(crate) use health::*;
pub(crate) use policy::*;
pub(crate) use service::*;
pub(crate) use systems::*;
pub(crate) use zabbix::*;

/// Keys that stand together in one table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its path; `NAME` stands for a service's name.
    pub(crate) path: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) keys: &'static [&'static Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) fallback: Fallback,
    pub(crate) meaning: &'static str,
    /// All of this must hold, or the key means nothing.
    pub(crate) only: &'static [Only],
    /// Whether a label may give it; `None` for what is no key of a service.
    pub(crate) by_label: Option<ByLabel>,
}

/// Whether a label may set a key of a service. Labels belong to the authors of containers; the file
/// is the operator's (docs/design/015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByLabel {
    /// It reaches nothing beyond the service.
    Always,
    /// Up to what the container itself has; beyond that where `labels_may` names it.
    Within,
    /// Only where `labels_may` names it.
    Allowed,
    /// Only the file may.
    Never,
}

/// A choice beside which a key means something: the key that chooses, and its words.
#[derive(Debug)]
pub(crate) struct Only(pub(crate) &'static str, pub(crate) &'static [&'static str]);

/// What a key takes. Limits are inclusive unless they are called `above`.
#[derive(Debug)]
pub(crate) enum Kind {
    Address,
    Ip,
    /// A host by name or address, and a port.
    Peer,
    Port,
    Url,
    DockerHost,
    MesosMaster,
    Marathon,
    Zookeeper,
    Socket,
    Path,
    HttpPath,
    Text,
    /// What HAProxy takes as a name.
    HaproxyName,
    /// Such names; there may be none.
    HaproxyNames,
    /// Keys that labels may give; there may be none.
    LabelKeys,
    /// Words of a `server` line of HAProxy.
    Options,
    Words,
    Lines,
    /// Addresses and networks.
    Networks,
    Variables,
    Cores,
    Flag,
    Count {
        from: u32,
        to: u32,
    },
    Bytes {
        from: u64,
        to: u64,
    },
    Duration {
        from_ms: u64,
        to_ms: u64,
    },
    Share {
        above_zero: bool,
        to: f64,
    },
    Choice(&'static [&'static str]),
    /// Tables of the file with keys of their own.
    Table(&'static str),
}

/// What a key is when it is left out.
#[derive(Debug)]
pub(crate) enum Fallback {
    /// It must be there.
    Required,
    /// This, as it would be written.
    Is(&'static str),
    /// What these words say.
    Otherwise(&'static str),
}

/// The most replicas a service may have: a bound against slips of the finger, far above any host.
pub(crate) const REPLICAS_MAX: u32 = 100_000;

const HOUR_MS: u64 = 3_600_000;

/// Every section that has keys with values, in the order of the reference.
pub(crate) static SECTIONS: [&Section; 18] = [
    &FLYBALL,
    &DOCKER,
    &SWARM,
    &MESOS,
    &MARATHON,
    &HA,
    &PROXY,
    &HAPROXY,
    &ZABBIX,
    &SERVICE,
    &READY_TABLE,
    &BACKEND,
    &TEMPLATE,
    &POLICY,
    &GOVERNOR,
    &TARGET,
    &STEP,
    &EXTERNAL,
];

/// The section that a key of [`Kind::Table`] names.
pub(crate) fn section_at(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.path == path).copied()
}

impl Section {
    /// The key that is called `name`.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name).copied()
    }
}

const fn key(name: &'static str, kind: Kind, fallback: Fallback, meaning: &'static str) -> Key {
    Key { name, kind, fallback, meaning, only: &[], by_label: None }
}

const fn duration(from_ms: u64, to_ms: u64) -> Kind {
    Kind::Duration { from_ms, to_ms }
}

impl Key {
    const fn only(self, only: &'static [Only]) -> Self {
        Self { only, ..self }
    }

    const fn by_label(self, by_label: ByLabel) -> Self {
        Self { by_label: Some(by_label), ..self }
    }
}

/// What the paths of a service's sections begin with.
pub(crate) const SERVICE_PATH: &str = "services.NAME";

/// Every key of a service, as `labels_may` calls it: `haproxy.template`.
pub(crate) fn service_keys() -> impl Iterator<Item = (String, &'static Key)> {
    let of_services = SECTIONS.into_iter().filter_map(|section| {
        let table = section.path.strip_prefix(SERVICE_PATH)?;
        Some((section, table.trim_start_matches('.')))
    });
    of_services.flat_map(|(section, table)| {
        let path = move |key: &Key| match table {
            "" => key.name.to_owned(),
            table => format!("{table}.{}", key.name),
        };
        section.keys.iter().map(move |key| (path(key), *key))
    })
}
