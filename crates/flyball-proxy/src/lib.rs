//! The embedded balancer: spreads the requests of one service over its replicas and holds them
//! while there is none.
//!
//! Decides which replica serves a request, whether it may be sent again, and when to give up. Does
//! not decide which replicas there are: [`Proxy::route`] and [`Proxy::drain`] are told.
//! Invariant: an error made here carries its reason, and every request is counted exactly once.
//!
//! Reading order: `roster` (who is busy, who waits), `eject` (who fails), `exchange` (one request), `answer` and `flight`
//! (what lasts until its end), then the edges: `listen`, `server`, `headers`, `tunnel`.

mod answer;
mod arrival;
mod budget;
mod eject;
mod exchange;
mod expect;
mod first_head;
mod flight;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod interim;
mod latency;
mod listen;
mod meter;
mod proxy;
mod refusal;
mod roster;
mod seldom;
mod server;
mod settings;
mod shared;
mod socket;
mod stall;
mod times;
mod tunnel;
mod upload;
mod watched;

pub use budget::Budget;
pub use proxy::Proxy;
pub use refusal::{REASON_HEADER, Reason};
pub use settings::{ProxyError, ProxySettings};
pub use times::Times;
