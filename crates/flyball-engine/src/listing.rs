//! The latest listing of what labels describe, for whoever looks for services.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// What was listed last, or why nothing can be listed; empty before the first answer.
#[derive(Debug)]
pub struct Listing<T, E>(watch::Sender<Option<Result<Arc<T>, E>>>);

impl<T, E> Default for Listing<T, E> {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl<T, E: Clone> Listing<T, E> {
    /// Keeps a listing.
    pub fn set(&self, listed: Arc<T>) {
        self.0.send_replace(Some(Ok(listed)));
    }

    /// Nothing can be listed from now on.
    pub fn lost(&self, why: E) {
        self.0.send_replace(Some(Err(why)));
    }

    /// The latest answer. Waits for the first one; `None` if that does not come within `limit`.
    pub async fn latest(&self, limit: Duration) -> Option<Result<Arc<T>, E>> {
        let mut listing = self.0.subscribe();
        // The sender lives in self, so the channel does not close.
        let answer = timeout(limit, listing.wait_for(Option::is_some)).await.ok()?.ok()?;
        answer.as_ref().cloned()
    }
}
