//! Engine `marathon`: replicas are tasks of a Marathon app. Flyball changes only the app's count,
//! never during a deployment of others, and names the tasks that end, so that exactly the drained
//! ones do.

mod answers;
mod app;
mod call;
mod check;
mod core;
mod counted;
mod engine;
mod error;
pub(crate) mod events;
pub(crate) mod lines;
mod meters;
mod names;
mod order;
mod places;
mod queue;
mod rollouts;
mod settings;
mod state;
mod task;
mod watcher;

pub use check::MarathonFacts;
pub use engine::{Marathon, MarathonEngine};
pub use error::MarathonError;
pub use settings::{AppSettings, Credentials, MarathonPlaces, MarathonSettings};
