//! Checks of a service on its Docker host. Nothing is started, pulled or changed.

use std::net::SocketAddr;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectNetworkOptions;
use flyball_engine::Finding;
use flyball_engine::command::PortFault;
use serde_json::Value;

use crate::client::{ASK_LIMIT, Client};
use crate::discovery::discover;
use crate::facts::{Facts, Health, State, Way};
use crate::networks::BalancerPlace;
use crate::service::NO_CGROUPS;
use crate::settings::Publish;
use crate::swarm::{Manager, SwarmError};
use crate::{DockerError, DockerHost, DockerSettings, LabelledService, Members, balancer, copy};

/// What was found of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// One finding for each thing.
    pub findings: Vec<Finding>,
    /// The container that would be copied, if it runs and its address is known.
    pub original: Option<Original>,
}

/// A container that runs and would be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its name.
    pub container: String,
    /// Where it should serve.
    pub address: SocketAddr,
}

/// Looks at everything that `settings` name. `balancer` is what the balancer's machine calls itself.
pub(crate) async fn look(
    host: &DockerHost,
    settings: &DockerSettings,
    balancer: Option<&str>,
) -> Result<Checked, DockerError> {
    let daemon = host.check().await?;
    let docker = host.client.connect().await?;
    let mut findings = Vec::new();
    findings.extend(cores(settings, daemon.cores));
    findings.extend(command(settings));
    if daemon.counts_cpu == Some(false) {
        findings.push(Finding { fatal: true, text: NO_CGROUPS.to_owned(), hint: None });
    }
    let Some(image) = &settings.image else {
        let template = look_at_template(host, &docker, settings, balancer).await?;
        findings.extend(template.findings);
        return Ok(Checked { findings, original: template.original });
    };
    findings.extend(networks(&host.client, &docker, settings).await);
    findings.extend(image_findings(&host.client, &docker, settings, image).await);
    Ok(Checked { findings, original: None })
}

/// The networks that replicas of an image join and that are not there.
async fn networks(
    client: &Client,
    docker: &bollard::Docker,
    settings: &DockerSettings,
) -> Vec<Finding> {
    let own = match &settings.publish {
        Publish::ContainerAddress { network } => network.as_deref(),
        Publish::Address(_) | Publish::HostNetwork => None,
    };
    let mut all: Vec<&str> = settings.networks.iter().map(String::as_str).chain(own).collect();
    all.dedup();
    let mut findings = Vec::new();
    for network in all {
        let asked = docker.inspect_network(network, None::<InspectNetworkOptions>);
        if let Err(error) = client.ask("find a network", ASK_LIMIT, asked).await {
            findings.push(Finding::fatal(&error));
        }
    }
    findings
}

/// A command that does not pass its program the port; in a network of its own a replica always
/// serves on the same port, which the command may name by its number.
fn command(settings: &DockerSettings) -> Option<Finding> {
    if settings.command.is_empty() {
        return None;
    }
    let told = settings.publish == Publish::HostNetwork;
    let fault = PortFault::of(&settings.command).filter(|fault| match fault {
        PortFault::Misspelt(_) => true,
        PortFault::Unexpanded(_) | PortFault::Absent => told,
    })?;
    let fatal = matches!(fault, PortFault::Misspelt(_));
    Some(Finding { fatal, text: fault.to_string(), hint: Some(fault.hint()) })
}

#[expect(clippy::cast_precision_loss, reason = "no machine has 2^52 processors")]
fn cores(settings: &DockerSettings, there: Option<usize>) -> Option<Finding> {
    let (wanted, there) = settings.cpus.zip(there)?;
    (wanted > there as f64).then(|| {
        let why = format!("a replica needs {wanted} cores, the host has {there}");
        Finding::fatal(&DockerError::CpusRefused { why })
    })
}

async fn image_findings(
    client: &Client,
    docker: &bollard::Docker,
    settings: &DockerSettings,
    image: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    match client.ask("find an image", ASK_LIMIT, docker.inspect_image(image)).await {
        Ok(found) => {
            let exposed = found.config.and_then(|config| config.exposed_ports).unwrap_or_default();
            let port = format!("{}/tcp", settings.port);
            if !exposed.is_empty() && !exposed.contains(&port) {
                let text = format!("image {image} exposes {}, not {port}", exposed.join(", "));
                findings.push(Finding::remark(
                    text,
                    "set port to the port that the application serves on",
                ));
            }
        }
        Err(
            error @ (DockerError::ImageNotFound { .. } | DockerError::Refused { status: 404, .. }),
        ) => {
            tracing::debug!(%error, "an image is not on the host");
            let text =
                format!("image {image} is not on the host and will be pulled at the first start");
            findings.push(Finding::remark(
                text,
                &format!("docker pull {image} shows whether it can be pulled"),
            ));
        }
        Err(error) => findings.push(Finding::fatal(&error)),
    }
    if settings.cpus.is_none() {
        findings.push(no_limit(&settings.service));
    }
    findings
}

