//! The place of the journal, and what happens while it cannot be opened there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::Retention;
use crate::error::JournalError;
use crate::manual::{Manuals, StoredOrder};
use crate::open::{self, Opened, UnusedFile};
use crate::reader::Reader;
use crate::writer::{Message, State, Writer};

/// Time between two attempts. People free disk space, and an attempt may read the whole file.
pub(crate) const RETRY: Duration = Duration::from_secs(60);

/// Everything that opening takes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) retention: Retention,
    pub(crate) retry: Duration,
    pub(crate) state: Arc<State>,
    pub(crate) manuals: Arc<Manuals>,
}

impl Place {
    /// The journal, if it can be opened now; otherwise the fault gives the reason.
    pub(crate) fn open(&self) -> Option<Opened> {
        let first = self.state.fault().is_none();
        match self.try_open(first) {
            Ok(opened) => {
                self.state.set_fault(None);
                Some(opened)
            }
            Err(error) => {
                let unknown = if first { self.remember_manuals(&error) } else { "" };
                let hint = error.hint().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
                self.state.set_fault(Some(format!("{error}{unknown}{hint}")));
                None
            }
        }
    }

    fn try_open(&self, first: bool) -> Result<Opened, JournalError> {
        let opened = open::open(&self.dir)?;
        let new = self.manuals.attach(&opened.path).inspect_err(|_| self.manuals.detach())?;
        let late = self.late(&opened, new, first);
        self.state.note_opening(opened.aside.clone(), late);
        Ok(opened)
    }

    /// What was asked for and becomes known only now. A journal that takes the place of a newer
    /// one begins with what that one kept, as far as it can be read.
    fn late(&self, opened: &Opened, mut new: StoredOrder, first: bool) -> StoredOrder {
        if let Some(UnusedFile::Newer { path, begun: true, .. }) = &opened.aside {
            let found = Reader::open(path).and_then(|reader| reader.manuals());
            let found = found.unwrap_or_default();
            for (service, manual) in found.manuals {
                // It is in force; what cannot be written now is written later.
                let _later = self.manuals.set(&service, Some(&manual));
                new.manuals.insert(service, manual);
            }
            for (service, order) in found.rollouts {
                let _later = self.manuals.set_rollout(&service, Some(&order));
                new.rollouts.insert(service, order);
            }
        }
        if first { StoredOrder::default() } else { new }
    }

    /// Takes manual overrides from a file that can only be read; what to add to the fault if
    /// that fails as well.
    fn remember_manuals(&self, why: &JournalError) -> &'static str {
        if matches!(why, JournalError::InUse { .. }) || !open::file(&self.dir).exists() {
            return "";
        }
        match Reader::beside(&self.dir).and_then(|reader| reader.manuals()) {
            Ok(found) => {
                self.manuals.remember(found);
                ""
            }
            Err(_) => ", and earlier manual overrides are not known",
        }
    }

    /// Writes until all senders are gone; waits for a file first if it has none.
    pub(crate) fn write(self, first: Option<Opened>, messages: &Receiver<Message>) {
        let Some(opened) = first.or_else(|| self.wait(messages)) else { return };
        let writer = Writer::new(&opened, self.state, self.manuals, self.retention);
        writer.run(opened.connection, messages);
        // Not by closing alone: a child that is being started may have a copy.
        let _ = opened.lock.unlock();
    }

    /// The journal once it can be opened; `None` if it is no longer needed.
    fn wait(&self, messages: &Receiver<Message>) -> Option<Opened> {
        let mut next = Instant::now() + self.retry;
        loop {
            match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Record(_)) => self.state.lose(1),
                // The caller may have given up waiting.
                Ok(Message::Flush(reply)) => drop(reply.try_send(())),
                #[cfg(test)]
                Ok(Message::LimitPages(_)) => {}
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(opened) = self.open() {
                        return Some(opened);
                    }
                    next = Instant::now() + self.retry;
                }
            }
        }
    }
}
