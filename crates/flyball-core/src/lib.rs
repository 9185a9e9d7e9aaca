//! The heart of flyball: one observation goes into [`decide::decide`] and leaves as a decision.
//!
//! The daemon, the simulator and replay are callers of that one function. This crate knows no
//! clock, no socket, no file and no randomness; it cannot fail, and the same inputs give the same
//! decision, byte for byte.
//!
//! In reading order: [`units`], [`generation`], [`observation`] and [`policy`] (with `bounds`,
//! `timing`, [`rollout`] and [`rules`]) are what goes in; `estimate` turns counters into figures, [`signals`] and [`trouble`],
//! and [`memory`] carries them from look to look; [`health`] says who is [`sick`], [`sleep`] who sleeps; [`rules`],
//! [`guard`] and [`plan`] are the three stages of [`decide`]; [`decision`], [`explain`] and
//! [`record`] are what comes out; [`invariants`] says from outside what may never come out.
//! [`nodes`] is beside the loop: adapters tell it, and it is shown.

mod adjustment;
mod bounds;
pub mod decide;
pub mod decision;
pub mod estimate;
pub mod explain;
pub mod generation;
pub mod guard;
pub mod health;
pub mod invariants;
pub mod line;
pub mod memory;
pub mod nodes;
pub mod observation;
pub mod plan;
pub mod policy;
pub mod record;
pub mod rollout;
pub mod rules;
pub mod sick;
pub mod signals;
pub mod sleep;
mod timing;
pub mod trouble;
pub mod units;
