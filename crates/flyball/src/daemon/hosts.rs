//! Connections that several services share. Each is opened once, and only if a service needs it.

use std::path::PathBuf;
use std::sync::Arc;

use flyball_agent::{Agents, PullSettings, Token};
use flyball_config::{Config, Engine, MarathonPlace, MesosMaster, Socket};
use flyball_docker::swarm::{ManagerSettings, SwarmAgents, SwarmManagers};
use flyball_docker::{DockerHost, HostSettings, Signer};
use flyball_haproxy::OwnedFiles;
use flyball_mesos::marathon::{Credentials, Marathon, MarathonPlaces, MarathonSettings};
use flyball_mesos::{Access, ClusterSettings, Credential, Master, MesosCluster, Tls, TlsSettings};
use flyball_process::{Launcher, LauncherSettings};
use flyball_zookeeper::{Candidate, follow_marathon, follow_mesos};
use ipnet::IpNet;

use super::room::Room;
use super::signer::peeking;
use super::state_dir::StateDir;
use crate::cli::WATCHDOG;
use crate::clock;
use crate::descriptors::Budget;
use crate::failure::Failure;

/// Between two questions to an agent, in milliseconds: CPU windows are of seconds, and five questions
/// a second cost an agent with 200 containers 1 % of a core.
const AGENT_MS: u64 = 500;

/// Shared by all services of a daemon.
pub(crate) struct Hosts {
    launcher: Option<Arc<Launcher>>,
    docker: Option<Arc<DockerHost>>,
    swarm: Option<Arc<SwarmManagers>>,
    mesos: Option<Arc<MesosCluster>>,
    marathon: Option<Arc<Marathon>>,
    haproxy: HaproxyPlace,
    obeys_hold: ObeysHold,
    proxies: Proxies,
}

/// Where HAProxy is, and what of its files are flyball's.
#[derive(Clone, Debug)]
pub(crate) struct HaproxyPlace {
    /// Where it takes commands.
    pub(crate) socket: flyball_haproxy::Socket,
    /// What every file is below.
    pub(crate) directory: PathBuf,
    /// Which service has which.
    pub(crate) files: OwnedFiles,
}

impl HaproxyPlace {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            socket: socket(&config.haproxy.socket),
            directory: config.haproxy.directory.clone(),
            files: OwnedFiles::default(),
        }
    }
}

/// Whether a hold label of others stops flyball from changing a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObeysHold {
    /// On services of a Swarm.
    pub(crate) swarm: bool,
    /// On apps.
    pub(crate) marathon: bool,
}

/// What all embedded proxies share.
pub(super) struct Proxies {
    pub(super) room: Room,
    pub(super) trusted: Vec<IpNet>,
}

/// How many files this process may have open, and who may have how many.
#[derive(Clone, Debug)]
pub(super) struct Descriptors {
    /// The soft limit that replicas start with.
    pub(super) of_replicas: u64,
    pub(super) budget: Budget,
}

impl Hosts {
    /// Opens what the services of `config` need; `signer` is there if [`needs_docker`] them. What the
    /// next flyball must know goes through `shared`, where there are several.
    pub(super) fn open(
        config: &Config,
        home: &StateDir,
        descriptors: Descriptors,
        shared: Option<Arc<Candidate>>,
        signer: Option<Signer>,
    ) -> Result<Self, Failure> {
        let processes = config.services.values().any(|s| matches!(s.engine, Engine::Process(_)));
        let launcher = if processes { Some(launcher(home, &descriptors)?) } else { None };
        let docker = signer.map(|signer| docker_with(config, signer)).transpose()?;
        let tasks = config.services.values().any(|s| matches!(s.engine, Engine::Swarm(_)));
        let swarm = if tasks || config.swarm.labels { Some(swarm(config)?) } else { None };
        let tasks = config.services.values().any(|s| matches!(s.engine, Engine::Mesos(_)));
        let mesos = if tasks { Some(mesos(config, home.file(FRAMEWORK), shared)?) } else { None };
        let apps = config.services.values().any(|s| matches!(s.engine, Engine::Marathon(_)));
        let apps = apps || config.marathon.labels;
        let marathon = if apps { Some(marathon(config)?) } else { None };
        Ok(Self {
            launcher,
            docker,
            swarm,
            mesos,
            marathon,
            haproxy: HaproxyPlace::of(config),
            obeys_hold: ObeysHold {
                swarm: config.swarm.obeys_hold,
                marathon: config.marathon.obeys_hold,
            },
            proxies: Proxies {
                room: Room::of(&config.proxy, &descriptors.budget),
                trusted: config.proxy.trusted.clone(),
            },
        })
    }

