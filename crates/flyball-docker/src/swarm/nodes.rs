//! The nodes of a Swarm as its managers see them.
//!
//! A node without an address that others can use has none; it is never taken for this host.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::answers::NodeAnswer;

/// A label of a node that says where its published ports are reached.
pub const NODE_ADDRESS: &str = "flyball.address";

/// What flyball knows of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// What people call it.
    pub(super) name: String,
    pub(super) address: Option<IpAddr>,
    /// Whether its managers hear of it.
    pub(super) up: bool,
}

/// All of them by id.
pub(super) type Nodes = BTreeMap<String, Node>;

pub(super) fn nodes_of(answers: Vec<NodeAnswer>) -> Nodes {
    answers.into_iter().map(|answer| (answer.id.clone(), Node::of(answer))).collect()
}

impl Node {
    fn of(answer: NodeAnswer) -> Self {
        let labelled = answer.spec.labels.get(NODE_ADDRESS).and_then(|text| text.parse().ok());
        // Where a node joined from its own machine, the manager saw a loopback address.
        let told = answer.status.addr.as_deref().and_then(|text| text.parse().ok()).filter(usable);
        let manager = || {
            let place: SocketAddr = answer.manager_status.addr.as_deref()?.parse().ok()?;
            Some(place.ip()).filter(usable)
        };
        Self {
            address: labelled.or(told).or_else(manager),
            up: answer.status.state.as_deref() == Some("ready"),
            name: answer.description.hostname.filter(|name| !name.is_empty()).unwrap_or(answer.id),
        }
    }
}

fn usable(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_loopback()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn address(node: serde_json::Value) -> Option<String> {
        let answer = serde_json::from_value(node).unwrap();
        Node::of(answer).address.map(|ip| ip.to_string())
    }

    #[test]
    fn a_node_is_reached_at_its_label_its_own_address_or_that_of_its_manager() {
        let manager = json!({ "Addr": "10.0.0.1:2377" });
        let own = json!({ "Status": { "State": "ready", "Addr": "10.0.0.9" } });
        assert_eq!(address(own).as_deref(), Some("10.0.0.9"));
        for vague in ["0.0.0.0", "127.0.0.1", "", "::"] {
            let node = json!({ "Status": { "Addr": vague }, "ManagerStatus": manager });
            assert_eq!(address(node).as_deref(), Some("10.0.0.1"), "{vague}");
            assert_eq!(address(json!({ "Status": { "Addr": vague } })), None, "{vague}");
        }
        let labels = json!({ "Labels": { NODE_ADDRESS: "192.0.2.7" } });
        let labelled = json!({ "Spec": labels, "Status": { "Addr": "10.0.0.9" } });
        assert_eq!(address(labelled).as_deref(), Some("192.0.2.7"));
        assert_eq!(address(json!({ "Status": null, "Spec": { "Labels": null } })), None);
    }
}
