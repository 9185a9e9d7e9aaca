//! What the servers of flyball share: how many clients there may be, and who makes room for whom.

mod clients;
mod seldom;

pub use clients::{Clients, Connection, Limits};
pub use seldom::Seldom;
