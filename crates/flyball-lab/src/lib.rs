//! A scripted Marathon: the API, the locks, the delays and the troubles of a real one, with tasks that
//! are processes of this machine. No real one can be had where tests run.
//!
//! Decides nothing about counts: it does what Marathon does. Knows nothing of flyball. What it does
//! worse than a real one is a knob ([`Knobs`]), which tests turn in here and people by `PUT /lab`.
//! Invariant: whatever it started ends with it, and it listens on 127.0.0.1 only.
#![expect(clippy::expect_used, reason = "a laboratory: what it cannot have ends it")]

mod api;
mod knobs;
mod lab;
mod process;
mod render;
mod server;
mod tick;
mod world;

pub use knobs::Knobs;
pub use lab::{Lab, SeenTask};
