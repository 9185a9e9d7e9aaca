//! The local history: samples, decisions and what was asked for by hand, in one SQLite file.
//!
//! Decides how history is kept and given up. Does not know what a decision means. Invariant:
//! recording never waits, never fails and never stops anything; what could not be kept is counted
//! ([`Journal::lost`]) and the reason is said ([`Journal::fault`]) for as long as it lasts.
//!
//! One thread of its own writes, in batches. Readers have connections of their own and do not
//! disturb it. The journal reads no wall clock: the newest record says what time it is.

mod error;
mod manual;
mod open;
mod reader;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod upkeep;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flyball_core::decision::Decision;
use flyball_core::record::Sample;
use rusqlite::Connection;

pub use error::JournalError;
pub use manual::StoredManual;
pub use open::Damaged;
pub use reader::{Decisions, Reader, Which};

use writer::{Message, Row, State, Writer};

/// Records that may wait to be written: 8 s of 1,000 services; 30 MB if all of them are decisions.
const QUEUE_MAX: usize = 8_192;

/// How long [`Journal::flush`] and [`Journal::close`] wait.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Decisions and one-minute samples are kept for this long, in milliseconds; samples as they
    /// were recorded for a day at most. The latest records of each kind are kept whatever their
    /// age, so that a clock that jumped ahead cannot empty the journal: see `upkeep`.
    pub age_ms: u64,
    /// Bytes in use that the file is brought back to, oldest records first; at least 1 MiB. The
    /// file may be 4 MiB larger, and has up to 16 MiB of write-ahead log beside it.
    pub bytes_max: u64,
}

impl Default for Retention {
    /// Two weeks, and half a GiB: about twice what 20 services fill in that time.
    fn default() -> Self {
        Self { age_ms: 14 * 24 * 3_600_000, bytes_max: 512 << 20 }
    }
}

/// The owner of the history.
///
/// Dropped without [`Journal::close`], it still writes what was recorded, but nobody waits for it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    queue: SyncSender<Message>,
    state: Arc<State>,
    /// Hangs up when the writer is done.
    finished: Mutex<Receiver<()>>,
    manuals: Mutex<Connection>,
}

impl Journal {
    /// Opens or begins the journal in the directory `dir`, which is made if it is missing.
    ///
    /// A file there that is damaged or is no journal is moved aside, never deleted, and named in
    /// [`Damaged`]; the journal then begins anew. Blocks for at most a few seconds.
    ///
    /// # Errors
    ///
    /// The directory cannot be written, the disk is full, another process has the journal, or a
    /// newer flyball wrote it (it is then left untouched).
    pub fn open(dir: &Path, retention: Retention) -> Result<(Self, Option<Damaged>), JournalError> {
        let opened = open::open(dir)?;
        let manuals = open::connect(&opened.path)?;
        // A pin is small and rare, and must survive a power cut.
        manuals.pragma_update(None, "synchronous", "FULL")?;
        let (queue, messages) = sync_channel(QUEUE_MAX);
        let (finish, finished) = sync_channel(0);
        let state = Arc::new(State::default());
        let writer = Writer::new(&opened, Arc::clone(&state), retention);
        let (connection, lock) = (opened.connection, opened.lock);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                writer.run(connection, &messages);
                // Not by closing alone: a child that is being started may have a copy.
                let _ = lock.unlock();
                drop(finish);
            })
            .map_err(|error| JournalError::Directory {
                dir: dir.to_owned(),
                why: error.to_string(),
            })?;
        let (finished, manuals) = (Mutex::new(finished), Mutex::new(manuals));
        Ok((Self { path: opened.path, queue, state, finished, manuals }, opened.damaged))
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

    /// A reader with a connection of its own.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn reader(&self) -> Result<Reader, JournalError> {
        Reader::open(&self.path)
    }

    /// Keeps what was asked for by hand for `service`, or forgets it. Blocks, seldom for more than
    /// a few milliseconds and for 2 s at most.
    ///
    /// # Errors
    ///
    /// It could not be written. What was kept before is then still kept.
    pub fn set_manual(
        &self,
        service: &str,
        manual: Option<&StoredManual>,
    ) -> Result<(), JournalError> {
        manual::set(&self.manual_connection(), service, manual)
    }

    /// Everything that was asked for by hand and not forgotten, also what has ended since.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn manuals(&self) -> Result<BTreeMap<String, StoredManual>, JournalError> {
        manual::all(&self.manual_connection())
    }

    fn manual_connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        // A panic in between left SQLite's own state whole: its statements are atomic.
        self.manuals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything recorded before was written or given up, for 5 s at most.
    ///
    /// # Errors
    ///
    /// The time passed.
    pub fn flush(&self) -> Result<(), JournalError> {
        let end = Instant::now() + FLUSH_LIMIT;
        let (reply, written) = sync_channel(1);
        let mut message = Message::Flush(reply);
        while let Err(error) = self.queue.try_send(message) {
            match error {
                TrySendError::Full(back) if Instant::now() < end => message = back,
                _ => return Err(JournalError::Slow),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        written
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .map_err(|_| JournalError::Slow)
    }

    /// Writes what was recorded and closes the file. Waits for 5 s at most.
    ///
    /// # Errors
    ///
    /// The time passed; the writer goes on by itself while the process lives.
    pub fn close(self) -> Result<(), JournalError> {
        let Self { queue, finished, manuals, .. } = self;
        drop(manuals);
        drop(queue);
        let finished = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        match finished.recv_timeout(FLUSH_LIMIT) {
            Err(RecvTimeoutError::Timeout) => Err(JournalError::Slow),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}
