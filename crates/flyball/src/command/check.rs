//! `flyball check` validates a configuration and everything it refers to. It starts and changes
//! nothing; each finding names the key or place in the file, and how to fix it.

mod ha;
mod haproxy;
mod local;
mod machine;
mod ports;
mod readiness;
mod zabbix;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use flyball_config::{Balancer, Config, Engine, Problem, Ready, Service, ServiceLabels, Task};
use flyball_docker::swarm::{AgentFacts, SwarmEngine, SwarmManagers};
use flyball_docker::{DockerEngine, DockerHost, DockerSettings, Owner};
use flyball_mesos::ClusterInfo;
use flyball_mesos::marathon::{Marathon, MarathonEngine};
use serde::Serialize;

use crate::cli::Check;
use crate::command::configuration;
use crate::daemon::{
    CONTAINER_OWNERS, Claim, Claims, HaproxyPlace, Owners, Room, app_settings, claims_of_apps,
    claims_of_swarm, docker_settings, mesos_access, mesos_master, mesos_settings, needs_docker,
    open_docker, open_marathon, open_swarm, speaking, swarm_settings,
};
use crate::descriptors::{self, Budget};
use crate::failure::Failure;
use crate::output::print;
use crate::plain::{lines, one_line};
use ports::Ports;

/// The result of one check.
#[derive(Debug, Serialize)]
struct Finding {
    /// The key it is about, or the place in the file.
    key: String,
    /// Whether it needs no fix.
    ok: bool,
    /// What was found.
    text: String,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    /// A finding that must be fixed is not `ok`, even if flyball can start with it.
    fn mark(&self) -> &'static str {
        match (self.ok, &self.hint) {
            (true, None) => "ok   ",
            (true, Some(_)) => "warn ",
            (false, _) => "wrong",
        }
    }
}

