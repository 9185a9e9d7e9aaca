//! The heart of flyball: one observation goes into [`decide::decide`] and leaves as a decision.
//!
//! The daemon, the simulator and replay are callers of that one function. This crate knows no
//! clock, no socket, no file and no randomness; it cannot fail, and the same inputs give the same
//! decision, byte for byte. Read the files in this order.

pub mod units;
pub mod observation;
pub mod policy;
pub mod plan;
pub mod recommend;
pub mod guard;
pub mod decision;
pub mod record;
