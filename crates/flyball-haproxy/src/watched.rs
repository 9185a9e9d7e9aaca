//! Reads one backend by its number, and finds the number again after a reload.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::error::HaproxyError;
use crate::stat::{BACKENDS, Snapshot, find_backend, question};
use crate::wire::Wire;

/// The number of no backend.
const UNKNOWN: u32 = 0;

/// The name of a backend, and the number that it had when it was last looked at.
pub(crate) struct Watched {
    name: String,
    number: AtomicU32,
}

impl Watched {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), number: AtomicU32::new(UNKNOWN) }
    }

    /// One look: one call, and three where the number is not known or has changed.
    pub(crate) async fn look(&self, wire: &Wire) -> Result<Snapshot, HaproxyError> {
        let known = self.number.load(Relaxed);
        if known != UNKNOWN
            && let Some(snapshot) = self.ask(wire, known).await?
        {
            return Ok(snapshot);
        }
        let number = find_backend(&self.name, &wire.ask(BACKENDS).await?)?;
        self.number.store(number, Relaxed);
        let snapshot = self.ask(wire, number).await?;
        snapshot.ok_or_else(|| HaproxyError::NoBackend { backend: self.name.clone() })
    }

    async fn ask(&self, wire: &Wire, number: u32) -> Result<Option<Snapshot>, HaproxyError> {
        Snapshot::parse(&self.name, number, &wire.ask(&question(number)).await?)
    }
}
