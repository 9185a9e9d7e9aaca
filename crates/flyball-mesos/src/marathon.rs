//! Engine `marathon`: replicas are tasks of an app of Marathon.
//!
//! Decides how an app is found, watched and told its count, and whom that ends. Does not know how
//! many tasks there should be, whether one answers requests, or who sends them any.
//! Invariant: of an app only the count is ever changed, and never over a deployment that flyball did
//! not begin.
//!
//! One [`Marathon`] per daemon watches; one [`MarathonEngine`] per service looks after its count.
//! Marathon starts, places, restarts and ends tasks by itself. Whom it ends can be chosen, so that
//! exactly those end that were drained.
//!
//! | seen by | of | how soon |
//! |---|---|---|
//! | event stream | any change of a watched app | some 100 ms |
//! | reading the apps again | the same, if events are lost | 1 s |
//! | launch queue | why tasks do not come | 1 s, while some are missing |
//! | statistics of the Mesos agents | CPU time | 1 s |

mod answers;
mod app;
mod call;
mod check;
mod core;
mod engine;
mod error;
pub(crate) mod events;
mod labels;
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

pub use check::{Finding, MarathonFacts};
pub use engine::{Marathon, MarathonEngine};
pub use error::MarathonError;
pub use labels::LabelledApp;
pub use settings::{AppSettings, Credentials, MarathonPlaces, MarathonSettings};
