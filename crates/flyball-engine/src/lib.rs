//! Rules that all engines share. Nothing here talks to an external system.

pub mod command;
mod exits;
pub mod text;

pub use exits::Exits;
