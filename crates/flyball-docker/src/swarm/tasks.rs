//! Name, address and phase of a Swarm task.
//!
//! A task that Swarm is stopping never counts as serving, whatever its container does.

use std::net::{IpAddr, SocketAddr};

use flyball_core::units::ReplicaId;

use super::answers::{PortAnswer, TaskAnswer};
use super::nodes::Nodes;
use super::settings::{SwarmReach, SwarmSettings};

/// Enough of a task's id to distinguish it from the others of its slot, over all times.
const SHORT: usize = 8;

/// What flyball knows of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) slot: u64,
    /// The node's id, once one was found.
    pub(super) node: Option<String>,
    pub(super) desired: String,
    pub(super) state: String,
    /// What Swarm complains about, if it does.
    pub(super) complaint: Option<String>,
    pub(super) container: Option<String>,
    /// Where it is reached, as far as this answer says.
    pub(super) address: Option<SocketAddr>,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub(super) created_wall_ms: Option<i64>,
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Wanted, and not running yet; also one that waits to be tried again.
    Coming,
    /// Its container runs and, if it has a health check, is healthy.
    Running,
    /// Asked to end, or just ended by itself; its container may still run.
    Leaving,
    /// It ended by itself, and its container is no more.
    Failed,
    /// History.
    Past,
}

impl Task {
    pub(super) fn of(answer: TaskAnswer, settings: &SwarmSettings, nodes: &Nodes) -> Self {
        let address = address_of(&answer, settings, nodes);
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let status = answer.status;
        Self {
            id: answer.id,
            slot: answer.slot.unwrap_or(0),
            node: text(answer.node_id),
            desired: answer.desired_state,
            state: status.state,
            complaint: text(status.err),
            container: text(status.container_status.container_id),
            address,
            created_wall_ms: answer.created_at.as_deref().and_then(crate::facts::wall_ms),
        }
    }

    /// What the replica is called: `SERVICE.SLOT.TASK`, as `docker service ps` lists it.
    pub(super) fn replica(&self, service: &str) -> ReplicaId {
        let short = self.id.get(..SHORT).unwrap_or(&self.id);
        ReplicaId::new(format!("{service}.{}.{short}", self.slot))
    }

