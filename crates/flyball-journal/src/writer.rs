//! The thread that writes: records become batches, batches become transactions. A batch is written
//! or counted as lost as a whole, and no failure ends the thread.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flyball_core::decision::Decision;
use flyball_core::record::Sample;
use rusqlite::{Connection, TransactionBehavior};

use crate::Retention;
use crate::manual::{Manuals, StoredOrder};
use crate::open::{Opened, UnusedFile};
use crate::retention;
use crate::rows::{self, MINUTE_MS};

/// A batch is written when it has this many records...
const BATCH_MAX: usize = 500;
/// ...or this long after its first one.
const BATCH_TIME: Duration = Duration::from_millis(500);

/// Time between two looks at what is too old or too much...
const RETENTION_EVERY: Duration = Duration::from_secs(10);
/// ...and between two bites while there is.
const RETENTION_AGAIN: Duration = Duration::from_millis(50);

/// Minutes that wait to be rolled up while the file cannot be written; more are forgotten, and
/// their samples were lost anyhow.
const DUE_MAX: usize = 10_000;

/// Something to be kept.
#[derive(Debug)]
pub(crate) enum Row {
    Sample { service: String, sample: Sample },
    Decision(Box<Decision>),
}

/// A message to the writer.
#[derive(Debug)]
pub(crate) enum Message {
    Record(Row),
    /// Write now, then confirm it.
    Flush(SyncSender<()>),
    /// Write now, and end.
    Close,
    /// Let the file have no more than this many pages: a full disk, for tests.
    #[cfg(test)]
    LimitPages(u32),
}

/// What the writer reports.
#[derive(Debug, Default)]
pub(crate) struct State {
    lost: AtomicU64,
    openings: AtomicU64,
    fault: Mutex<Option<String>>,
    aside: Mutex<Option<UnusedFile>>,
    late: Mutex<StoredOrder>,
}

