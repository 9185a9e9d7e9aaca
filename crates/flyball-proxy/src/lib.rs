//! The embedded balancer: spreads requests over replicas, and queues them while there is none.
//! Errors that the proxy itself generates carry their reason, and every request is counted exactly
//! once.

// Reading order: `upstreams` (who is busy, who waits), `eject` (who fails), `exchange` (one request),
// `answer` and `in_flight` (what lasts until the end of a request), then the edges: `listen`,
// `server`, `headers`, `tunnel`.
mod activator;
mod answer;
mod arrival;
mod budget;
mod eject;
mod exchange;
mod expect;
mod first_head;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod held;
mod hosts;
mod ignored;
mod in_flight;
mod interim;
mod latency;
mod listen;
mod meter;
mod proxy;
mod rejection;
mod seldom;
mod server;
mod settings;
mod shared;
mod socket;
mod stall;
mod start;
mod times;
mod tunnel;
mod upload;
mod upstreams;
mod watched;

pub use activator::{Activator, HostEntry};
pub use budget::Budget;
pub use proxy::Proxy;
pub use rejection::{REASON_HEADER, Rejection};
pub use settings::{ProxyError, ProxySettings};
pub use start::{HeldRequests, Start};
pub use times::Times;
