//! A scripted Marathon: API, locks, delays and faults, with local processes as tasks. Tests control
//! faults with [`LabSettings`] or `PUT /lab`. It listens on 127.0.0.1 only, and everything it
//! starts ends with it.

mod api;
mod knobs;
mod lab;
mod process;
mod render;
mod server;
mod tick;
mod world;

pub use knobs::LabSettings;
pub use lab::{Lab, TaskView};
