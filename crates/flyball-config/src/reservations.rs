//! What no two services can share: a port, a HAProxy backend, a file that flyball writes. Of two
//! that claim the same, the second gets the error, which names the first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use crate::Config;
use crate::claims::{Claim, Claims};
use crate::reader::{ConfigError, Span, Syntax, join, show_path};
use crate::service::{Activator, Balancer, Service};

/// Who claims something, and in which syntax.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) service: &'a str,
    pub(crate) syntax: Syntax,
}

/// What has been claimed so far, each with the words for who has it.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    addresses: Vec<(SocketAddr, String)>,
    backends: BTreeMap<String, String>,
    hosts: BTreeMap<String, String>,
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
        let activator = config.daemon.activator;
        taken.addresses.extend(activator.map(|at| (at, "flyball's own activator".to_owned())));
        for (name, service) in &config.services {
            let owner = Owner { service: name, syntax: Syntax::File };
            // A configuration was free of clashes when it was made.
            drop(taken.claim(owner, Claims::of(service)));
        }
        taken
    }

    /// Takes an address of the daemon's own, which comes before all services.
    pub(crate) fn claim_for_daemon(&mut self, key: &str, address: SocketAddr) {
        self.addresses.push((address, key.to_owned()));
    }

    /// Takes what is free of `claims` and returns what is not, each with its place.
    pub(crate) fn claim(&mut self, owner: Owner<'_>, claims: Claims) -> Vec<(ConfigError, Span)> {
        let mut faults = Vec::new();
        for Claim { key, value, span } in [claims.listen, claims.activator].into_iter().flatten() {
            faults.extend(self.claim_address(owner, &key, value).map(|fault| (fault, span)));
        }
        if let Some(Claim { key, value, span }) = claims.backend {
            let found = format!("\"{value}\"");
            let fault = claim_entry(self.backends.entry(value), owner, &key, &found);
            faults.extend(fault.map(|fault| (fault, span)));
        }
        for Claim { key, value, span } in claims.hosts {
            let found = format!("\"{value}\"");
            let fault = claim_entry(self.hosts.entry(value), owner, &key, &found);
            faults.extend(fault.map(|fault| (fault, span)));
        }
        if let Some(Claim { key, value, span }) = claims.file {
            faults.extend(self.claim_file(owner, &key, value).map(|fault| (fault, span)));
        }
        faults
    }

    fn claim_file(&mut self, owner: Owner<'_>, key: &str, file: PathBuf) -> Option<ConfigError> {
        let found = show_path(&file);
        if let Some(directory) = self.directory.as_ref().filter(|it| !is_below(&file, it)) {
            let wanted = format!("a file below {}, without ..", show_path(directory));
            let instead = "use another file, or another directory in [haproxy]".to_owned();
            return Some(ConfigError::not_a(key, &found, &wanted, instead));
        }
        claim_entry(self.files.entry(file), owner, key, &found)
    }

    fn claim_address(
        &mut self,
        owner: Owner<'_>,
        key: &str,
        address: SocketAddr,
    ) -> Option<ConfigError> {
        let clashing = self.addresses.iter().find(|(at, _)| clash(*at, address)).cloned();
        self.addresses.push((address, owner.words(key)));
        let (at, other) = clashing?;
        let other = if at == address { other } else { format!("{other}, {at}") };
        let instead = "give each its own port, or use port 0 for any free port".to_owned();
        let wrong = format!(": {address} is already used by {other}");
        Some(ConfigError::setting(key, &wrong, instead))
    }
}

/// Whether a file is in a folder, whatever the links on the way lead to: those are not followed.
fn is_below(file: &Path, directory: &Path) -> bool {
    let stays = |part: Component<'_>| part != Component::ParentDir;
    let inner = file.parent().is_some_and(|folder| folder.starts_with(directory));
    inner && file.components().all(stays)
}

fn claim_entry<K: Ord>(
    entry: Entry<'_, K, String>,
    owner: Owner<'_>,
    key: &str,
    found: &str,
) -> Option<ConfigError> {
    match entry {
        Entry::Occupied(other) => {
            let wrong = format!(": {found} is already used by {}", other.get());
            let instead = "use a different one for each service".to_owned();
            Some(ConfigError::setting(key, &wrong, instead))
        }
        Entry::Vacant(free) => {
            free.insert(owner.words(key));
            None
        }
    }
}

impl Owner<'_> {
    /// What others are told who want what the owner has at `key`.
    fn words(&self, key: &str) -> String {
        match self.syntax {
            Syntax::File => key.to_owned(),
            Syntax::Labels => format!("{key} of service {}", self.service),
        }
    }
}

impl Claims {
    /// What a valid service of the file claims, at no place.
    fn of(service: &Service) -> Self {
        let path = |name: &str| format!("{}.{name}", join("services", &service.name));
        let mut claims = Self::default();
        if let Activator::At(value) = service.activator {
            claims.activator = Some(Claim { key: path("activator"), value, span: 0..0 });
        }
        let host = |host: &String| Claim { key: path("host"), value: host.clone(), span: 0..0 };
        claims.hosts = service.hosts.iter().map(host).collect();
        match &service.balancer {
            Balancer::Proxy { listen, .. } => {
                claims.listen = Some(Claim { key: path("listen"), value: *listen, span: 0..0 });
            }
            Balancer::Haproxy { backend, .. } => {
                let (key, value) = (path("haproxy.backend"), backend.name.clone());
                claims.backend = Some(Claim { key, value, span: 0..0 });
                claims.file = backend.file.as_ref().map(|file| Claim {
                    key: path("haproxy.file"),
                    value: file.path.clone(),
                    span: 0..0,
                });
            }
            Balancer::None => {}
        }
        claims
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
