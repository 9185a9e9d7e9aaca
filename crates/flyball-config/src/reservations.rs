//! What no two services can share: a port, a HAProxy backend, a file that flyball writes. Of two
//! that claim the same, the second gets the error, which names the first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use crate::config_error::ConfigError;
use crate::keys::{BACKEND_NAME, BACKEND_TABLE, FILE, LISTEN, SERVICES_TABLE};
use crate::syntax::{Syntax, join};
use crate::value::{Span, show_path};
use crate::{Balancer, Config, Daemon, Service};

/// What a service wants for itself, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) listen: Option<(SocketAddr, Span)>,
    pub(crate) backend: Option<(String, Span)>,
    pub(crate) file: Option<(PathBuf, Span)>,
}

/// Who claims something.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) service: String,
    /// The path of the service's keys, and the syntax they are written in.
    pub(crate) path: String,
    pub(crate) syntax: Syntax,
}

/// What has been claimed so far, each with the words for who has it.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    addresses: Vec<(SocketAddr, String)>,
    backends: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, String>,
    /// What every file must be below.
    directory: Option<PathBuf>,
}

impl Reservations {
    /// Nothing yet; files are kept below `directory`.
    pub(crate) fn below(directory: Option<PathBuf>) -> Self {
        Self { directory, ..Self::default() }
    }

    /// Everything that `config` claims.
    pub(crate) fn by(config: &Config) -> Self {
        let mut taken = Self::below(Some(config.haproxy.directory.clone()));
        taken.addresses.push((config.daemon.listen, "flyball's own API".to_owned()));
        for (name, service) in &config.services {
            let owner = Owner {
                service: name.clone(),
                path: join(SERVICES_TABLE.name, name),
                syntax: Syntax::File,
            };
            // A configuration was free of clashes when it was made.
            drop(taken.claim(&owner, Claims::of(service)));
        }
        taken
    }

    /// Takes the address of the API, which comes before all services.
    pub(crate) fn claim_for_daemon(&mut self, daemon: &Daemon) {
        self.addresses.push((daemon.listen, "flyball.listen".to_owned()));
    }

    /// Takes what is free of `claims` and returns what is not, each with its place.
    pub(crate) fn claim(&mut self, owner: &Owner, claims: Claims) -> Vec<(ConfigError, Span)> {
        let mut faults = Vec::new();
        if let Some((address, span)) = claims.listen {
            let key = owner.syntax.key(&owner.path, LISTEN.name);
            faults.extend(self.claim_address(owner, key, address).map(|fault| (fault, span)));
        }
        let table = owner.syntax.key(&owner.path, BACKEND_TABLE.name);
        if let Some((backend, span)) = claims.backend {
            let key = owner.syntax.key(&table, BACKEND_NAME.name);
            let found = format!("\"{backend}\"");
            let fault = claim_entry(self.backends.entry(backend), owner, key, found);
            faults.extend(fault.map(|fault| (fault, span)));
        }
        if let Some((file, span)) = claims.file {
            let key = owner.syntax.key(&table, FILE.name);
            let found = show_path(&file);
            if let Some(directory) = self.directory.as_ref().filter(|it| !is_below(&file, it)) {
                faults.push((not_below(key, found, directory), span));
                return faults;
            }
            let fault = claim_entry(self.files.entry(file), owner, key, found);
            faults.extend(fault.map(|fault| (fault, span)));
        }
        faults
    }

    fn claim_address(
        &mut self,
        owner: &Owner,
        key: String,
        address: SocketAddr,
    ) -> Option<ConfigError> {
        let clashing = self.addresses.iter().find(|(at, _)| clash(*at, address)).cloned();
        self.addresses.push((address, owner.words(&key)));
        let (at, other) = clashing?;
        let other = if at == address { other } else { format!("{other}, {at}") };
        Some(ConfigError::AddressTaken { key, address, other })
    }
}

/// Whether a file is in a folder, whatever the links on the way lead to: those are not followed.
fn is_below(file: &Path, directory: &Path) -> bool {
    let stays = |part: Component<'_>| part != Component::ParentDir;
    let inner = file.parent().is_some_and(|folder| folder.starts_with(directory));
    inner && file.components().all(stays)
}

fn not_below(key: String, found: String, directory: &Path) -> ConfigError {
    ConfigError::NotA {
        key,
        found,
        wanted: format!("a file below {}, without ..", show_path(directory)),
        instead: Some("use another file, or another directory in [haproxy]".to_owned()),
    }
}

fn claim_entry<K: Ord>(
    entry: Entry<'_, K, String>,
    owner: &Owner,
    key: String,
    found: String,
) -> Option<ConfigError> {
    match entry {
        Entry::Occupied(other) => {
            Some(ConfigError::Reservations { key, found, other: other.get().clone() })
        }
        Entry::Vacant(free) => {
            free.insert(owner.words(&key));
            None
        }
    }
}

impl Owner {
    /// What others are told who want what the owner has at `key`.
    fn words(&self, key: &str) -> String {
        match self.syntax {
            Syntax::File => key.to_owned(),
            Syntax::Labels => format!("{key} of service {}", self.service),
        }
    }
}

impl Claims {
    /// What a valid service claims, at no place.
    fn of(service: &Service) -> Self {
        match &service.balancer {
            Balancer::Proxy { listen, .. } => {
                Self { listen: Some((*listen, 0..0)), ..Self::default() }
            }
            Balancer::Haproxy { backend, .. } => Self {
                backend: Some((backend.name.clone(), 0..0)),
                file: backend.file.as_ref().map(|file| (file.path.clone(), 0..0)),
                ..Self::default()
            },
            Balancer::None => Self::default(),
        }
    }
}

/// Whether the two cannot be listened at together. `[::]` takes the port of every address, also of
/// the older kind, unless the system was told otherwise.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    let takes_all = |wide: IpAddr, narrow: IpAddr| {
        wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    a.port() == b.port()
        && a.port() != 0
        && (one == other || takes_all(one, other) || takes_all(other, one))
}
