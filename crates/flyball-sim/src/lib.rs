//! Any policy judged on a real load before it is trusted: a world that calls the very same `decide`
//! as the daemon, and counts what came of it. In reading order: [`trace`] is the load and [`seed`]
//! the chance; [`rival`] and [`contender`] are who decides; [`world`] is what the decisions act on;
//! [`score`] judges and [`run`] brings one contender and one trace together. The same contender,
//! trace, settings and seed give the same outcome, and the load does not depend on the contender.

pub mod contender;
pub mod rival;
pub mod run;
pub mod score;
pub mod seed;
pub mod sweep;
pub mod trace;
pub mod world;