    pub(super) fn stage(&self) -> Stage {
        // What ran to its end is over, however it was wanted.
        match self.state.as_str() {
            "failed" | "rejected" | "complete" => return Stage::Failed,
            "shutdown" | "remove" | "orphaned" => return Stage::Past,
            _ => {}
        }
        match (self.desired.as_str(), self.state.as_str()) {
            ("running", "running") => Stage::Running,
            ("running" | "ready" | "accepted" | "new" | "pending" | "assigned", _) => Stage::Coming,
            _ => Stage::Leaving,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == "running"
    }
}

fn address_of(answer: &TaskAnswer, settings: &SwarmSettings, nodes: &Nodes) -> Option<SocketAddr> {
    match &settings.reach {
        SwarmReach::Node => {
            let node = nodes.get(answer.node_id.as_deref()?)?;
            // Each port stands there twice, for both families of addresses.
            let published =
                answer.status.port_status.ports.iter().find(|p| serves(p, settings.port));
            Some((node.address?, published?.published_port?).into())
        }
        SwarmReach::Network(name) => {
            let wanted = |network: &str| name.as_deref().is_none_or(|name| name == network);
            let attached = answer.networks_attachments.iter().find(|attached| {
                let network = &attached.network.spec;
                let ingress = network.ingress == Some(true);
                !ingress && network.name.as_deref().is_some_and(wanted)
            })?;
            let inside = attached.addresses.iter().find_map(|text| {
                text.split_once('/').map_or(text.as_str(), |(ip, _)| ip).parse::<IpAddr>().ok()
            });
            Some((inside?, settings.port).into())
        }
    }
}

/// Where an agent is reached: at the one port that its node publishes for it, whichever that is.
pub(super) fn agent_of(answer: &TaskAnswer, nodes: &Nodes) -> Option<(String, SocketAddr)> {
    if answer.desired_state != "running" || answer.status.state != "running" {
        return None;
    }
    let id = answer.node_id.clone()?;
    let ports = &answer.status.port_status.ports;
    let port = ports.iter().find(|port| port.publish_mode.as_deref() == Some("host"))?;
    let address = (nodes.get(&id)?.address?, port.published_port?).into();
    Some((id, address))
}

/// Whether a published port is the host's own and leads to `target`.
pub(super) fn serves(port: &PortAnswer, target: u16) -> bool {
    let tcp = port.protocol.as_deref().is_none_or(|protocol| protocol == "tcp");
    let host = port.publish_mode.as_deref() == Some("host");
    tcp && host && port.target_port == Some(target)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::swarm::nodes::nodes_of;

    fn task(answer: Value, settings: &SwarmSettings) -> Task {
        let node = json!([{ "ID": "n1", "Status": { "State": "ready", "Addr": "10.0.0.9" } }]);
        let nodes = nodes_of(serde_json::from_value(node).unwrap());
        Task::of(serde_json::from_value(answer).unwrap(), settings, &nodes)
    }

    fn running() -> Value {
        let port = |published: u16, mode: &str| json!({ "Protocol": "tcp", "TargetPort": 8080, "PublishedPort": published, "PublishMode": mode });
        json!({
            "ID": "abcdefghijklm", "Slot": 3, "NodeID": "n1", "DesiredState": "running",
            "Status": {
                "State": "running", "ContainerStatus": { "ContainerID": "4a" },
                "PortStatus": { "Ports": [port(80, "ingress"), port(32_768, "host"), port(32_768, "host")] },
            },
            "NetworksAttachments": [
                { "Network": { "Spec": { "Name": "ingress", "Ingress": true } }, "Addresses": ["10.0.0.3/24"] },
                { "Network": { "Spec": { "Name": "blue" } }, "Addresses": ["10.214.2.5/24"] },
            ],
        })
    }

    #[test]
    fn a_task_is_reached_at_its_nodes_address_and_the_host_port_it_got() {
        let found = task(running(), &SwarmSettings::new("web", 8080));
        assert_eq!(found.address.unwrap().to_string(), "10.0.0.9:32768");
        assert_eq!(found.replica("web").as_str(), "web.3.abcdefgh");
        assert_eq!((found.stage(), found.container.as_deref()), (Stage::Running, Some("4a")));
        let other_port = SwarmSettings::new("web", 9090);
        assert_eq!(task(running(), &other_port).address, None);
        let mut strange = running();
        strange["NodeID"] = json!("n9");
        assert_eq!(task(strange, &SwarmSettings::new("web", 8080)).address, None);
    }

    #[test]
    fn in_an_overlay_network_it_is_reached_at_its_own_address() {
        for network in [None, Some("blue".to_owned())] {
            let reach = SwarmReach::Network(network);
            let found =
                task(running(), &SwarmSettings { reach, ..SwarmSettings::new("web", 8080) });
            assert_eq!(found.address.unwrap().to_string(), "10.214.2.5:8080");
        }
    }

    #[test]
    fn what_swarm_told_to_end_leaves_and_what_ended_by_itself_failed() {
        let stage = |desired: &str, state: &str| {
            let task = Task { desired: desired.into(), state: state.into(), ..Task::default() };
            task.stage()
        };
        assert_eq!(stage("running", "starting"), Stage::Coming);
        assert_eq!(stage("ready", "ready"), Stage::Coming);
        assert_eq!(stage("remove", "running"), Stage::Leaving);
        assert_eq!(stage("shutdown", "running"), Stage::Leaving);
        assert_eq!(stage("running", "failed"), Stage::Failed);
        assert_eq!(stage("shutdown", "rejected"), Stage::Failed);
        assert_eq!(stage("shutdown", "shutdown"), Stage::Past);
        assert_eq!(stage("running", "a state of later"), Stage::Coming);
    }
}
