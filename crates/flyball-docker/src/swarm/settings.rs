//! Settings of a Swarm and of one service in it.

use std::sync::Arc;

use flyball_agent::Agents;
use flyball_core::units::Timestamp;

use super::error::SwarmError;

/// How the managers of one Swarm are reached.
#[derive(Clone, Debug)]
pub struct ManagerSettings {
    /// `unix:///PATH`, or `tcp://IP:PORT` without encryption. The next one is asked where one does
    /// not answer.
    pub managers: Vec<String>,
    /// What every reading is stamped with.
    pub clock: fn() -> Timestamp,
    /// The agents that read CPU usage on the nodes; `None`: there are none.
    pub agents: Option<SwarmAgents>,
}

/// The agents that run as a service of the Swarm, one on each node.
#[derive(Clone, Debug)]
pub struct SwarmAgents {
    /// What Swarm calls that service. It publishes one port in host mode.
    pub service: String,
    /// The client that asks them; it gets their list.
    pub agents: Arc<Agents>,
}

/// How one service of a Swarm is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmSettings {
    /// The name of the service.
    pub service: String,
    /// What Swarm calls it.
    pub swarm_service: String,
    /// The port that a task serves on inside of its container; above 0.
    pub port: u16,
    /// How requests reach a task.
    pub reach: SwarmReach,
    /// Cores to measure a replica's load against where the Swarm service sets no limit.
    pub cpus: Option<f64>,
    /// Whether a balancer spreads requests that must know each task's address.
    pub balanced: bool,
    /// Whether the label `flyball.hold=true` is obeyed.
    pub obeys_hold: bool,
}

/// How requests reach a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwarmReach {
    /// At its node's address and the port that is published there in host mode.
    Node,
    /// At its own address in this overlay network, or in the first of its networks that is not the
    /// routing mesh: the balancer must be attached to that network.
    Network(Option<String>),
}

impl SwarmSettings {
    /// The Swarm service of the same name, reached through its nodes and balanced.
    pub fn new(service: impl Into<String>, port: u16) -> Self {
        let service = service.into();
        Self {
            swarm_service: service.clone(),
            service,
            port,
            reach: SwarmReach::Node,
            cpus: None,
            balanced: true,
            obeys_hold: true,
        }
    }

    /// # Errors
    /// [`SwarmError::PortZero`].
    pub fn validate(&self) -> Result<(), SwarmError> {
        match self.port {
            0 => Err(SwarmError::PortZero { service: self.service.clone() }),
            _ => Ok(()),
        }
    }
}
