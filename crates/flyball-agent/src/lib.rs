//! CPU time of containers on other machines.
//!
//! An agent on each machine reads the cgroups there ([`serve`]); one controller asks them all
//! ([`Agents`]). Decides what goes over the wire, whose clock counts and when a machine is silent.
//! Does not know services, engines or names: containers are their ids.
//! Invariant: what is not known is missing, never 0, and a counter that begins anew says so by
//! falling.
//!
//! Both sides name their bounds: an answer has at most [`CONTAINERS_MAX`] containers.

mod answer;
mod error;
mod pull;
mod serve;

pub use answer::{Answer, CONTAINERS_MAX, Container};
pub use error::{AgentError, Miss};
pub use flyball_token::Token;
pub use pull::{Agents, Metered, PullSettings, ask};
pub use serve::{Agent, ServeSettings, serve};
