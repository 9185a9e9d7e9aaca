//! What all engines share, so that a rule which holds for each of them is written once.
//!
//! Nothing in here talks to an external system.

pub mod command;
mod exits;
pub mod text;

pub use exits::Exits;
