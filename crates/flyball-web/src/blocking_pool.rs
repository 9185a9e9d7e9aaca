//! Runs calls that may block, on a disk or on the loop. At most `width` run at once, abandoned ones
//! included, so a disk that hangs blocks that many threads and no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// A number of threads for waiting, and how long a caller waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct BlockingPool {
    places: Arc<Semaphore>,
    deadline: Duration,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overdue {
    #[error("too many calls of this kind are in progress")]
    Full,
    #[error("no answer within {deadline_ms} ms")]
    TimedOut { deadline_ms: u128 },
    #[error("the call panicked; see the log")]
    Died,
}

impl BlockingPool {
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
