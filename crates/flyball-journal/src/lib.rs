//! The local history in one SQLite file: samples, decisions, manual overrides, orders about rollouts.
//! Recording never waits and never fails: lost records are counted ([`Journal::lost`]), with the
//! reason ([`Journal::fault`]). No wall clock is read: the newest record gives the time.

mod error;
mod manual;
mod open;
mod reader;
mod reopen;
mod retention;
mod rollout;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flyball_core::decision::Decision;
use flyball_core::record::Sample;

pub use error::JournalError;
pub use manual::{IgnoredOrder, StoredManual, StoredOrder};
pub use open::UnusedFile;
pub use reader::{Decisions, Reader};
pub use rollout::{StoredDeploy, StoredRollout};

use manual::Manuals;
use reopen::{Place, RETRY};
use writer::{Message, Row, State};

/// Records that may wait to be written: 8 s of 1,000 services; 30 MB if all of them are decisions.
const QUEUE_MAX: usize = 8_192;

/// How long [`Journal::flush`] and [`Journal::close`] wait.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Decisions and one-minute samples are kept for this long, in milliseconds; samples as they
    /// were recorded for a day at most. The latest records of each kind are kept whatever their
    /// age, so that a clock that jumped ahead cannot empty the journal: see `retention`.
    pub age_ms: u64,
    /// Bytes in use that the file is brought back to, oldest records first; at least 1 MiB. The
    /// file may be 4 MiB larger, and has up to 16 MiB of write-ahead log beside it.
    pub bytes_max: u64,
}

impl Default for Retention {
    /// Two weeks, and 1 GiB: about four times what 20 services fill in that time.
    fn default() -> Self {
        Self { age_ms: 14 * 24 * 3_600_000, bytes_max: 1 << 30 }
    }
}

/// The owner of the history.
///
/// Dropped without [`Journal::close`], it still writes what was recorded, but without waiting for
/// it.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    queue: SyncSender<Message>,
    state: Arc<State>,
    manuals: Arc<Manuals>,
    /// Hangs up when the writer is done.
    finished: Mutex<Receiver<()>>,
}

impl Journal {
    /// Opens or begins the journal in the directory `dir`, which is made if it is missing.
    ///
    /// Where that cannot be (the directory cannot be written, the disk is full, another process has
    /// the journal), nothing is kept, [`Journal::fault`] has the reason, and it is tried again
    /// every minute. A file that is damaged or of a newer flyball is never deleted, see
    /// [`UnusedFile`]. Blocks for at most a few seconds.
    pub fn open(dir: &Path, retention: Retention) -> Self {
        Self::open_again(dir, retention, RETRY)
    }