impl State {
    pub(crate) fn lose(&self, records: usize) {
        self.lost.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    /// A file is open for writing.
    pub(crate) fn note_opening(&self, aside: Option<UnusedFile>, late: StoredOrder) {
        *self.aside.lock().unwrap_or_else(PoisonError::into_inner) = aside;
        *self.late.lock().unwrap_or_else(PoisonError::into_inner) = late;
        self.openings.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take_aside(&self) -> Option<UnusedFile> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn take_late(&self) -> StoredOrder {
        std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// What the writing thread knows besides its connection.
#[derive(Debug)]
pub(crate) struct Writer {
    state: Arc<State>,
    manuals: Arc<Manuals>,
    path: PathBuf,
    inode: u64,
    retention: Retention,
    services: BTreeMap<String, i64>,
    /// The minute of each service's latest sample.
    minutes: BTreeMap<String, i64>,
    /// Minutes that are over and not rolled up yet.
    due: BTreeSet<(i64, i64)>,
    /// The wall-clock time of the latest record.
    now_ms: Option<i64>,
    retention_at: Instant,
    retention_fault: Option<String>,
}

/// A batch, and what else was asked for meanwhile.
#[derive(Default)]
struct Gathered {
    rows: Vec<Row>,
    replies: Vec<SyncSender<()>>,
    /// Whether anybody can still send.
    open: bool,
    #[cfg(test)]
    pages_max: Option<u32>,
}

impl Writer {
    /// A writer for the journal `opened`, of which it first rolls up what a crash left.
    pub(crate) fn new(
        opened: &Opened,
        state: Arc<State>,
        manuals: Arc<Manuals>,
        retention: Retention,
    ) -> Self {
        if let Err(error) = rows::roll_up_rest(&opened.connection) {
            // A full disk must not keep anything from starting.
            state.set_fault(Some(error.to_string()));
        }
        Self {
            state,
            manuals,
            inode: inode(&opened.path).unwrap_or(0),
            path: opened.path.clone(),
            retention,
            services: BTreeMap::new(),
            minutes: BTreeMap::new(),
            due: BTreeSet::new(),
            now_ms: None,
            retention_at: Instant::now(),
            retention_fault: None,
        }
    }

    /// Writes until all senders are gone.
    pub(crate) fn run(mut self, mut connection: Connection, messages: &Receiver<Message>) {
        loop {
            let gathered = self.gather(messages);
            #[cfg(test)]
            limit_pages(&connection, gathered.pages_max);
            let Gathered { rows, replies, open, .. } = gathered;
            if !rows.is_empty() {
                self.write(&mut connection, &rows);
            }
            for reply in replies {
                // The caller may have given up waiting.
                let _ = reply.try_send(());
            }
            if !open {
                break;
            }
            if Instant::now() >= self.retention_at {
                self.look_after(&connection);
            }
        }
        self.finish(&mut connection);
    }

    fn gather(&self, messages: &Receiver<Message>) -> Gathered {
        let mut gathered = Gathered { open: true, ..Gathered::default() };
        let mut end = self.retention_at;
        while gathered.rows.len() < BATCH_MAX {
            match messages.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Message::Record(row)) => {
                    if gathered.rows.is_empty() {
                        end = Instant::now() + BATCH_TIME;
                    }
                    gathered.rows.push(row);
                }
                Ok(Message::Flush(reply)) => {
                    gathered.replies.push(reply);
                    break;
                }
                #[cfg(test)]
                Ok(Message::LimitPages(pages_max)) => {
                    gathered.pages_max = Some(pages_max);
                    break;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => {
                    gathered.open = false;
                    break;
                }
            }
        }
        gathered
    }

    /// Writes `rows`, or counts them as lost.
    fn write(&mut self, connection: &mut Connection, rows: &[Row]) {
        let written = self.try_write(connection, rows);
        if written.is_ok() {
            self.due.clear();
        } else {
            self.state.lose(rows.len());
            // Numbers that were given in what was rolled back may be given again.
            self.services.clear();
        }
        let fault = written.err().map(|error| self.describe(&error));
        self.state.set_fault(fault.or_else(|| self.retention_fault.clone()));
    }

    fn try_write(&mut self, connection: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for row in rows {
            match row {
                Row::Sample { service, sample } => {
                    let id = rows::service_id(&transaction, &mut self.services, service)?;
                    rows::insert_sample(&transaction, id, sample)?;
                    self.now_ms = Some(sample.wall_ms);
                    self.note_minute(service, id, sample.wall_ms);
                }
                Row::Decision(decision) => {
                    let id = rows::service_id(&transaction, &mut self.services, &decision.service)?;
                    let Ok(json) = serde_json::to_string(decision) else {
                        self.state.lose(1);
                        continue;
                    };
                    rows::insert_decision(&transaction, id, decision, &json)?;
                    self.now_ms = Some(decision.wall_ms);
                }
            }
        }
        for (id, minute_ms) in &self.due {
            rows::roll_up(&transaction, *id, *minute_ms)?;
        }
        transaction.commit()
    }

    fn note_minute(&mut self, service: &str, id: i64, wall_ms: i64) {
        let minute_ms = wall_ms.saturating_sub(wall_ms.rem_euclid(MINUTE_MS));
        match self.minutes.get_mut(service) {
            Some(last) if *last == minute_ms => {}
            Some(last) => {
                let over = std::mem::replace(last, minute_ms);
                if self.due.len() < DUE_MAX {
                    self.due.insert((id, over));
                }
            }
            None => drop(self.minutes.insert(service.to_owned(), minute_ms)),
        }
    }

    /// One bite of what is too old or too much.
    fn look_after(&mut self, connection: &Connection) {
        // The caller got the error when it could not be written.
        let _still_not = self.manuals.write_rest();
        let done = retention::bite(connection, self.now_ms, self.retention);
        let again = matches!(done, Ok(retention::Bite::More));
        self.retention_at = Instant::now() + if again { RETENTION_AGAIN } else { RETENTION_EVERY };
        self.retention_fault = match done {
            Err(error) => Some(self.describe(&error)),
            Ok(_) if inode(&self.path) != Some(self.inode) => {
                Some(format!("{} was removed or replaced: restart flyball", self.path.display()))
            }
            Ok(_) => None,
        };
        if self.retention_fault.is_some() {
            self.state.set_fault(self.retention_fault.clone());
        }
    }

    /// Rolls up the minutes that are not over, and leaves no log behind.
    fn finish(mut self, connection: &mut Connection) {
        for (service, minute_ms) in &self.minutes {
            if let Some(id) = self.services.get(service) {
                self.due.insert((*id, *minute_ms));
            }
        }
        self.write(connection, &[]);
        let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn describe(&self, error: &rusqlite::Error) -> String {
        format!("cannot write {}: {error}", self.path.display())
    }
}

fn inode(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|file| file.ino())
}

#[cfg(test)]
fn limit_pages(connection: &Connection, pages_max: Option<u32>) {
    if let Some(pages_max) = pages_max {
        connection
            .pragma_update_and_check(None, "max_page_count", pages_max, |row| row.get::<_, i64>(0))
            .unwrap();
    }
}
