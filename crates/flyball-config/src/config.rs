//! A validated configuration. `Debug` shows the names of variables and never their values, which
//! may be secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use flyball_core::policy::Policy;

use crate::{Permits, Proxy};

/// A validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The daemon's own settings.
    pub daemon: Daemon,
    /// The Docker host, for services that run there.
    pub docker: Docker,
    /// The managers of the Swarm, for services that run there.
    pub swarm: Swarm,
    /// The Mesos cluster, for services that run there.
    pub mesos: Mesos,
    /// The Marathon, for apps of it.
    pub marathon: Marathon,
    /// Several flyballs of which one acts, if there are several.
    pub ha: Option<Ha>,
    /// The embedded proxies of services.
    pub proxy: Proxy,
    /// The HAProxy, for services that it balances.
    pub haproxy: Haproxy,
    /// The Zabbix that services are reported to, if any.
    pub zabbix: Option<Zabbix>,
    /// The services of the file by name; at least one unless services are found by labels.
    pub services: BTreeMap<String, Service>,
}

impl Config {
    /// The files that hold a secret, each with its key.
    pub fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        let zabbix = self.zabbix.as_ref();
        let api = zabbix.and_then(|zabbix| zabbix.api.as_ref());
        let key_file = zabbix.and_then(|zabbix| zabbix.own_certificate.as_ref()).map(|own| &own.1);
        let all = [
            ("flyball.token_file", self.daemon.token_file.as_ref()),
            ("flyball.read_token_file", self.daemon.read_token_file.as_ref()),
            ("swarm.agent_token_file", self.swarm.agent_token_file.as_ref()),
            ("mesos.secret_file", self.mesos.secret_file.as_ref()),
            ("marathon.credentials_file", self.marathon.credentials_file.as_ref()),
            ("marathon.token_file", self.marathon.token_file.as_ref()),
            ("zabbix.token_file", api.map(|api| &api.token_file)),
            ("zabbix.key_file", key_file),
        ];
        all.into_iter().filter_map(|(key, path)| Some((key, path?.as_path()))).collect()
    }
}

/// Settings of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Where the API is served; loopback unless there is a token.
    pub listen: SocketAddr,
    /// Where the journal is kept.
    pub state_dir: PathBuf,
    /// A file that held a token when it was checked.
    pub token_file: Option<PathBuf>,
    /// The same for those who may only read; without it anybody may.
    pub read_token_file: Option<PathBuf>,
}

/// A Docker host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// `unix:///PATH` or `tcp://IP:PORT`.
    pub host: String,
    /// Where its cgroups are mounted here.
    pub cgroup_mount: PathBuf,
    /// Whether services are also to be found by the labels of its containers.
    pub labels: bool,
    /// What those may say.
    pub permits: Permits,
    /// Whether a label counts also where a container has it from its image.
    pub labels_from_images: bool,
    /// Whether flyball's marks are believed without its signature.
    pub trust_marks: bool,
}

/// A Docker Swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swarm {
    /// `unix:///PATH` or `tcp://IP:PORT` of each manager to ask; at least one.
    pub managers: Vec<String>,
    /// Whether services are also to be found by the labels of Swarm services.
    pub labels: bool,
    /// Whether `flyball.hold=true` is obeyed: unless the file says that no label is.
    pub obeys_hold: bool,
    /// What those may say.
    pub permits: Permits,
    /// What Swarm calls the service of flyball's agents.
    pub agent: String,
    /// A file with what agents must be shown; `None`: they let everybody read.
    pub agent_token_file: Option<PathBuf>,
}

/// Several flyballs of which one acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ha {
    /// Where they find out which one.
    pub zookeeper: Ensemble,
    /// How long ZooKeeper waits for word from it, in milliseconds, 1 to 60 s.
    pub session_ms: u64,
}

/// A Mesos cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mesos {
    /// Where its leading master is found.
    pub master: MesosMaster,
    /// The role that resources are offered to.
    pub role: String,
    /// Whether masters and agents are asked with TLS.
    pub tls: bool,
    /// Who may sign for them; `None`: those whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Who flyball is there.
    pub principal: String,
    /// The file with the secret; `None`: no authentication.
    pub secret_file: Option<PathBuf>,
}

