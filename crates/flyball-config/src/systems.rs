//! The tables of the systems that flyball works with. Nothing is connected to. Without a `[docker]`
//! table, no container label defines a service, and without a `[swarm]` table no label of a Swarm
//! service does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config_error::ConfigError;
use crate::table_reader::{Field, TableReader};
use crate::value::Span;
use crate::{
    Docker, Ha, Haproxy, Marathon, MarathonPlace, Mesos, MesosMaster, Permits, Socket, Swarm,
    address, check, daemon, keys,
};

impl Default for Docker {
    /// Docker where it is nearly everywhere, and services by labels.
    fn default() -> Self {
        Self {
            host: "unix:///var/run/docker.sock".to_owned(),
            cgroup_mount: PathBuf::from("/sys/fs/cgroup"),
            labels: true,
            permits: Permits::default(),
            labels_from_images: false,
            trust_marks: false,
        }
    }
}

impl Default for Mesos {
    /// A master on this machine, and unreserved resources.
    fn default() -> Self {
        Self {
            master: MesosMaster::At("127.0.0.1:5050".to_owned()),
            role: "*".to_owned(),
            tls: false,
            ca_file: None,
            principal: "flyball".to_owned(),
            secret_file: None,
        }
    }
}

impl Default for Marathon {
    /// One on this machine that wants no credentials; no services by labels.
    fn default() -> Self {
        Self {
            place: MarathonPlace::At(vec!["127.0.0.1:8080".to_owned()]),
            tls: false,
            ca_file: None,
            credentials_file: None,
            token_file: None,
            labels: false,
            obeys_hold: true,
            permits: Permits::default(),
        }
    }
}

impl Default for Haproxy {
    /// Socket and folder of Debian's own configuration; labels may name no backend.
    fn default() -> Self {
        Self {
            socket: Socket::Unix(PathBuf::from("/run/haproxy/admin.sock")),
            backends: BTreeSet::new(),
            directory: PathBuf::from("/etc/haproxy"),
        }
    }
}

/// The Docker host that `root` names, and where it says that no label is obeyed.
pub(crate) fn docker(root: &mut TableReader<'_>, base: &Path) -> Option<(Docker, Option<Span>)> {
    let given = root.names().contains(&keys::DOCKER_TABLE.name);
    let mut fields = root.take_table_or_empty(&keys::DOCKER_TABLE, &keys::DOCKER)?;
    let preset = Docker::default();
    let host = fields.take(&keys::HOST, address::docker_host).or(preset.host);
    let mount = fields.take(&keys::CGROUP_MOUNT, check::path).or(preset.cgroup_mount);
    let labels = fields.take(&keys::FIND_LABELS, check::flag);
    let forbidden = labels.given().filter(|(labels, _)| !**labels).map(|(_, span)| span.clone());
    let permits = Permits::take(&mut fields);
    let from_images = fields.take(&keys::LABELS_FROM_IMAGES, check::flag).or(false);
    let trust_marks = fields.take(&keys::TRUST_MARKS, check::flag).or(false);
    fields.finish();
    let docker = Docker {
        host: host?,
        cgroup_mount: base.join(mount?),
        labels: labels.or(given)?,
        permits: permits?,
        labels_from_images: from_images?,
        trust_marks: trust_marks?,
    };
    Some((docker, forbidden))
}

impl Swarm {
    /// The Swarm that a Docker host manages, and services by labels.
    pub(crate) fn at(docker: &Docker) -> Self {
        Self {
            managers: vec![docker.host.clone()],
            labels: true,
            obeys_hold: true,
            permits: Permits::default(),
            agent: "flyball-agent".to_owned(),
            agent_token_file: None,
        }
    }
}

/// The Swarm that `root` names; by default that of `docker`.
pub(crate) fn swarm(
    root: &mut TableReader<'_>,
    docker: Option<&Docker>,
    base: &Path,
) -> Option<Swarm> {
    let given = root.names().contains(&keys::SWARM_TABLE.name);
    let mut fields = root.take_table_or_empty(&keys::SWARM_TABLE, &keys::SWARM)?;
    let managers = fields.take(&keys::MANAGERS, address::docker_hosts).optional();
    let labels = fields.take(&keys::FIND_SWARM_LABELS, check::flag);
    let obeys_hold = labels.given().is_none_or(|(labels, _)| *labels);
    let labels = labels.or(given);
    let permits = Permits::take(&mut fields);
    let preset = docker.map(Swarm::at);
    let agent = fields.take(&keys::SWARM_AGENT, check::text).optional();
    let token = fields.take(&keys::SWARM_AGENT_TOKEN_FILE, check::path).optional();
    fields.finish();
    let preset = preset?;
    Some(Swarm {
        managers: managers?.unwrap_or(preset.managers),
        labels: labels?,
        obeys_hold,
        permits: permits?,
        agent: agent?.unwrap_or(preset.agent),
        agent_token_file: token?.map(|path| base.join(path)),
    })
}

