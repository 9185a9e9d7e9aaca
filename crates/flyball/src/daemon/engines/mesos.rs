//! The engine of tasks of a Mesos cluster: opened, built and checked from the configuration.

use std::path::PathBuf;
use std::sync::Arc;

use flyball_agent::Token;
use flyball_config as config;
use flyball_config::{Config, MesosMaster};
use flyball_engine::Hint as _;
use flyball_mesos::{
    Access, ClusterInfo, ClusterSettings, Credential, Master, MesosCluster, MesosEngine,
    MesosError, MesosSettings, Network, Tls, TlsSettings,
};
use flyball_zookeeper::{Candidate, follow_mesos};

use crate::clock;
use crate::daemon::state_dir::{self, StateDir};
use crate::failure::{Failure, with_hint};
use crate::finding::Finding;
use crate::leadership::ensemble;

with_hint!(MesosError);

/// The file in the state directory with the id of flyball's framework.
const FRAMEWORK: &str = state_dir::MESOS_FRAMEWORK;

fn is_needed(config: &Config) -> bool {
    config.services.values().any(|s| matches!(s.engine, config::Engine::Mesos(_)))
}

/// The cluster, if a service of `config` is on it. What the next flyball must know goes through
/// `shared`.
pub(super) fn open(
    config: &Config,
    home: &StateDir,
    shared: Option<Arc<Candidate>>,
) -> Result<Option<Arc<MesosCluster>>, Failure> {
    if !is_needed(config) {
        return Ok(None);
    }
    let (master, role) = (master(config), config.mesos.role.clone());
    let access = access(config)?;
    if access.credential.is_some() && access.tls.is_none() {
        tracing::warn!("the secret in mesos.secret_file is sent unencrypted; hint: use TLS");
    }
    let id_file = home.file(FRAMEWORK);
    let settings = ClusterSettings { master, access, role, id_file, shared, clock: clock::now };
    Ok(Some(MesosCluster::open(settings)?))
}

/// How the leading master is found. What is elected is followed from now on.
pub(super) fn master(config: &Config) -> Master {
    match &config.mesos.master {
        MesosMaster::At(at) => Master::At(at.clone()),
        MesosMaster::Elected(at) => Master::Elected(follow_mesos(ensemble(at))),
    }
}

/// How masters and agents are spoken to. Reads the files with secret and certificates.
pub(super) fn access(config: &Config) -> Result<Access, Failure> {
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
pub(super) fn tls(key: &str, ca_file: Option<PathBuf>) -> Result<Tls, Failure> {
    Tls::open(&TlsSettings { ca_file, own: None }).map_err(|error| {
        Failure::new(format!("{key}: {error}")).hint("it must be PEM, as openssl writes it")
    })
}

pub(super) fn build(
    cluster: Arc<MesosCluster>,
    service: &str,
    task: &config::Task,
) -> Result<MesosEngine, Failure> {
    Ok(MesosEngine::new(cluster, settings(service, task))?)
}

fn settings(service: &str, task: &config::Task) -> MesosSettings {
    MesosSettings {
        service: service.to_owned(),
        image: task.image.clone(),
        command: task.command.clone(),
        env: task.env.clone(),
        labels: task.labels.clone(),
        cpus: task.cpus,
        memory_bytes: task.memory_bytes,
        network: task.port.map_or(Network::Host, |port| Network::Bridge { port }),
        grace_ms: task.grace_ms,
    }
}

/// Asks the cluster, if a service needs it. `None` also where it does not answer.
pub(super) async fn check(config: &Config, findings: &mut Vec<Finding>) -> Option<ClusterInfo> {
    if !is_needed(config) {
        return None;
    }
    let access = match access(config) {
        Ok(access) => access,
        Err(failure) => {
            findings.push(Finding::failed("mesos", failure));
            return None;
        }
    };
    match ClusterInfo::of(&master(config), &access).await {
        Ok(survey) => {
            let (at, version) = (&survey.at, &survey.version);
            let (agents, cpus) = (survey.agents(), survey.cpus());
            let text = format!("mesos {version} at {at}, {agents} agents, {cpus} cores");
            findings.push(Finding::good("mesos.master", text));
            Some(survey)
        }
        Err(error) => {
            findings.push(Finding::failed("mesos.master", error));
            None
        }
    }
}

/// Whether the agents have room for a task of a service.
pub(super) fn check_service(name: &str, task: &config::Task, survey: &ClusterInfo) -> Finding {
    let key = format!("services.{name}");
    match survey.no_room_for(&settings(name, task)) {
        Some(lacking) => Finding::wrong(key, lacking).hint("lower cpus or memory, or add agents"),
        None => Finding::good(key, "the agents have room for its tasks"),
    }
}