/// A Marathon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marathon {
    /// Where it is found.
    pub place: MarathonPlace,
    /// Whether it is asked with TLS.
    pub tls: bool,
    /// Who may sign for it; `None`: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// A file with `USER:PASSWORD`, which it is shown.
    pub credentials_file: Option<PathBuf>,
    /// A file with a token of DC/OS, which it is shown.
    pub token_file: Option<PathBuf>,
    /// Whether services are also to be found by the labels of apps.
    pub labels: bool,
    /// Whether `flyball.hold=true` is obeyed: unless the file says that no label is.
    pub obeys_hold: bool,
    /// What those may say.
    pub permits: Permits,
}

/// How a Marathon is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarathonPlace {
    /// At each of these `HOST:PORT`; at least one.
    At(Vec<String>),
    /// By what Marathons write into ZooKeeper.
    Elected(Ensemble),
}

/// How the leading master of a Mesos cluster is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MesosMaster {
    /// At this `HOST:PORT`, or where that one says.
    At(String),
    /// By what masters write into ZooKeeper.
    Elected(Ensemble),
}

/// Servers of ZooKeeper, and a path on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// `HOST:PORT`, separated by commas; at least one.
    pub servers: String,
    /// Begins with a slash and does not end with one.
    pub path: String,
}

/// A HAProxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Haproxy {
    /// Where its runtime API listens.
    pub socket: Socket,
    /// The backends that labels may name.
    pub backends: BTreeSet<String>,
    /// The folder that every file of a backend is below.
    pub directory: PathBuf,
}

/// A Zabbix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zabbix {
    /// Where it takes values, `HOST:PORT`.
    pub trapper: String,
    /// The name of the zabbix_proxy that takes them; `None`: the server does. Then there is an API.
    pub proxy: Option<String>,
    /// Time between two reports of each replica's CPU, in milliseconds; at least 1 s.
    pub interval_ms: u64,
    /// What hosts are called before the service's name; may be empty.
    pub host_prefix: String,
    /// Whether each replica has a host of its own, too; then there is an API.
    pub replica_hosts: bool,
    /// Its API, if it is to be asked.
    pub api: Option<ZabbixApi>,
    /// Certificates of who may sign for it; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Flyball's own certificate and its key: values are sent with TLS.
    pub own_certificate: Option<(PathBuf, PathBuf)>,
    /// Flyball's own address as Zabbix reaches it, without a slash at the end.
    pub webhook: Option<String>,
}

/// Zabbix's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZabbixApi {
    /// An http or https address.
    pub url: String,
    /// A file that held a token when it was checked.
    pub token_file: PathBuf,
}

/// Where something listens that is on this machine or reached by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// A socket file.
    Unix(PathBuf),
    /// `HOST:PORT` over TCP; a name is looked up at each connection.
    Tcp(String),
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Everything that deciding needs to know.
    pub policy: Policy,
    /// What runs its replicas.
    pub engine: Engine,
    /// What spreads requests over them.
    pub balancer: Balancer,
    /// When a started replica counts as ready.
    pub ready: Ready,
    /// Time from one probe of a ready replica to the next, in milliseconds; 0: it is not probed.
    pub liveness_ms: u64,
    /// The share of a minute's requests that may fail before that is said, in 0..=1.
    pub error_limit: f64,
}

/// What runs the replicas of a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// Child processes of flyball on this machine.
    Process(Process),
    /// Containers on the Docker host.
    Docker(Container),
    /// Tasks of a service of the Swarm.
    Swarm(SwarmService),
    /// Tasks of the Mesos cluster.
    Mesos(Task),
    /// Tasks of an app of Marathon.
    Marathon(MarathonApp),
}

/// A replica as a child process.
#[derive(Clone, PartialEq)]
pub struct Process {
    /// The program, never empty, and its arguments; `{port}` stands for the port it is given.
    pub command: Vec<String>,
    /// Variables added to its environment; may hold secrets, so `Debug` shows names only.
    pub env: BTreeMap<String, String>,
    /// Where it runs; `None`: where flyball runs.
    pub directory: Option<PathBuf>,
    /// Cores it may use; above 0.
    pub cpus: f64,
    /// Time between SIGTERM and SIGKILL, in milliseconds; 0: at once.
    pub grace_ms: u64,
}

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

