//! What flyball's servers share: limits on clients and connections.

mod clients;
mod seldom;

pub use clients::{Clients, Connection, Limits};
pub use seldom::WarningLimit;