    /// What runs containers.
    pub(super) fn docker(&self) -> Result<Arc<DockerHost>, Failure> {
        self.docker.clone().ok_or_else(|| Failure::new("no container can be started here"))
    }

    /// What runs tasks.
    pub(super) fn swarm(&self) -> Result<&Arc<SwarmManagers>, Failure> {
        self.swarm.as_ref().ok_or_else(|| Failure::new("no task of a swarm can be seen here"))
    }

    /// What runs tasks of Mesos.
    pub(super) fn mesos(&self) -> Result<Arc<MesosCluster>, Failure> {
        self.mesos.clone().ok_or_else(|| Failure::new("no task of mesos can be started here"))
    }

    /// What runs apps.
    pub(super) fn marathon(&self) -> Result<&Arc<Marathon>, Failure> {
        self.marathon.as_ref().ok_or_else(|| Failure::new("no app of marathon can be seen here"))
    }

    /// Where HAProxy is.
    pub(super) fn haproxy(&self) -> &HaproxyPlace {
        &self.haproxy
    }

    /// Whether a hold label of others stops flyball from changing a service.
    pub(super) fn obeys_hold(&self) -> ObeysHold {
        self.obeys_hold
    }

    /// What embedded proxies share.
    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// What starts processes.
    pub(super) fn launcher(&self) -> Result<Arc<Launcher>, Failure> {
        self.launcher.clone().ok_or_else(|| Failure::new("no process can be started here"))
    }
}

fn launcher(home: &StateDir, descriptors: &Descriptors) -> Result<Arc<Launcher>, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find flyball's own program: {error}")))?;
    let settings = LauncherSettings {
        run_mark: home.run_mark(),
        home_mark: home.mark(),
        watchdog: Some(vec![program.into(), WATCHDOG.into()]),
        descriptors: Some(descriptors.of_replicas),
        replicas_max: descriptors.budget.processes,
        cgroup_mount: Some("/sys/fs/cgroup".into()),
    };
    Ok(Arc::new(Launcher::start(settings)?))
}

/// Whether anything of `config` is on a Docker host.
pub(crate) fn needs_docker(config: &Config) -> bool {
    let containers = config.services.values().any(|s| matches!(s.engine, Engine::Docker(_)));
    containers || config.docker.labels
}

/// The Docker host for read-only use: nothing is signed.
pub(crate) fn docker(config: &Config) -> Result<Arc<DockerHost>, Failure> {
    docker_with(config, peeking(&config.daemon.state_dir)?)
}

fn docker_with(config: &Config, signer: Signer) -> Result<Arc<DockerHost>, Failure> {
    let settings = HostSettings {
        host: config.docker.host.clone(),
        cgroup_mount: Some(config.docker.cgroup_mount.clone()),
        clock: clock::now,
        signer: Arc::new(signer.trusting_marks(config.docker.trust_marks)),
        labels_from_images: config.docker.labels_from_images,
    };
    Ok(DockerHost::open(settings)?)
}

pub(crate) fn swarm(config: &Config) -> Result<Arc<SwarmManagers>, Failure> {
    let settings = &config.swarm;
    let token = settings.agent_token_file.as_ref().map(|path| {
        Token::of_file(path).map_err(|error| {
            let what = format!("cannot use the agents' token in {}: {error}", path.display());
            Failure::new(what).hint("put one line of at least 16 letters and digits into it")
        })
    });
    let token = token.transpose()?;
    let pull = PullSettings { token, interval_ms: AGENT_MS, clock: clock::now };
    let agents = Agents::open(pull).map_err(Failure::new)?;
    let agents = Some(SwarmAgents { service: settings.agent.clone(), agents });
    let managers = settings.managers.clone();
    Ok(SwarmManagers::open(ManagerSettings { managers, clock: clock::now, agents })?)
}

