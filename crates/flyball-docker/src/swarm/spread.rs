//! Which machines the replicas of a service are on.
//!
//! Decides nothing: it is shown, and nobody reckons with it. Pure.
//! Invariant: each replica that has a machine is named once, below that machine.

use std::collections::BTreeMap;

use flyball_agent::Agents;
use flyball_core::units::ReplicaId;

use super::nodes::Node;

/// A node that has replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmNode {
    /// What people call it.
    pub name: String,
    /// Whether its managers hear of it.
    pub up: bool,
    /// Why its agent tells no CPU time, once that lasts.
    pub silence: Option<String>,
    /// The service's replicas on it, in the order of their names.
    pub replicas: Vec<ReplicaId>,
}

/// Orders replicas, given as their node's id, their node and their name, by their nodes' names.
pub(super) fn spread<'a>(
    placed: impl Iterator<Item = (&'a str, &'a Node, &'a ReplicaId)>,
    agents: Option<&Agents>,
) -> Vec<SwarmNode> {
    let mut nodes = BTreeMap::new();
    for (id, node, replica) in placed {
        let place = nodes.entry((node.name.as_str(), id)).or_insert_with(|| SwarmNode {
            name: node.name.clone(),
            up: node.up,
            silence: agents.and_then(|agents| agents.silence(id)),
            replicas: Vec::new(),
        });
        place.replicas.push(replica.clone());
    }
    let sorted = nodes.into_values().map(|mut node| {
        node.replicas.sort();
        node
    });
    sorted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_listed_below_their_nodes_in_the_order_of_names() {
        let node = |name: &str, up| Node { name: name.to_owned(), address: None, up };
        let (a, b) = (node("a", true), node("b", false));
        let replicas = ["web.2.x", "web.1.y", "web.3.z"].map(ReplicaId::new);
        let placed = [("n2", &b, &replicas[0]), ("n9", &a, &replicas[2]), ("n9", &a, &replicas[1])];
        let found = spread(placed.into_iter(), None);
        let wanted = [(&a, vec!["web.1.y", "web.3.z"]), (&b, vec!["web.2.x"])];
        let wanted = wanted.map(|(node, replicas)| SwarmNode {
            name: node.name.clone(),
            up: node.up,
            silence: None,
            replicas: replicas.into_iter().map(ReplicaId::new).collect(),
        });
        assert_eq!(found, wanted);
    }
}
