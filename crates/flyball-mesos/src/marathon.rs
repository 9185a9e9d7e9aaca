//! Engine `marathon`: replicas are tasks of a Marathon app.
//!
//! Only the count of an app is ever changed, and never during a deployment that flyball did not
//! start. Flyball chooses which tasks end, so exactly the drained ones do.
//!
//! One [`Marathon`] per daemon watches; one [`MarathonEngine`] per service changes its count.
//!
//! | source | reports | delay |
//! |---|---|---|
//! | event stream | any change of a watched app | about 100 ms |
//! | reading the apps again | the same, if events are lost | 1 s |
//! | launch queue | why tasks do not start | 1 s, while some are missing |
//! | statistics of the Mesos agents | CPU usage | 1 s |

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
