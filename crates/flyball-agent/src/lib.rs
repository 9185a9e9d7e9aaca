//! CPU usage of containers on other machines: an agent on each reads the cgroups there ([`serve`]),
//! and one controller asks them all ([`Agents`]). What is not known is missing, never 0.

mod answer;
mod error;
mod pull;
mod serve;

pub use answer::{Answer, CONTAINERS_MAX, Container};
pub use error::{AgentError, PullError};
pub use flyball_net::Token;
pub use pull::{AgentClient, Agents, Metered, PullSettings};
pub use serve::{Agent, ServeSettings, serve};
