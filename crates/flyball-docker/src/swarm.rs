//! Engine `swarm`: replicas are tasks of a Docker Swarm service. Only its count is ever changed,
//! and never during an update. Swarm picks the tasks that it removes, nearly always predictably, so
//! that they can be drained first.

mod agents;
mod answers;
mod busy;
mod call;
mod check;
mod core;
mod counted;
mod engine;
mod error;
mod nodes;
mod order;
mod removals;
mod settings;
mod spec;
mod state;
mod tasks;
mod watcher;

pub use agents::AgentFacts;
pub(crate) use call::Manager;
pub use check::ManagerFacts;
pub use engine::{SwarmEngine, SwarmManagers};
pub use error::SwarmError;
pub use nodes::NODE_ADDRESS;
pub use settings::{ManagerSettings, SwarmAgents, SwarmReach, SwarmSettings};
