//! Balancer HAProxy: adds, drains and deletes servers through the runtime socket, without a reload.
//! Only servers with flyball's mark are changed. Start reading at `reconcile` (look, change, look),
//! then `desired_state`, `change` and `stat`.

mod beside;
mod change;
mod configuration;
mod desired_state;
mod error;
mod finding;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod haproxy;
mod ids;
mod lines;
mod mark;
mod node;
mod options;
mod preflight;
mod reconcile;
mod server_file;
mod settings;
mod sick;
mod socket;
mod source;
mod stat;
mod template_servers;
mod watched;
mod wire;
mod words;
mod worker;

pub use error::HaproxyError;
pub use finding::{Edit, Finding, Level};
pub use folder::OwnedFiles;
pub use haproxy::Haproxy;
pub use settings::{Checks, HaproxySettings, OwnedFile, ServerOptions, TemplateServers};
pub use socket::Socket;