pub(crate) async fn check(options: Check) -> Result<ExitCode, Failure> {
    let findings = match configuration(&options.file) {
        Ok(config) => look_at(&config, &options.haproxy_config).await?,
        Err(errors) if options.json => errors.problems.iter().map(in_the_file).collect(),
        Err(errors) => {
            Failure::from(errors).print();
            return Ok(ExitCode::FAILURE);
        }
    };
    for finding in &findings {
        let line = if options.json { json_line(finding)? } else { text_line(finding) };
        print(&line)?;
    }
    let good = findings.iter().all(|finding| finding.ok);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn json_line(finding: &Finding) -> Result<String, Failure> {
    serde_json::to_string(finding).map_err(Failure::new)
}

fn text_line(finding: &Finding) -> String {
    let mark = finding.mark();
    let hint = finding.hint.as_ref();
    let hint = hint.map(|hint| format!("\n      hint: {}", lines(hint))).unwrap_or_default();
    format!("{mark} {}: {}{hint}", one_line(&finding.key), lines(&finding.text))
}

fn in_the_file(problem: &Problem) -> Finding {
    let place = &problem.place;
    let key = match place.position {
        Some((line, column)) => format!("{}:{line}:{column}", place.file),
        None => place.file.clone(),
    };
    let (text, hint) = (problem.fault.to_string(), problem.fault.hint());
    Finding { key, ok: false, text, hint }
}

async fn look_at(config: &Config, haproxy: &[PathBuf]) -> Result<Vec<Finding>, Failure> {
    let ports = Ports::of(&config.daemon).await;
    let mut findings = vec![
        ports.look_at("flyball.listen", config.daemon.listen),
        writable("flyball.state_dir", &config.daemon.state_dir),
    ];
    findings.extend(machine::look_at(config));
    findings.extend(proxied(config));
    if let Some(ha) = &config.ha {
        findings.extend(ha::look_at(ha).await);
    }
    let mut services: Vec<Service> = config.services.values().cloned().collect();
    let systems = Systems::asked(config, &mut services, &mut findings).await?;
    if let Some(zabbix) = &config.zabbix {
        findings.extend(zabbix::look_at(config, &services, zabbix).await);
    }
    // One for all: two services with one file show.
    let place = HaproxyPlace::of(config);
    for service in &services {
        findings.extend(systems.look_at_engine(config, service).await);
        match &service.balancer {
            Balancer::Proxy { listen, .. } => {
                findings.push(ports.look_at(&format!("services.{}.listen", service.name), *listen));
            }
            Balancer::Haproxy { backend, slots } => {
                let place = place.clone();
                findings.extend(haproxy::look_at(place, service, backend, *slots, haproxy).await);
            }
            Balancer::None => {}
        }
        findings.push(readiness::look_at(service));
    }
    Ok(findings)
}

/// All services of `config`, including label-defined ones; and why some may be missing.
pub(crate) async fn all_services(config: &Config) -> Result<(Vec<Service>, Vec<String>), Failure> {
    let mut services: Vec<Service> = config.services.values().cloned().collect();
    let mut findings = Vec::new();
    if config.docker.labels || config.swarm.labels || config.marathon.labels {
        Systems::asked(config, &mut services, &mut findings).await?;
    }
    let wrong = findings.into_iter().filter(|finding| !finding.ok);
    Ok((services, wrong.map(|finding| format!("{}: {}", finding.key, finding.text)).collect()))
}

/// What runs replicas. One that does not answer is not here: that has been said, once for all
/// services.
struct Systems {
    docker: Option<Arc<DockerHost>>,
    swarm: Option<Arc<SwarmManagers>>,
    mesos: Option<ClusterInfo>,
    marathon: Option<Arc<Marathon>>,
    /// To whom services by the labels of containers belong.
    owners: BTreeMap<String, Owner>,
}

impl Systems {
    /// Those that `config` needs; adds the services that their labels describe.
    async fn asked(
        config: &Config,
        services: &mut Vec<Service>,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, Failure> {
        let mut owners = BTreeMap::new();
        let mut docker = if needs_docker(config) { Some(open_docker(config)?) } else { None };
        if let Some(host) = &docker {
            let found = reachable(host).await;
            let answers = found.ok;
            findings.push(found);
            if answers && config.docker.labels {
                let claims = claims(config, host).await;
                services.extend(described(config, &claims.labels(), findings));
                findings.extend(claims.remarks.into_iter().map(remark));
                owners = claims.chosen.into_iter().map(|(name, it)| (name, it.owner)).collect();
            }
            docker = docker.filter(|_| answers);
        }
        let mut swarm = if needs_swarm(config) { Some(open_swarm(config)?) } else { None };
        if let Some(managers) = &swarm {
            let found = manageable(managers).await;
            let answers = found.first().is_some_and(|manager| manager.ok);
            findings.extend(found);
            if answers && config.swarm.labels {
                let found = managers.discovered().await.unwrap_or_default();
                let claims = claims_of_swarm(&found);
                services.extend(counted(config, &claims, "swarm-owners", findings));
            }
            swarm = swarm.filter(|_| answers);
        }
        let mesos = surveyed(config, findings).await;
        let marathon = apps(config, services, findings).await?;
        Ok(Self { docker, swarm, mesos, marathon, owners })
    }

    async fn look_at_engine(&self, config: &Config, service: &Service) -> Vec<Finding> {
        let name = &service.name;
        match &service.engine {
            Engine::Process(process) => local::runnable(name, process),
            Engine::Docker(container) => match &self.docker {
                Some(host) => {
                    let by_file = config.services.contains_key(name);
                    let owner = self.owners.get(name).filter(|_| !by_file);
                    let settings = docker_settings(name, container, owner);
                    let balancer = local::balancer_host(config, service).await;
                    startable(settings, host, balancer.as_deref(), &service.ready).await
                }
                None => Vec::new(),
            },
            Engine::Swarm(task) => match &self.swarm {
                Some(managers) => {
                    let settings = swarm_settings(service, task, config.swarm.obeys_hold);
                    scalable(name, SwarmEngine::new(managers, settings)).await
                }
                None => Vec::new(),
            },
            Engine::Mesos(task) => {
                self.mesos.iter().map(|survey| placeable(name, task, survey)).collect()
            }
            Engine::Marathon(app) => match &self.marathon {
                Some(marathon) => {
                    let settings = app_settings(service, app, config.marathon.obeys_hold);
                    countable(name, MarathonEngine::new(marathon, settings)).await
                }
                None => Vec::new(),
            },
        }
    }
}

/// How many connections the embedded proxies take, where there are any.
fn proxied(config: &Config) -> Option<Finding> {
    let is_proxy = |service: &Service| matches!(service.balancer, Balancer::Proxy { .. });
    let labels = config.docker.labels || config.swarm.labels || config.marathon.labels;
    if !labels && !config.services.values().any(is_proxy) {
        return None;
    }
    let Room { connections, per_client, .. } =
        Room::of(&config.proxy, &Budget::of(config, descriptors::highest()));
    let text = format!("up to {connections} client connections, {per_client} per client");
    Some(Finding { key: "proxy.connections".to_owned(), ok: true, text, hint: None })
}

fn needs_swarm(config: &Config) -> bool {
    let tasks = config.services.values().any(|s| matches!(s.engine, Engine::Swarm(_)));
    tasks || config.swarm.labels
}

/// The managers of a Swarm, and its agents where one of them answers.
async fn manageable(managers: &SwarmManagers) -> Vec<Finding> {
    let key = "swarm.managers".to_owned();
    let facts = match managers.check().await {
        Ok(facts) => facts,
        Err(error) => {
            return vec![Finding { key, ok: false, text: error.to_string(), hint: error.hint() }];
        }
    };
    let (up, all) = facts.nodes;
    let text = format!("docker {} at {}, {up} of {all} nodes ready", facts.version, facts.host);
    let manager = Finding { key, ok: true, text, hint: None };
    [manager].into_iter().chain(facts.agents.iter().flat_map(events)).collect()
}

/// Each agent that reports no CPU usage, or one finding that all do.
fn events(agents: &AgentFacts) -> Vec<Finding> {
    let key = "swarm.agent".to_owned();
    if agents.silent.is_empty() {
        let text = format!("agents on {} nodes report CPU usage", agents.told);
        return vec![Finding { key, ok: true, text, hint: None }];
    }
    let hint = "for the reason, see docker service ps and docker service logs of the agents";
    let silent = agents.silent.iter().map(|(node, why)| Finding {
        key: key.clone(),
        ok: false,
        text: format!("node {node} reports no CPU usage: {why}"),
        hint: Some(hint.to_owned()),
    });
    silent.collect()
}

async fn reachable(host: &DockerHost) -> Finding {
    let key = "docker.host".to_owned();
    match host.check().await {
        Ok(facts) => {
            let cores = facts.cores.map(|cores| format!(", {cores} cores")).unwrap_or_default();
            let text = format!("docker {}, API {}{cores}", facts.version, facts.api);
            Finding { key, ok: true, text, hint: None }
        }
        Err(error) => Finding { key, ok: false, text: error.to_string(), hint: error.hint() },
    }
}

/// Which container labels define which service.
async fn claims(config: &Config, host: &DockerHost) -> Claims {
    let found = host.discover().await.unwrap_or_default();
    let owners = Owners::open(config.daemon.state_dir.join(CONTAINER_OWNERS));
    Claims::of(config, &found, &owners)
}

/// The services that labels of Swarm services or apps describe; who was first is in `file`.
fn counted(
    config: &Config,
    claims: &[Claim],
    file: &str,
    findings: &mut Vec<Finding>,
) -> Vec<Service> {
    let owners = Owners::open(config.daemon.state_dir.join(file));
    let (labels, refused) = speaking(claims, &owners);
    findings.extend(refused.into_iter().map(remark));
    described(config, &labels, findings)
}

/// Information about a service that is not a fault.
fn remark((name, text): (String, String)) -> Finding {
    Finding { key: format!("services.{name}"), ok: true, text, hint: None }
}

fn described(config: &Config, labels: &ServiceLabels, findings: &mut Vec<Finding>) -> Vec<Service> {
    let found = config.labelled(labels);
    for errors in found.refused.values() {
        findings.extend(errors.problems.iter().map(in_the_file));
    }
    let noted = |(name, text): (&String, &String)| Finding {
        key: format!("services.{name}"),
        ok: true,
        text: text.clone(),
        hint: None,
    };
    findings.extend(found.notes.iter().map(noted));
    found.services.into_values().collect()
}

/// The Mesos cluster, if a service needs one and it answers; that it does not is said once.
async fn surveyed(config: &Config, findings: &mut Vec<Finding>) -> Option<ClusterInfo> {
    if !config.services.values().any(|s| matches!(s.engine, Engine::Mesos(_))) {
        return None;
    }
    let key = "mesos.master".to_owned();
    let access = match mesos_access(config) {
        Ok(access) => access,
        Err(failure) => {
            let (text, hint) = (failure.what().to_owned(), failure.way_out());
            findings.push(Finding { key: "mesos".to_owned(), ok: false, text, hint });
            return None;
        }
    };
    match ClusterInfo::of(&mesos_master(config), &access).await {
        Ok(survey) => {
            let (at, version) = (&survey.at, &survey.version);
            let (agents, cpus) = (survey.agents(), survey.cpus());
            let text = format!("mesos {version} at {at}, {agents} agents, {cpus} cores");
            findings.push(Finding { key, ok: true, text, hint: None });
            Some(survey)
        }
        Err(error) => {
            let (text, hint) = (error.to_string(), error.hint());
            findings.push(Finding { key, ok: false, text, hint });
            None
        }
    }
}

/// The Marathon, if a service needs one and it answers; adds the services that its labels describe.
async fn apps(
    config: &Config,
    services: &mut Vec<Service>,
    findings: &mut Vec<Finding>,
) -> Result<Option<Arc<Marathon>>, Failure> {
    let named = config.services.values().any(|s| matches!(s.engine, Engine::Marathon(_)));
    if !named && !config.marathon.labels {
        return Ok(None);
    }
    let (key, marathon) = ("marathon.url".to_owned(), open_marathon(config)?);
    match marathon.check().await {
        Ok(facts) => {
            let text = format!("marathon {} at {}", facts.version, facts.at);
            findings.push(Finding { key, ok: true, text, hint: None });
        }
        Err(error) => {
            let (text, hint) = (error.to_string(), error.hint());
            findings.push(Finding { key, ok: false, text, hint });
            return Ok(None);
        }
    }
    if config.marathon.labels {
        let found = marathon.discovered().await.unwrap_or_default();
        services.extend(counted(config, &claims_of_apps(&found), "app-owners", findings));
    }
    Ok(Some(marathon))
}

async fn countable(
    name: &str,
    engine: Result<MarathonEngine, flyball_mesos::marathon::MarathonError>,
) -> Vec<Finding> {
    let key = format!("services.{name}");
    let found = async { engine?.check().await };
    let well = "its count can be changed and its tasks can be reached".to_owned();
    match found.await {
        Ok(found) if found.is_empty() => vec![Finding { key, ok: true, text: well, hint: None }],
        Ok(found) => {
            let finding = |f: flyball_mesos::marathon::Finding| Finding {
                key: key.clone(),
                ok: !f.fatal,
                text: f.text,
                hint: f.hint,
            };
            found.into_iter().map(finding).collect()
        }
        Err(error) => {
            let (text, hint) = (error.to_string(), error.hint());
            vec![Finding { key, ok: false, text, hint }]
        }
    }
}

fn placeable(name: &str, task: &Task, survey: &ClusterInfo) -> Finding {
    let lacking = survey.no_room_for(&mesos_settings(name, task));
    let ok = lacking.is_none();
    let hint = lacking.as_ref().map(|_| "lower cpus or memory, or add agents".to_owned());
    let text = lacking.unwrap_or_else(|| "the agents have room for its tasks".to_owned());
    Finding { key: format!("services.{name}"), ok, text, hint }
}

async fn startable(
    settings: DockerSettings,
    host: &Arc<DockerHost>,
    balancer: Option<&str>,
    ready: &Ready,
) -> Vec<Finding> {
    let key = format!("services.{}", settings.service);
    let wrong = |text: String, hint| vec![Finding { key: key.clone(), ok: false, text, hint }];
    let engine = match DockerEngine::new(Arc::clone(host), settings) {
        Ok(engine) => engine,
        Err(error) => return wrong(error.to_string(), error.hint()),
    };
    match engine.check(balancer).await {
        Ok(found) => {
            let mut findings = found.findings;
            if let Some(original) = &found.original {
                findings.extend(readiness::probed(original, ready).await);
            }
            findings_of(key, findings, "containers can be started")
        }
        Err(error) => wrong(error.to_string(), error.hint()),
    }
}

async fn scalable(
    name: &str,
    engine: Result<SwarmEngine, flyball_docker::swarm::SwarmError>,
) -> Vec<Finding> {
    let key = format!("services.{name}");
    let found = async { engine?.check().await };
    match found.await {
        Ok(found) => {
            findings_of(key, found, "its count can be changed and its tasks can be reached")
        }
        Err(error) => {
            let (text, hint) = (error.to_string(), error.hint());
            vec![Finding { key, ok: false, text, hint }]
        }
    }
}

/// What Docker's engines found; that all is `well` where that is nothing.
fn findings_of(key: String, found: Vec<flyball_docker::Finding>, well: &str) -> Vec<Finding> {
    if found.is_empty() {
        return vec![Finding { key, ok: true, text: well.to_owned(), hint: None }];
    }
    let finding = |f: flyball_docker::Finding| Finding {
        key: key.clone(),
        ok: !f.fatal,
        text: f.text,
        hint: f.hint,
    };
    found.into_iter().map(finding).collect()
}

fn writable(key: &str, directory: &Path) -> Finding {
    // The nearest part that exists decides whether the rest can be made.
    let existing = directory.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"));
    let (ok, text, hint) = match tempfile::Builder::new().prefix(".flyball").tempfile_in(existing) {
        Ok(_) => (true, format!("{} can be written to", directory.display()), None),
        Err(error) => (
            false,
            format!("{} cannot be written to: {error}", directory.display()),
            Some("set state_dir to a directory that this user may write to".to_owned()),
        ),
    };
    Finding { key: key.to_owned(), ok, text, hint }
}
