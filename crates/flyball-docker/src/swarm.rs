//! Engine `swarm`: replicas are tasks of a service of a Docker Swarm.
//!
//! Decides how a service is found, watched and told its count. Does not know how many there should
//! be, whether one answers requests, or who sends them any.
//! Invariant: of a service only the count is ever changed, and not while Swarm is busy with it.
//!
//! One [`SwarmManagers`] per daemon watches; one [`SwarmEngine`] per service looks after its count.
//! Swarm starts, places, restarts and ends tasks by itself. Whom it ends cannot be chosen, but
//! nearly always foretold, so that they can be drained before.

mod agents;
mod answers;
mod busy;
mod call;
mod check;
mod core;
mod engine;
mod error;
mod labels;
mod nodes;
mod order;
mod settings;
mod spec;
mod state;
mod tasks;
mod victims;
mod watcher;

pub use agents::AgentFacts;
pub(crate) use call::Manager;
pub use check::ManagerFacts;
pub use engine::{SwarmEngine, SwarmManagers};
pub use error::SwarmError;
pub use labels::LabelledSwarm;
pub use nodes::NODE_ADDRESS;
pub use settings::{ManagerSettings, SwarmAgents, SwarmReach, SwarmSettings};
