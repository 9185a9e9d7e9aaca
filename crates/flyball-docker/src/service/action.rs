//! What is to be done when the known containers of a service have changed.

use crate::settings::SleepMode;

/// One thing to do about the container with this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Stop it, then remove it.
    Stop(String),
    /// Put it to sleep: it stays there.
    PutToSleep(String, SleepMode),
    /// Remove it: it does not run.
    Remove(String),
    /// Report the exit of one that ended by itself, then remove it.
    RecordExitAndRemove(String),
    /// Read the log tail of one that its daemon keeps restarting.
    ReadLogTail(String),
}