/// The file in the state directory with the id of flyball's framework.
const FRAMEWORK: &str = "mesos-framework";

/// How the leading master is found. What is elected is followed from now on.
pub(crate) fn mesos_master(config: &Config) -> Master {
    match &config.mesos.master {
        MesosMaster::At(at) => Master::At(at.clone()),
        MesosMaster::Elected(at) => Master::Elected(follow_mesos(ensemble(at))),
    }
}

/// How masters and agents are spoken to. Reads the files with secret and certificates.
pub(crate) fn mesos_access(config: &Config) -> Result<Access, Failure> {
    let mesos = &config.mesos;
    let tls = mesos.tls.then(|| tls("mesos.ca_file", mesos.ca_file.clone())).transpose()?;
    let credential = mesos.secret_file.as_ref().map(|path| {
        let secret = Token::of_file(path).map_err(|error| {
            Failure::new(format!("mesos.secret_file: {}: {error}", path.display()))
        })?;
        Ok::<_, Failure>(Credential { principal: mesos.principal.clone(), secret })
    });
    Ok(Access { tls, credential: credential.transpose()? })
}

/// TLS that trusts certificates signed by `ca_file`, which `key` of the configuration names.
fn tls(key: &str, ca_file: Option<PathBuf>) -> Result<Tls, Failure> {
    Tls::open(&TlsSettings { ca_file, own: None }).map_err(|error| {
        Failure::new(format!("{key}: {error}")).hint("it must be PEM, as openssl writes it")
    })
}

pub(crate) fn ensemble(at: &flyball_config::Ensemble) -> flyball_zookeeper::Ensemble {
    flyball_zookeeper::Ensemble { servers: at.servers.clone(), path: at.path.clone() }
}

pub(crate) fn marathon(config: &Config) -> Result<Arc<Marathon>, Failure> {
    let settings = &config.marathon;
    let places = match &settings.place {
        MarathonPlace::At(all) => MarathonPlaces::At(all.clone()),
        MarathonPlace::Elected(at) => MarathonPlaces::Elected(follow_marathon(ensemble(at))),
    };
    let basic = settings.credentials_file.clone().map(Credentials::Basic);
    let credentials = basic.or_else(|| settings.token_file.clone().map(Credentials::Token));
    let (mesos, labels) = (Some(mesos_master(config)), settings.labels);
    let tls =
        settings.tls.then(|| tls("marathon.ca_file", settings.ca_file.clone())).transpose()?;
    if credentials.is_some() && tls.is_none() {
        tracing::warn!("the credentials for Marathon are sent unencrypted; hint: use https");
    }
    let (mesos_access, clock) = (mesos_access(config)?, clock::now);
    Ok(Marathon::open(MarathonSettings {
        places,
        tls,
        credentials,
        mesos,
        mesos_access,
        labels,
        clock,
    })?)
}

fn mesos(
    config: &Config,
    id_file: PathBuf,
    shared: Option<Arc<Candidate>>,
) -> Result<Arc<MesosCluster>, Failure> {
    let (master, role) = (mesos_master(config), config.mesos.role.clone());
    let access = mesos_access(config)?;
    if access.credential.is_some() && access.tls.is_none() {
        tracing::warn!("the secret in mesos.secret_file is sent unencrypted; hint: use TLS");
    }
    let settings = ClusterSettings { master, access, role, id_file, shared, clock: clock::now };
    Ok(MesosCluster::open(settings)?)
}

fn socket(socket: &Socket) -> flyball_haproxy::Socket {
    match socket {
        Socket::Unix(path) => flyball_haproxy::Socket::Unix(path.clone()),
        Socket::Tcp(place) => flyball_haproxy::Socket::Tcp(place.clone()),
    }
}
