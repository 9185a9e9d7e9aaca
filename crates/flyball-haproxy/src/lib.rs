//! The balancer HAProxy: its servers added, drained and deleted through the runtime socket, without
//! a reload and without a lost request.
//!
//! Decides how an order is carried out and when a drained server may be deleted. Does not decide
//! which replicas get requests: [`Haproxy::route`] and [`Haproxy::drain`] are told.
//! Invariant: only servers that carry flyball's mark are changed, in a backend that only labels name
//! only while that asks for it, and what HAProxy holds is seen afresh before every change.
//!
//! Reading order: `book` (orders beside what was seen), `change` (the difference, and HAProxy's
//! words for it), `beside` (servers of others), `round` (look, change, look), then the edges: `wire`,
//! `stat`, `file` with `folder` and `lines`, and `doctor` with what it reads (`source`,
//! `configuration`) and says (`finding`).

mod beside;
mod book;
mod change;
mod configuration;
mod doctor;
mod error;
mod file;
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
mod round;
mod settings;
mod sick;
mod slots;
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
pub use settings::{Checks, HaproxySettings, OwnedFile, ServerOptions, Slots, Socket};
