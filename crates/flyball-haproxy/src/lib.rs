//! The balancer HAProxy: its servers added, drained and deleted through the runtime socket, without
//! a reload and without a lost request.
//!
//! Decides how an order is carried out and when a drained server may be deleted. Does not decide
//! which replicas get requests: [`Haproxy::route`] and [`Haproxy::drain`] are told.
//! Invariant: only servers that carry flyball's mark are changed, and what HAProxy holds is seen
//! afresh before every change, never assumed.
//!
//! Reading order: `book` (orders beside what was seen), `change` (the difference, and HAProxy's
//! words for it), `round` (look, change, look), then the edges: `wire`, `stat`, `file`, `doctor`.

mod book;
mod change;
mod doctor;
mod error;
mod file;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod haproxy;
mod mark;
mod round;
mod settings;
mod slots;
mod stat;
mod watched;
mod wire;
mod worker;

pub use doctor::Finding;
pub use error::HaproxyError;
pub use haproxy::Haproxy;
pub use settings::{Check, HaproxySettings, OwnedFile, ServerOptions, Slots, Socket};
