//! A bounded way to calls that may wait: for a disk, or for the loop.
//!
//! Does not know what is called. Invariant: at most `width` calls are under way, the ones that
//! nobody waits for any more included, so a disk that hangs can hold that many threads and no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// A number of threads for waiting, and how long a caller waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    places: Arc<Semaphore>,
    deadline: Duration,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overdue {
    #[error("all calls of this kind that may run at once are still under way")]
    Full,
    #[error("there was no answer within {deadline_ms} ms")]
    TimedOut { deadline_ms: u128 },
    #[error("the call ended in a panic; the log says where")]
    Died,
}

impl Lane {
    pub(crate) fn new(width: usize, deadline: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(width)), deadline }
    }

    /// Runs `work` on a thread for waiting. Both the wait for a place and the work count towards
    /// the deadline; work that is given up goes on in its place until it ends.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overdue> {
        let started = tokio::time::Instant::now();
        let place = timeout(self.deadline, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| Overdue::Full)?
            .map_err(|_| Overdue::Full)?;
        let task = spawn_blocking(move || {
            let answer = work();
            drop(place);
            answer
        });
        let left = self.deadline.saturating_sub(started.elapsed());
        let deadline_ms = self.deadline.as_millis();
        let answer = timeout(left, task).await.map_err(|_| Overdue::TimedOut { deadline_ms })?;
        answer.map_err(|_| Overdue::Died)
    }
}