    fn open_again(dir: &Path, retention: Retention, retry: Duration) -> Self {
        let (queue, messages) = sync_channel(QUEUE_MAX);
        let (finish, finished) = sync_channel(0);
        let state = Arc::new(State::default());
        let manuals = Arc::new(Manuals::default());
        let place = Place {
            dir: dir.to_owned(),
            retention,
            retry,
            state: Arc::clone(&state),
            manuals: Arc::clone(&manuals),
        };
        let first = place.open();
        let writer = std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
            place.write(first, &messages);
            drop(finish);
        });
        if let Err(error) = writer {
            state.set_fault(Some(format!("cannot start the journal's thread: {error}")));
        }
        Self { dir: dir.to_owned(), queue, state, manuals, finished: Mutex::new(finished) }
    }

    /// What was found and is not written, once for each time.
    pub fn take_aside(&self) -> Option<UnusedFile> {
        self.state.take_aside()
    }

    /// How often a file was opened for writing: 0 as long as there was none. The holder of a
    /// [`Journal::reader`] needs a new one once this has grown.
    pub fn openings(&self) -> u64 {
        self.state.openings()
    }

    /// Records `sample` of `service`. Never blocks; see [`Journal::lost`].
    pub fn record_sample(&self, service: &str, sample: &Sample) {
        self.record(Row::Sample { service: service.to_owned(), sample: sample.clone() });
    }

    /// Records `decision`. Never blocks; see [`Journal::lost`].
    pub fn record_decision(&self, decision: &Decision) {
        self.record(Row::Decision(Box::new(decision.clone())));
    }

    fn record(&self, row: Row) {
        if let Err(error) = self.queue.try_send(Message::Record(row)) {
            self.state.lose(1);
            if matches!(error, TrySendError::Disconnected(_)) {
                self.state.set_fault(Some("the journal's writer has ended".to_owned()));
            }
        }
    }

    /// Records that were not kept since the journal was opened, because the queue was full or the
    /// file could not be written.
    pub fn lost(&self) -> u64 {
        self.state.lost()
    }

    /// Why the file cannot be written or looked after, while that is so.
    pub fn fault(&self) -> Option<String> {
        self.state.fault()
    }

    /// A reader with a connection of its own, also of a file that cannot be written.
    ///
    /// # Errors
    ///
    /// There is no file, or it cannot be opened.
    pub fn reader(&self) -> Result<Reader, JournalError> {
        Reader::beside(&self.dir)
    }

    /// Keeps the manual override of `service`, or forgets it. Blocks, seldom for more than
    /// a few milliseconds and for 2 s at most.
    ///
    /// # Errors
    ///
    /// It could not be written now; it will be as soon as that is possible.
    pub fn set_manual(
        &self,
        service: &str,
        manual: Option<&StoredManual>,
    ) -> Result<(), JournalError> {
        self.manuals.set(service, manual)
    }

    /// All manual overrides that were not forgotten, also those that have ended since.
    pub fn manuals(&self) -> BTreeMap<String, StoredManual> {
        self.manuals.all()
    }

    /// Keeps the order about the rollouts of `service`, or forgets it. Blocks as
    /// [`Journal::set_manual`] does.
    ///
    /// # Errors
    ///
    /// It could not be written now; it will be as soon as that is possible.
    pub fn set_rollout(
        &self,
        service: &str,
        order: Option<&StoredRollout>,
    ) -> Result<(), JournalError> {
        self.manuals.set_rollout(service, order)
    }

    /// All orders about rollouts that are known now.
    pub fn rollouts(&self) -> BTreeMap<String, StoredRollout> {
        self.manuals.rollouts()
    }

    /// The services with an override or an order that another version wrote and this one cannot
    /// read, once.
    pub fn take_unreadable(&self) -> IgnoredOrder {
        self.manuals.take_unreadable()
    }

    /// What a journal held that could be opened only later than the start, once.
    pub fn take_late(&self) -> StoredOrder {
        self.state.take_late()
    }

    /// Waits until everything recorded before was written or given up, for 5 s at most.
    ///
    /// # Errors
    ///
    /// The time passed.
    pub fn flush(&self) -> Result<(), JournalError> {
        let end = Instant::now() + FLUSH_LIMIT;
        let (reply, written) = sync_channel(1);
        self.send(Message::Flush(reply), end)?;
        written
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .map_err(|_| JournalError::Slow)
    }

    /// Writes what was recorded and closes the file. Waits for 5 s at most. What is recorded
    /// afterwards is lost.
    ///
    /// # Errors
    ///
    /// The time passed; the writer goes on by itself while the process lives.
    pub fn close(&self) -> Result<(), JournalError> {
        let end = Instant::now() + FLUSH_LIMIT;
        self.manuals.detach();
        match self.send(Message::Close, end) {
            // It has ended already.
            Err(JournalError::Closed) => return Ok(()),
            sent => sent?,
        }
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        match finished.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => Err(JournalError::Slow),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    /// Waits for room in the queue until `end`.
    fn send(&self, mut message: Message, end: Instant) -> Result<(), JournalError> {
        while let Err(error) = self.queue.try_send(message) {
            match error {
                TrySendError::Full(back) if Instant::now() < end => message = back,
                TrySendError::Full(_) => return Err(JournalError::Slow),
                TrySendError::Disconnected(_) => return Err(JournalError::Closed),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}
