//! Checks of a Swarm and its services. Nothing is changed.

use std::collections::BTreeMap;

use flyball_engine::Finding;
use serde_json::Value;

use super::agents::{self, AgentFacts};
use super::answers::{NodeAnswer, ServiceAnswer};
use super::busy::busy;
use super::call::Manager;
use super::error::SwarmError;
use super::nodes::{NODE_ADDRESS, Node, nodes_of};
use super::settings::{ManagerSettings, SwarmReach, SwarmSettings};
use super::spec::RawService;
use super::tasks::serves;

/// On what a stack made.
const STACK: &str = "com.docker.stack.namespace";

/// What a manager says of itself and its Swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerFacts {
    /// Where it was asked.
    pub host: String,
    /// Its version.
    pub version: String,
    /// Nodes that it hears of, and all of them.
    pub nodes: (usize, usize),
    /// What agents answered; `None` where CPU usage is not read, or no agent service runs.
    pub agents: Option<AgentFacts>,
}

/// Asks the first manager that answers; the last failure if none does.
pub(super) async fn managers(settings: &ManagerSettings) -> Result<ManagerFacts, SwarmError> {
    let (manager, nodes) = first_of(settings).await?;
    let version: Value = manager.get("read its version", "/version").await?;
    let up = nodes.values().filter(|node| node.up).count();
    let version = version["Version"].as_str().unwrap_or_default().to_owned();
    let agents = match &settings.agents {
        Some(agents) => agents::asked(&manager, agents, &nodes).await?,
        None => None,
    };
    let (host, nodes) = (manager.host().to_owned(), (up, nodes.len()));
    Ok(ManagerFacts { host, version, nodes, agents })
}

async fn first_of(
    settings: &ManagerSettings,
) -> Result<(Manager, BTreeMap<String, Node>), SwarmError> {
    let mut failure = SwarmError::NoManagers;
    for host in &settings.managers {
        let asked = async {
            let manager = Manager::at(host)?.agreed().await?;
            let nodes: Vec<NodeAnswer> = manager.get("list nodes", "/nodes").await?;
            Ok((manager, nodes_of(nodes)))
        };
        match asked.await {
            Ok(found) => return Ok(found),
            Err(why) => failure = why,
        }
    }
    Err(failure)
}

/// Looks at everything that `settings` name.
pub(super) async fn service(
    managers: &ManagerSettings,
    settings: &SwarmSettings,
) -> Result<Vec<Finding>, SwarmError> {
    let (manager, nodes) = first_of(managers).await?;
    let name = &settings.swarm_service;
    let services: Vec<ServiceAnswer> = manager.get("list services", "/services").await?;
    let agents = managers.agents.as_ref().map(|agents| agents.service.as_str());
    let no_agents = agents.filter(|name| services.iter().all(|it| it.spec.name != **name));
    let Some(answer) = services.into_iter().find(|service| service.spec.name == *name) else {
        return Ok(vec![Finding::fatal(&SwarmError::NoService { service: name.clone() })]);
    };
    let raw: Value = manager.get("read a service", &format!("/services/{}", answer.id)).await?;
    if let Err(error) = RawService::new(raw).replicas(name) {
        return Ok(vec![Finding::fatal(&error)]);
    }
    let mut findings = Vec::new();
    findings.extend(no_agents.map(|agents| {
        let text = format!("there is no service {agents}: CPU usage of tasks is unknown");
        Finding::remark(text, "create it as docs/guide/swarm.md shows, or set agent under [swarm]")
    }));
    findings.extend(unreachable(&answer, settings));
    if settings.balanced && settings.reach == SwarmReach::Node {
        findings.extend(nodes.values().filter(|node| node.address.is_none()).map(no_address));
    }
    let update = answer.update_status.unwrap_or_default();
    let (state, message) = (update.state.as_deref(), update.message.as_deref());
    if let Some(why) = busy(state, message, &answer.spec.labels, settings.obeys_hold) {
        let text = format!("swarm service {name} is left alone: {why}");
        findings.push(Finding::remark(text, "flyball resumes by itself afterwards"));
    }
    if answer.spec.task_template.resources.limits.nano_cpus.is_none_or(|nano| nano <= 0)
        && settings.cpus.is_none()
    {
        let text = format!("{name} has no CPU limit: its load is measured against one core");
        findings.push(Finding::remark(text, "set cpus (stack file: deploy.resources.limits.cpus)"));
    }
    if answer.spec.labels.contains_key(STACK) {
        let text =
            format!("{name} belongs to a stack: each docker stack deploy resets its replicas");
        let variable = format!("{}_REPLICAS", settings.service.to_uppercase().replace('-', "_"));
        findings.push(Finding::remark(
            text,
            &format!(
                "write replicas: ${{{variable}:-N}} in the stack file, with N enough for the \
                 service, and deploy with {variable} set to the current count: flyball restores a \
                 lowered count, but only after a second (without replicas, a deploy sets 1)"
            ),
        ));
    }
    Ok(findings)
}

/// Whether the balancer can reach no task.
fn unreachable(answer: &ServiceAnswer, settings: &SwarmSettings) -> Option<Finding> {
    let ports = &answer.spec.endpoint_spec.ports;
    if !settings.balanced || settings.reach != SwarmReach::Node {
        return None;
    }
    let port = settings.port;
    if ports.iter().any(|published| serves(published, port)) {
        return None;
    }
    let mesh = ports.iter().any(|published| published.target_port == Some(port));
    let how = if mesh { "only in the routing mesh" } else { "not" };
    let name = &settings.swarm_service;
    Some(Finding {
        fatal: true,
        text: format!(
            "{name}: port {port} is {how} published: tasks cannot be reached individually"
        ),
        hint: Some(format!(
            "publish it in host mode (--publish mode=host,target={port}), reach tasks in an overlay \
             network (reach = \"container\"), or use balancer = \"none\" with the mesh"
        )),
    })
}

fn no_address(node: &Node) -> Finding {
    let text = format!("node {} reports no address at which its ports can be reached", node.name);
    let hint = format!("docker node update --label-add {NODE_ADDRESS}=IP {}", node.name);
    Finding::remark(text, &hint)
}
