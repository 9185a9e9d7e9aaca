//! What the engines of all services share: opened once, and only if a service needs it.

use std::sync::Arc;

use flyball_config as config;
use flyball_config::{Config, Service};
use flyball_docker::{DockerHost, Owner};
use flyball_mesos::{ClusterInfo, MesosCluster};
use flyball_process::Launcher;
use flyball_zookeeper::Candidate;

use super::marathon::{self, MarathonHost};
use super::swarm::{self, SwarmHost};
use super::{Engine, docker, mesos, process};
use crate::daemon::claims::Claim;
use crate::daemon::preflight::Preflight;
use crate::daemon::state_dir::StateDir;
use crate::failure::Failure;
use crate::finding::Finding;

/// For a daemon, which runs replicas on them.
pub(crate) struct EngineHosts {
    process: Option<Arc<Launcher>>,
    docker: Option<Arc<DockerHost>>,
    swarm: Option<SwarmHost>,
    mesos: Option<Arc<MesosCluster>>,
    marathon: Option<MarathonHost>,
}

impl EngineHosts {
    /// Opens what the services of `config` need. What the next flyball must know goes through
    /// `shared`, where there are several.
    pub(crate) async fn open(
        config: &Config,
        home: &StateDir,
        limits: process::Limits,
        shared: Option<Arc<Candidate>>,
    ) -> Result<Self, Failure> {
        // First, because it may wait for the key that signs containers.
        let docker = docker::open(config, home, shared.as_ref()).await?;
        Ok(Self {
            docker,
            process: process::open(config, home, limits)?,
            swarm: SwarmHost::open(config)?,
            mesos: mesos::open(config, home, shared)?,
            marathon: MarathonHost::open(config)?,
        })
    }

    /// The engine that `service` asks for. `owner`: to whom it belongs, if it exists by its labels.
    pub(crate) fn build(
        &self,
        service: &Service,
        owner: Option<&Owner>,
    ) -> Result<Engine, Failure> {
        let name = &service.name;
        Ok(match &service.engine {
            config::Engine::Process(process) => {
                let launcher = here(&self.process, "no process can be started here")?;
                Engine::Process(process::build(Arc::clone(launcher), name, process)?)
            }
            config::Engine::Docker(container) => {
                Engine::Docker(docker::build(self.docker()?, name, container, owner)?)
            }
            config::Engine::Swarm(swarm) => Engine::Swarm(self.swarm()?.build(service, swarm)?),
            config::Engine::Mesos(task) => {
                let cluster = here(&self.mesos, "no task of mesos can be started here")?;
                Engine::Mesos(mesos::build(Arc::clone(cluster), name, task)?)
            }
            config::Engine::Marathon(app) => {
                Engine::Marathon(self.marathon()?.build(service, app)?)
            }
        })
    }

    /// What runs containers.
    pub(crate) fn docker(&self) -> Result<Arc<DockerHost>, Failure> {
        here(&self.docker, "no container can be started here").cloned()
    }

    fn swarm(&self) -> Result<&SwarmHost, Failure> {
        here(&self.swarm, "no task of a swarm can be seen here")
    }

    fn marathon(&self) -> Result<&MarathonHost, Failure> {
        here(&self.marathon, "no app of marathon can be seen here")
    }

    /// Those whose labels are to be followed.
    pub(crate) fn counted(&self, config: &Config) -> Result<Vec<Counted>, Failure> {
        let mut counted = Vec::new();
        if config.swarm.labels {
            counted.push(Counted::Swarm(self.swarm()?.clone()));
        }
        if config.marathon.labels {
            counted.push(Counted::Marathon(self.marathon()?.clone()));
        }
        Ok(counted)
    }
}

fn here<'a, T>(host: &'a Option<T>, missing: &str) -> Result<&'a T, Failure> {
    let hint = "restart flyball: this engine was not in use when it started";
    host.as_ref().ok_or_else(|| Failure::new(missing).hint(hint))
}

/// What has services with a count and with labels.
pub(crate) enum Counted {
    Swarm(SwarmHost),
    Marathon(MarathonHost),
}

impl Counted {
    pub(crate) async fn discover(&self) -> Result<Vec<Claim>, String> {
        match self {
            Self::Swarm(swarm) => swarm.discover().await.map_err(|error| error.to_string()),
            Self::Marathon(marathon) => {
                marathon.discover().await.map_err(|error| error.to_string())
            }
        }
    }

    /// What carries the labels.
    pub(crate) fn carrier(&self) -> &'static str {
        match self {
            Self::Swarm(_) => "swarm service",
            Self::Marathon(_) => "app",
        }
    }

    /// The file with the owners of its services.
    pub(crate) fn owners(&self) -> &'static str {
        match self {
            Self::Swarm(_) => swarm::OWNERS,
            Self::Marathon(_) => marathon::OWNERS,
        }
    }
}

/// For `flyball check`. One that does not answer is not here: that has been said, once for all
/// services.
pub(crate) struct CheckedHosts {
    docker: Option<docker::CheckedHost>,
    swarm: Option<SwarmHost>,
    mesos: Option<ClusterInfo>,
    marathon: Option<MarathonHost>,
}

impl CheckedHosts {
    /// Asks those that `config` needs; adds the services that their labels describe.
    pub(crate) async fn ask(config: &Config, preflight: &mut Preflight) -> Result<Self, Failure> {
        Ok(Self {
            docker: docker::check(config, preflight).await?,
            swarm: SwarmHost::check(config, preflight).await?,
            mesos: mesos::check(config, &mut preflight.findings).await,
            marathon: MarathonHost::check(config, preflight).await?,
        })
    }

    /// Whether replicas of `service` can be run.
    pub(crate) async fn check(&self, config: &Config, service: &Service) -> Vec<Finding> {
        let name = &service.name;
        match &service.engine {
            config::Engine::Process(process) => process::check(name, process),
            config::Engine::Docker(container) => match &self.docker {
                Some(docker) => docker.check(config, service, container).await,
                None => Vec::new(),
            },
            config::Engine::Swarm(task) => match &self.swarm {
                Some(swarm) => swarm.check_service(service, task).await,
                None => Vec::new(),
            },
            config::Engine::Mesos(task) => {
                self.mesos.iter().map(|survey| mesos::check_service(name, task, survey)).collect()
            }
            config::Engine::Marathon(app) => match &self.marathon {
                Some(marathon) => marathon.check_service(service, app).await,
                None => Vec::new(),
            },
        }
    }
}
