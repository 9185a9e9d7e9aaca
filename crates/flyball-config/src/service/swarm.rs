//! A replica as a task of a service of the Swarm.

use super::ServiceKeys;
use super::engine::{container_cpus, port};
use crate::reader::Reports;

/// A service of the Swarm whose tasks are the replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmService {
    /// What Swarm calls it.
    pub swarm_service: String,
    /// The port its tasks serve on inside; above 0.
    pub port: u16,
    /// How requests reach a task.
    pub reach: TaskReach,
    /// Cores to reckon load against where the service sets no limit, at least 0.01.
    pub cpus: Option<f64>,
}

/// How requests reach a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskReach {
    /// At its node's address and the port published there in host mode.
    Node,
    /// At its own address in this overlay network, or in the first that it has.
    Network(Option<String>),
}

pub(super) fn swarm_service(
    keys: &ServiceKeys,
    name: &str,
    reports: &mut Reports,
) -> Option<SwarmService> {
    let (port, reach) = (port(keys, reports), reach(keys, reports));
    let cpus = container_cpus(keys, reports);
    let swarm_service = keys.swarm_service.value.clone()?.unwrap_or_else(|| name.to_owned());
    Some(SwarmService { swarm_service, port: port?, reach: reach?, cpus: cpus? })
}

fn reach(keys: &ServiceKeys, reports: &mut Reports) -> Option<TaskReach> {
    let network = keys.network.value.clone();
    match (keys.reach.value?, network) {
        ("container", network) => Some(TaskReach::Network(network?)),
        ("published", Some(Some(_))) => {
            let assign = |word| keys.reach.assign(word);
            let instead = format!("write {}, or remove this key", assign("\"container\""));
            keys.network.refuse_beside(&assign("\"published\""), &instead, reports);
            None
        }
        ("published", _) => Some(TaskReach::Node),
        (word, _) => {
            let what = format!("\"{word}\" is not a way to reach a Swarm task");
            keys.reach.refuse(&what, "write \"published\" or \"container\"", reports);
            None
        }
    }
}
