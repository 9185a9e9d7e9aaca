//! Rules and state that engines and balancers share. Nothing here talks to an external system.

pub mod command;
pub mod counted;
mod exits;
mod finding;
mod generations;
mod hint;
pub mod labels;
mod link;
mod listing;
pub mod log_tail;
pub mod ports;
mod services;
pub mod text;

pub use exits::Exits;
pub use finding::Finding;
pub use generations::GenerationInfo;
pub use hint::Hint;
pub use link::Link;
pub use listing::Listing;
pub use services::Services;
