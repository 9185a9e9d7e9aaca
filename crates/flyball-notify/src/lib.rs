//! Tells people and programs what needs attention, by HTTP POST. It works in the background: whoever
//! sends a notification waits for nothing, and a target that hangs delays no other.

mod body;
mod error;
mod notification;
mod notifier;
mod pace;
mod target;

pub use error::NotifyError;
pub use notification::{Notification, State};
pub use notifier::Notifier;
pub use target::Target;
