//! Balancer HAProxy: adds, drains and deletes servers through the runtime socket, without a reload.
//!
//! Only servers with flyball's mark are changed; a backend that only labels name is changed only
//! while it opts in; HAProxy's state is read again before every change.
//!
//! Reading order: `desired_state` (orders beside what was seen), `change` (the difference as
//! commands), `beside` (servers of others), `reconcile` (look, change, look), then the edges: `wire`,
//! `stat`, `server_file` with `folder` and `lines`, and `preflight` with its inputs (`source`,
//! `configuration`) and its output (`finding`).

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
mod slots;
mod socket;
mod source;
mod stat;
mod watched;
mod wire;
mod words;
mod worker;

pub use error::HaproxyError;
pub use finding::{Edit, Finding, Level};
pub use folder::OwnedFiles;
pub use haproxy::Haproxy;
pub use settings::{Checks, HaproxySettings, OwnedFile, ServerOptions, Slots};
pub use socket::Socket;
