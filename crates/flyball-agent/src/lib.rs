//! CPU usage of containers on other machines.
//!
//! What is not known is missing, never 0; a counter that restarts shows it by falling.
//!
//! An agent on each machine reads the cgroups there ([`serve`]); one controller asks them all
//! ([`Agents`]), or one of them now and then ([`AgentClient`]). An answer has at most [`CONTAINERS_MAX`] containers.

mod answer;
mod error;
mod pull;
mod serve;

pub use answer::{Answer, CONTAINERS_MAX, Container};
pub use error::{AgentError, PullError};
pub use flyball_net::Token;
pub use pull::{AgentClient, Agents, Metered, PullSettings};
pub use serve::{Agent, ServeSettings, serve};