/// The Mesos cluster that `root` names.
pub(crate) fn mesos(root: &mut TableReader<'_>, base: &Path) -> Option<Mesos> {
    let mut fields = root.take_table_or_empty(&keys::MESOS_TABLE, &keys::MESOS)?;
    let preset = Mesos::default();
    let master = fields.take(&keys::MASTER, address::mesos_master);
    let role = fields.take(&keys::ROLE, check::text).or(preset.role);
    let tls = fields.take(&keys::MESOS_TLS, check::flag);
    let by_address = master.given().and_then(|((_, tls), _)| *tls);
    if let (Some(by_address), Some((given, span))) = (by_address, tls.given())
        && *given != by_address
    {
        let (given, scheme) = (*given, if *given { "https" } else { "http" });
        let fault = ConfigError::NotA {
            key: fields.path_of(keys::MESOS_TLS.name),
            found: given.to_string(),
            wanted: "consistent with the scheme of master".to_owned(),
            instead: Some(format!("write master = \"{scheme}://HOST:PORT\" and remove tls")),
        };
        fields.report(fault, span);
    }
    let ca_file = fields.take(&keys::MESOS_CA_FILE, check::path).optional();
    let principal = fields.take(&keys::PRINCIPAL, check::principal);
    let secret = fields.take(&keys::SECRET_FILE, check::path);
    daemon::refuse_bad_token(&mut fields, &keys::SECRET_FILE, &secret, base);
    fields.finish();
    let (master, by_address) = master.or((preset.master, Some(preset.tls)))?;
    Some(Mesos {
        master,
        role: role?,
        tls: tls.or(false)? || by_address == Some(true),
        ca_file: ca_file?.map(|path| base.join(path)),
        principal: principal.or(preset.principal)?,
        secret_file: secret.optional()?.map(|path| base.join(path)),
    })
}

/// The Marathon that `root` names.
pub(crate) fn marathon(root: &mut TableReader<'_>, base: &Path) -> Option<Marathon> {
    let given = root.names().contains(&keys::MARATHON_TABLE.name);
    let mut fields = root.take_table_or_empty(&keys::MARATHON_TABLE, &keys::MARATHON)?;
    let preset = Marathon::default();
    let place = fields.take(&keys::MARATHON_URL, address::marathon).or((preset.place, preset.tls));
    let ca_file = fields.take(&keys::MARATHON_CA_FILE, check::path).optional();
    let labels = fields.take(&keys::FIND_APP_LABELS, check::flag);
    let obeys_hold = labels.given().is_none_or(|(labels, _)| *labels);
    let labels = labels.or(given);
    let permits = Permits::take(&mut fields);
    let token_span = fields.span_of(&keys::MARATHON_TOKEN_FILE);
    let credentials = fields.take(&keys::CREDENTIALS_FILE, check::path).optional();
    let token = fields.take(&keys::MARATHON_TOKEN_FILE, check::path).optional();
    if let (Some(Some(_)), Some(Some(_))) = (&credentials, &token) {
        let fault = ConfigError::Useless {
            key: fields.path_of(keys::MARATHON_TOKEN_FILE.name),
            beside: keys::CREDENTIALS_FILE.name.to_owned(),
            instead: "keep the one that Marathon requires".to_owned(),
        };
        fields.report(fault, &token_span);
    }
    fields.finish();
    let (place, tls) = place?;
    Some(Marathon {
        place,
        tls,
        ca_file: ca_file?.map(|path| base.join(path)),
        credentials_file: credentials?.map(|path| base.join(path)),
        token_file: token?.map(|path| base.join(path)),
        labels: labels?,
        obeys_hold,
        permits: permits?,
    })
}

/// Several flyballs, if `root` speaks of them, and where it does; `None` if anything was reported.
pub(crate) fn ha(root: &mut TableReader<'_>) -> Option<Option<(Ha, Span)>> {
    if !root.names().contains(&keys::HA_TABLE.name) {
        return Some(None);
    }
    let mut fields = root.take_table(&keys::HA_TABLE, &keys::HA)?;
    let zookeeper = fields.take(&keys::ZOOKEEPER, address::zookeeper);
    if matches!(zookeeper, Field::Absent) {
        fields.missing(&keys::ZOOKEEPER, "\"zk://10.0.0.1:2181,10.0.0.2:2181/flyball\"");
    }
    let session_ms = fields.take(&keys::SESSION, check::duration_ms).or(6_000);
    let span = fields.span.clone();
    fields.finish();
    Some(Some((Ha { zookeeper: zookeeper.optional()??, session_ms: session_ms? }, span)))
}

/// The HAProxy that `root` names.
pub(crate) fn haproxy(root: &mut TableReader<'_>, base: &Path) -> Option<Haproxy> {
    let mut fields = root.take_table_or_empty(&keys::HAPROXY_TABLE, &keys::HAPROXY)?;
    let preset = Haproxy::default();
    let socket = fields.take(&keys::SOCKET, address::socket);
    let backends = fields.take(&keys::BACKENDS, check::haproxy_names).or(preset.backends);
    let directory = fields.take(&keys::FILES_DIRECTORY, check::path).or(preset.directory);
    fields.finish();
    Some(Haproxy {
        socket: match socket.or(preset.socket)? {
            Socket::Unix(path) => Socket::Unix(base.join(path)),
            tcp @ Socket::Tcp(_) => tcp,
        },
        backends: backends?,
        directory: base.join(directory?),
    })
}
