//! Which machines the replicas of a service are on.
//!
//! Decides nothing: it is shown, and nobody reckons with it.
//! Invariant: each replica that has a machine is named once, below that machine.

use std::collections::BTreeMap;

use crate::units::ReplicaId;

/// A machine that has replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What people call it.
    pub name: String,
    /// Whether its cluster hears of it.
    pub up: bool,
    /// Why CPU time of its replicas is not known, once that lasts.
    pub silence: Option<String>,
    /// The service's replicas on it, in the order of their names.
    pub replicas: Vec<ReplicaId>,
}

/// Puts replicas, each given with the id of its machine, below their machines, in the order of names.
/// `known` tells what is known of the machine of an id; the replicas that it gives are passed over.
pub fn spread<'a>(
    placed: impl Iterator<Item = (&'a str, &'a ReplicaId)>,
    known: impl Fn(&str) -> Node,
) -> Vec<Node> {
    let mut below: BTreeMap<&str, Vec<ReplicaId>> = BTreeMap::new();
    for (id, replica) in placed {
        below.entry(id).or_default().push(replica.clone());
    }
    let nodes = below.into_iter().map(|(id, mut replicas)| {
        replicas.sort();
        Node { replicas, ..known(id) }
    });
    let mut nodes: Vec<Node> = nodes.collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_listed_below_their_nodes_in_the_order_of_names() {
        let node = |id: &str| Node {
            name: if id == "n9" { "a" } else { "b" }.to_owned(),
            up: id != "n2",
            silence: None,
            replicas: Vec::new(),
        };
        let replicas = ["web.2.x", "web.1.y", "web.3.z"].map(ReplicaId::new);
        let placed = ["n2", "n9", "n9"].into_iter().zip([&replicas[0], &replicas[2], &replicas[1]]);
        let below = |id: &str, names: &[&str]| Node {
            replicas: names.iter().copied().map(ReplicaId::new).collect(),
            ..node(id)
        };
        let wanted = [below("n9", &["web.1.y", "web.3.z"]), below("n2", &["web.2.x"])];
        assert_eq!(spread(placed, node), wanted);
    }

    #[test]
    fn machines_of_one_name_stay_apart() {
        let node = |_: &str| Node {
            name: "host".to_owned(),
            up: true,
            silence: None,
            replicas: Vec::new(),
        };
        let replicas = ["web-1", "web-2"].map(ReplicaId::new);
        let found = spread(["n1", "n2"].into_iter().zip(&replicas), node);
        assert_eq!(found.iter().map(|node| node.replicas.len()).collect::<Vec<_>>(), [1, 1]);
    }
}
