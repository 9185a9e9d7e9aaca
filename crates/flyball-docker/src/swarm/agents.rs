//! Asks each agent of a Swarm once whether it reports CPU usage.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use tokio::task::JoinSet;

use super::answers::{ServiceAnswer, TaskAnswer};
use super::call::{Manager, filtered};
use super::error::SwarmError;
use super::nodes::Nodes;
use super::settings::SwarmAgents;
use super::tasks::agent_of;

/// What the agents of a Swarm answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// How many reported CPU usage.
    pub told: usize,
    /// Why not, by the names of their nodes.
    pub silent: BTreeMap<String, String>,
}

/// Asks each agent once; `None` where the Swarm has no service of agents.
pub(super) async fn asked(
    manager: &Manager,
    agents: &SwarmAgents,
    nodes: &Nodes,
) -> Result<Option<AgentFacts>, SwarmError> {
    let services: Vec<ServiceAnswer> = manager.get("list services", "/services").await?;
    let Some(service) = services.iter().find(|it| it.spec.name == agents.service) else {
        return Ok(None);
    };
    let path = filtered("/tasks", &json!({ "service": [service.id] }));
    let tasks: Vec<TaskAnswer> = manager.get("list tasks", &path).await?;
    let there: BTreeMap<String, SocketAddr> =
        tasks.iter().filter_map(|task| agent_of(task, nodes)).collect();
    let mut facts = AgentFacts::default();
    for (_, node) in nodes.iter().filter(|(id, node)| node.up && !there.contains_key(*id)) {
        facts.silent.insert(node.name.clone(), "no agent runs there".to_owned());
    }
    let mut questions = JoinSet::new();
    for (id, address) in there {
        let agents = agents.agents.clone();
        questions.spawn(async move { (id, agents.ask(address).await) });
    }
    for (id, answer) in questions.join_all().await {
        match answer {
            Ok(_) => facts.told += 1,
            Err(miss) => {
                let name = nodes.get(&id).map_or(id, |node| node.name.clone());
                facts.silent.insert(name, miss.to_string());
            }
        }
    }
    Ok(Some(facts))
}
