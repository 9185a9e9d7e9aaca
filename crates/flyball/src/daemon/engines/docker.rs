//! The engine of containers on a Docker host: opened, built, discovered and checked from the
//! configuration.

mod claims;
mod signer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use flyball_config as config;
use flyball_config::{Config, Reach, Ready, Service};
use flyball_docker::{
    DockerEngine, DockerError, DockerHost, DockerSettings, ExtraRights, HostSettings, Members,
    Original, Owner, Publish, Signer, SleepMode,
};
use flyball_engine::Hint as _;
use flyball_zookeeper::Candidate;

use crate::clock;
use crate::daemon::balancers;
use crate::daemon::owners::Owners;
use crate::daemon::preflight::Preflight;
use crate::daemon::probe::Question;
use crate::daemon::state_dir::{self, StateDir};
use crate::failure::{Failure, with_hint};
use crate::finding::Finding;
pub(crate) use claims::{Claims, described};

with_hint!(DockerError);

/// The file with the owners of services by the labels of containers, in the state directory.
pub(crate) const OWNERS: &str = state_dir::CONTAINER_OWNERS;

/// Whether anything of `config` is on a Docker host.
fn is_needed(config: &Config) -> bool {
    let containers =
        config.services.values().any(|s| matches!(s.engine, config::Engine::Docker(_)));
    containers || config.docker.labels
}

/// The Docker host, if anything of `config` is on one. Its containers are signed with a key that
/// several flyballs have through `shared`.
pub(super) async fn open(
    config: &Config,
    home: &StateDir,
    shared: Option<&Arc<Candidate>>,
) -> Result<Option<Arc<DockerHost>>, Failure> {
    if !is_needed(config) {
        return Ok(None);
    }
    open_with(config, signer::signer(home, shared).await?).map(Some)
}

/// The Docker host for read-only use: nothing is signed.
pub(crate) fn open_to_read(config: &Config) -> Result<Arc<DockerHost>, Failure> {
    open_with(config, signer::peeking(&config.daemon.state_dir)?)
}

fn open_with(config: &Config, signer: Signer) -> Result<Arc<DockerHost>, Failure> {
    let settings = HostSettings {
        host: config.docker.host.clone(),
        cgroup_mount: Some(config.docker.cgroup_mount.clone()),
        clock: clock::now,
        signer: Arc::new(signer.trusting_marks(config.docker.trust_marks)),
        labels_from_images: config.docker.labels_from_images,
        docker_config: docker_config(),
    };
    Ok(DockerHost::open(settings)?)
}

/// Where Docker's own client keeps its configuration.
fn docker_config() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
    std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home)
}

/// `owner`: to whom a service by labels belongs.
pub(in crate::daemon) fn build(
    host: Arc<DockerHost>,
    service: &str,
    container: &config::Container,
    owner: Option<&Owner>,
) -> Result<DockerEngine, Failure> {
    Ok(DockerEngine::new(host, settings(service, container, owner))?)
}

/// `owner`: to whom a service by labels belongs.
pub(super) fn settings(
    service: &str,
    container: &config::Container,
    owner: Option<&Owner>,
) -> DockerSettings {
    let members = match owner {
        Some(owner) => Members::Owned(owner.clone()),
        None if container.adopt => Members::Adopted,
        None => Members::Started,
    };
    let config::ExtraRights { cpus, memory, networks, ports, log } = container.granted;
    let granted = ExtraRights { cpus, memory, networks, ports, log };
    let log = container.log.as_ref();
    let network = container.network.clone();
    let publish = match container.reach {
        Reach::Published(address) => Publish::Address(address),
        Reach::ContainerAddress => Publish::ContainerAddress { network: network.clone() },
        Reach::HostNetwork => Publish::HostNetwork,
    };
    DockerSettings {
        service: service.to_owned(),
        image: container.image.clone(),
        members,
        granted,
        command: container.command.clone(),
        env: container.env.clone(),
        labels: container.labels.clone(),
        cpus: container.cpus,
        memory_bytes: container.memory_bytes,
        port: container.port,
        publish,
        networks: network.into_iter().collect(),
        log_driver: log.map(|log| log.driver.clone()),
        log_options: log.map(|log| log.options.clone()).unwrap_or_default(),
        grace_ms: container.grace_ms,
        sleep: container.sleep.map(|mode| match mode {
            config::SleepMode::Stop => SleepMode::Stop,
            config::SleepMode::Pause => SleepMode::Pause,
        }),
    }
}

/// A Docker host that answers, for `flyball check`.
pub(super) struct CheckedHost {
    host: Arc<DockerHost>,
    /// To whom services by labels belong.
    owners: BTreeMap<String, Owner>,
}

/// Asks the Docker host, if `config` needs it, and adds the services that labels describe. `None`
/// also where it does not answer.
pub(super) async fn check(
    config: &Config,
    preflight: &mut Preflight,
) -> Result<Option<CheckedHost>, Failure> {
    if !is_needed(config) {
        return Ok(None);
    }
    let host = open_to_read(config)?;
    match host.check().await {
        Ok(facts) => {
            let cores = facts.cores.map(|cores| format!(", {cores} cores")).unwrap_or_default();
            let text = format!("docker {}, API {}{cores}", facts.version, facts.api);
            preflight.findings.push(Finding::good("docker.host", text));
        }
        Err(error) => {
            preflight.findings.push(Finding::failed("docker.host", error));
            return Ok(None);
        }
    }
    let mut owners = BTreeMap::new();
    if config.docker.labels {
        let claims = discover(config, &host).await;
        preflight.describe(config, &claims.labels());
        preflight.remark(claims.remarks);
        owners = claims.chosen.into_iter().map(|(name, it)| (name, it.owner)).collect();
    }
    Ok(Some(CheckedHost { host, owners }))
}

/// Which container labels define which service.
async fn discover(config: &Config, host: &DockerHost) -> Claims {
    let found = host.discover().await.unwrap_or_default();
    let owners = Owners::open(config.daemon.state_dir.join(OWNERS));
    Claims::of(config, &found, &owners)
}

impl CheckedHost {
    /// Whether containers of `service` can be started.
    pub(super) async fn check(
        &self,
        config: &Config,
        service: &Service,
        container: &config::Container,
    ) -> Vec<Finding> {
        let name = &service.name;
        let by_file = config.services.contains_key(name);
        let owner = self.owners.get(name).filter(|_| !by_file);
        let balancer = balancers::host_name(config, service).await;
        let found = async {
            let engine = build(Arc::clone(&self.host), name, container, owner)?;
            let found = engine.check(balancer.as_deref()).await?;
            let mut findings = found.findings;
            if let Some(original) = &found.original {
                findings.extend(probed(original, &service.ready).await);
            }
            Ok(findings.into_iter().map(|it| Finding::about(name, it)).collect())
        };
        Finding::of_service(name, found.await, "containers can be started")
    }
}

/// Asks the container that would be copied as a replica is asked; why it is not ready. It may just be
/// starting, so that this alone is no fault.
async fn probed(original: &Original, ready: &Ready) -> Option<flyball_engine::Finding> {
    let question = Question { ready, address: original.address };
    let outcome = question.ask().await;
    (!question.is_met_by(&outcome)).then(|| {
        flyball_engine::Finding {
        fatal: false,
        text: format!("container {} is not ready: {question}{outcome}", original.container),
        hint: Some(
            "the label flyball.port (or port) must be where the application listens; if it is just \
             starting, check again"
                .to_owned(),
        ),
    }
    })
}