async fn look_at_template(
    host: &DockerHost,
    docker: &bollard::Docker,
    settings: &DockerSettings,
    balancer: Option<&str>,
) -> Result<Checked, DockerError> {
    let Some(name) = template(host, docker, settings).await? else {
        let none = DockerError::NoTemplate { service: settings.service.clone() };
        return Ok(Checked { findings: vec![Finding::fatal(&none)], original: None });
    };
    let inspection = whole_inspection(host, &name).await?;
    let answer: ContainerInspectResponse =
        serde_json::from_value(inspection.clone()).map_err(|error| DockerError::Broken {
            what: "inspect a container".into(),
            why: error.to_string(),
        })?;
    let balancer = match balancer {
        Some(host_name) => balancer::find(&host.client, docker, host_name).await?,
        None => BalancerPlace::Unknown,
    };
    let refused = copy::refuse(&answer, settings, &balancer).err();
    let mut findings: Vec<Finding> = refused.as_ref().map(Finding::fatal).into_iter().collect();
    let (publish, port) = (&settings.publish, settings.port);
    let way = Way { publish, port, machine: host.client.machine, balancer: &balancer };
    let standing = host.client.standing_in(&answer).await?;
    let Some(facts) = Facts::of(&answer, &standing, way) else {
        return Ok(Checked { findings, original: None });
    };
    if facts.limit_cores.is_none() && settings.cpus.is_none() {
        findings.push(no_limit(&name));
    }
    if refused.is_none() {
        findings.extend(unready(&facts, port, settings.sleep.is_some()));
    }
    let lost = copy::losses(&inspection).into_iter();
    findings.extend(lost.map(|lost| {
        let text = format!("container {name}: {lost}");
        Finding::note(text)
    }));
    let serves = refused.is_none() && facts.state == State::Running;
    let address = facts.address.filter(|_| serves);
    let original = address.map(|address| Original { container: name, address });
    Ok(Checked { findings, original })
}

/// The name of the container to copy.
async fn template(
    host: &DockerHost,
    docker: &bollard::Docker,
    settings: &DockerSettings,
) -> Result<Option<String>, DockerError> {
    let claims = discover(&host.client.see_with(docker).await?).services.into_iter();
    let mut claims = claims.filter(|claim| {
        let admitted = match &settings.members {
            Members::Started => claim.own == 0,
            Members::Adopted => true,
            Members::Owned(owner) => claim.owner == *owner,
        };
        claim.service == settings.service && admitted
    });
    // The oldest one was there first.
    let oldest = |a: LabelledService, b: LabelledService| {
        let rank = |claim: &LabelledService| (claim.own == 0, claim.since_s);
        if rank(&b) < rank(&a) { b } else { a }
    };
    let first = claims.next();
    Ok(first.map(|first| claims.fold(first, oldest).container))
}

/// Why the container to copy serves nobody now, as far as Docker knows; its copies may not either.
fn unready(facts: &Facts, port: u16, sleeps: bool) -> Option<Finding> {
    let name = &facts.name;
    if sleeps && matches!(facts.state, State::Exited { .. } | State::Paused) {
        return None;
    }
    let (what, hint) = match (&facts.state, facts.health) {
        (State::Exited { code, .. }, _) => {
            let code = code.map(|code| format!(" with exit status {code}")).unwrap_or_default();
            let hint = format!("copies of it may end, too; docker logs {name} may say why it did");
            (format!("has ended{code}"), hint)
        }
        (State::Created, _) => {
            ("was never started".to_owned(), format!("docker start {name} says why, if it fails"))
        }
        (State::Absent | State::Paused, _) => (
            "is paused, or restarted again and again".to_owned(),
            format!("docker ps and docker logs {name} show which"),
        ),
        (State::Running, Some(Health::Bad)) => (
            "is unhealthy: a replica takes no requests while its own health check fails".to_owned(),
            format!("docker inspect {name} shows what the health check says"),
        ),
        (State::Running, _) if facts.address.is_none() => (
            format!("has no address for port {port}"),
            "set flyball.port to the port that the application serves on".to_owned(),
        ),
        (State::Running | State::Leaving, _) => return None,
    };
    Some(Finding::remark(format!("container {name} {what}"), &hint))
}

/// The daemon's whole answer about a container, including fields unknown here.
async fn whole_inspection(host: &DockerHost, name: &str) -> Result<Value, DockerError> {
    let asked = async {
        let manager = Manager::at(&host.client.settings.host)?.agreed().await?;
        manager.get("inspect a container", &format!("/containers/{name}/json")).await
    };
    asked.await.map_err(SwarmError::into_docker)
}

fn no_limit(who: &str) -> Finding {
    let text = format!("{who} has no CPU limit: its load is measured against one core");
    Finding::remark(text, "set cpus (Compose: deploy.resources.limits.cpus, or cpus)")
}
