//! What is known while requests wait for a service that has no ready replica: how many wait, and
//! what its start is like.

use std::sync::{Mutex, PoisonError};

/// The requests that wait for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldRequests {
    /// How many.
    pub count: u32,
    /// For how long the first of them has waited, in milliseconds.
    pub oldest_ms: u64,
}

/// What is known of the start that they wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Why no replica has become ready, if something is in the way.
    pub why: Option<String>,
    /// How long starts take, in milliseconds.
    pub usual_ms: Option<u64>,
}

/// The latest of it.
#[derive(Debug, Default)]
pub(crate) struct StartInfo(Mutex<Start>);

impl StartInfo {
    pub(crate) fn set(&self, start: Start) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = start;
    }

    pub(crate) fn get(&self) -> Start {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
