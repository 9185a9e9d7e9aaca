//! The agents that the replicas of a service run on, for display only.

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::nodes::{self, Node};
use flyball_core::units::ReplicaId;

use crate::agents::Agent;
use crate::usage::Meters;

/// A replica, and where its task says that it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) replica: &'a ReplicaId,
    /// The id of its agent.
    pub(crate) agent: &'a str,
    /// The agent's name, where the task reports it.
    pub(crate) host: Option<&'a str>,
    /// Its agent is not heard of.
    pub(crate) lost: bool,
}

/// The agents that replicas are on; `agents` may lack some, or all where they are not listed.
pub(crate) fn nodes_of(
    placed: &[Placed<'_>],
    agents: &BTreeMap<String, Agent>,
    meters: &Meters,
) -> Vec<Node> {
    let lost: BTreeSet<&str> = placed.iter().filter(|it| it.lost).map(|it| it.agent).collect();
    nodes::spread(placed.iter().map(|it| (it.agent, it.host, it.replica)), |id, host| {
        let agent = agents.get(id);
        let named = agent.map(|agent| agent.name.as_str()).or(host);
        Node {
            name: named.unwrap_or(id).to_owned(),
            up: !lost.contains(id) && agent.is_none_or(|agent| agent.active),
            silence: meters.silence(id),
            replicas: Vec::new(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_up_while_it_is_active_and_none_of_its_tasks_is_lost() {
        let replicas = ["web-1", "web-2", "web-3", "web-4"].map(ReplicaId::new);
        let placed = |replica, agent, lost| Placed { replica, agent, host: None, lost };
        let agent = |name: &str, active| {
            let known = Agent::of_pid(name, "slave(1)@10.0.0.5:5051").unwrap();
            Agent { active, ..known }
        };
        let agents = BTreeMap::from([
            ("S0".to_owned(), agent("n0", true)),
            ("S1".to_owned(), agent("n1", false)),
            ("S2".to_owned(), agent("n2", true)),
        ]);
        let found = nodes_of(
            &[
                placed(&replicas[0], "S0", false),
                placed(&replicas[1], "S1", false),
                placed(&replicas[2], "S2", true),
                Placed { host: Some("n3"), ..placed(&replicas[3], "S3", false) },
            ],
            &agents,
            &Meters::default(),
        );
        let found: Vec<_> = found.iter().map(|node| (node.name.as_str(), node.up)).collect();
        assert_eq!(found, [("n0", true), ("n1", false), ("n2", false), ("n3", true)]);
    }
}
