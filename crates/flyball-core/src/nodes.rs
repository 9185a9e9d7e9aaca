//! Which machines the replicas of a service are on; for display only. Each replica that has a
//! machine is listed once, below that machine.

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

/// Puts replicas, each given with the id of its machine and what is known of that, below their
/// machines, in the order of names. `node` makes a machine of its id and what its first replica
/// knew.
pub fn spread<'a, K>(
    placed: impl Iterator<Item = (&'a str, K, &'a ReplicaId)>,
    node: impl Fn(&str, K) -> Node,
) -> Vec<Node> {
    let mut below: BTreeMap<&str, Node> = BTreeMap::new();
    for (id, known, replica) in placed {
        let place = below.entry(id).or_insert_with(|| node(id, known));
        place.replicas.push(replica.clone());
    }
    let mut nodes: Vec<Node> = below.into_values().collect();
    nodes.iter_mut().for_each(|node| node.replicas.sort());
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_listed_below_their_nodes_in_the_order_of_names() {
        let node = |id: &str, name: &str| Node {
            name: name.to_owned(),
            up: id != "n2",
            silence: None,
            replicas: Vec::new(),
        };
        let replicas = ["web.2.x", "web.1.y", "web.3.z"].map(ReplicaId::new);
        let placed =
            [("n2", "b", &replicas[0]), ("n9", "a", &replicas[2]), ("n9", "a", &replicas[1])];
        let below = |id: &str, name: &str, names: &[&str]| Node {
            replicas: names.iter().copied().map(ReplicaId::new).collect(),
            ..node(id, name)
        };
        let wanted = [below("n9", "a", &["web.1.y", "web.3.z"]), below("n2", "b", &["web.2.x"])];
        assert_eq!(spread(placed.into_iter(), node), wanted);
    }

    #[test]
    fn machines_of_one_name_stay_apart() {
        let node = |_: &str, ()| Node {
            name: "host".to_owned(),
            up: true,
            silence: None,
            replicas: Vec::new(),
        };
        let replicas = ["web-1", "web-2"].map(ReplicaId::new);
        let found = spread([("n1", (), &replicas[0]), ("n2", (), &replicas[1])].into_iter(), node);
        assert_eq!(found.iter().map(|node| node.replicas.len()).collect::<Vec<_>>(), [1, 1]);
    }
}