/// A service of the Swarm whose tasks are the replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmService {
    /// What Swarm calls it.
    pub swarm_service: String,
    /// The port its tasks serve on inside; above 0.
    pub port: u16,
    /// How requests reach a task.
    pub reach: TaskReach,
    /// Cores to reckon load against where the service sets no limit, at least 0.01.
    pub cpus: Option<f64>,
}

/// How requests reach a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskReach {
    /// At its node's address and the port published there in host mode.
    Node,
    /// At its own address in this overlay network, or in the first that it has.
    Network(Option<String>),
}

/// An app of Marathon whose tasks are the replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarathonApp {
    /// Its id, such as `/shop/web`.
    pub app: String,
    /// The port its tasks serve on inside, or as the app defines it; `None`: the first of its
    /// ports.
    pub port: Option<u16>,
}

/// A replica as a task of Mesos. What is empty is as the image has it.
#[derive(Clone, PartialEq)]
pub struct Task {
    /// The image.
    pub image: String,
    /// The program and its arguments, or empty; `{port}` stands for the port it serves on.
    pub command: Vec<String>,
    /// Variables added to its environment; may hold secrets, so `Debug` shows names only.
    pub env: BTreeMap<String, String>,
    /// Labels added to flyball's own; none begins with `flyball.`.
    pub labels: BTreeMap<String, String>,
    /// Cores it is given, at least 0.01.
    pub cpus: f64,
    /// Memory it is given, in bytes, at least 32 MiB.
    pub memory_bytes: u64,
    /// The port it serves on inside, which one of its agent's leads to; `None` where it shares its
    /// agent's network and is told its port.
    pub port: Option<u16>,
    /// Time between SIGTERM and SIGKILL, in milliseconds; 0: at once.
    pub grace_ms: u64,
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

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("directory", &self.directory)
            .field("cpus", &self.cpus)
            .field("grace_ms", &self.grace_ms)
            .finish()
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("image", &self.image)
            .field("adopt", &self.adopt)
            .field("granted", &self.granted)
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("labels", &self.labels)
            .field("cpus", &self.cpus)
            .field("memory_bytes", &self.memory_bytes)
            .field("port", &self.port)
            .field("reach", &self.reach)
            .field("network", &self.network)
            .field("log", &self.log)
            .field("grace_ms", &self.grace_ms)
            .finish()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("image", &self.image)
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("labels", &self.labels)
            .field("cpus", &self.cpus)
            .field("memory_bytes", &self.memory_bytes)
            .field("port", &self.port)
            .field("grace_ms", &self.grace_ms)
            .finish()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("driver", &self.driver)
            .field("options", &self.options.keys())
            .finish()
    }
}

/// What spreads requests over the replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// The embedded proxy.
    Proxy {
        /// Where it takes requests; port 0: any free one.
        listen: SocketAddr,
        /// Requests that one replica works on at once; `None`: not limited.
        slots: Option<u32>,
    },
    /// A backend of the HAProxy.
    Haproxy {
        /// The backend, which no other service has.
        backend: Backend,
        /// Requests that one replica works on at once, its `maxconn`; `None`: not limited.
        slots: Option<u32>,
    },
    /// Nothing, or something that flyball does not know.
    None,
}

/// A backend of HAProxy whose servers are the replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// A file with the whole backend that flyball keeps current.
    pub file: Option<OwnedFile>,
    /// The slots to use, for HAProxy before 2.6, which cannot make servers at run time.
    pub template: Option<Template>,
    /// Whether HAProxy checks the servers, too; `None`: where the backend is HTTP.
    pub check: Option<bool>,
    /// More words of each server, which HAProxy may refuse.
    pub options: String,
    /// Whether HAProxy's own configuration must ask for flyball: labels named the backend.
    pub must_ask: bool,
}

/// A file that only flyball writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The lines of the backend beside its servers, each without a line end.
    pub lines: Vec<String>,
}

/// What `server-template PREFIX COUNT ...` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What the names of the slots begin with; a number from 1 follows.
    pub prefix: String,
    /// How many there are; above 0.
    pub count: u32,
}

/// When a started replica counts as ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Once `GET path` is answered.
    Http {
        /// The path; starts with `/`.
        path: String,
        /// Whether any reply counts but one that says that the replica fails
        /// ([`flyball_core::observation::is_failure`]); otherwise only a status below 400.
        any_but_failure: bool,
    },
    /// Once a connection is accepted.
    Tcp,
}
