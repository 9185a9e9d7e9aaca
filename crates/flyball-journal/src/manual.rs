//! Pins and pauses, kept so that they survive a restart, with the orders about rollouts beside them;
//! at most one of each for a service. The reader checks whether one has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flyball_core::observation::Ask;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::error::JournalError;
use crate::open::connect;
use crate::rollout::{self, StoredRollout};

/// A manual override, in wall-clock time: other clocks do not survive a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredManual {
    /// What.
    pub ask: Ask,
    /// When it ends, in milliseconds since 1970-01-01 UTC; `None` if it does not.
    pub until_wall_ms: Option<i64>,
    /// Where it came from: "cli", "api", "dashboard".
    pub by: String,
}

/// All of them, with the connection that keeps them once there is one.
#[derive(Debug, Default)]
pub(crate) struct Manuals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    connection: Option<Connection>,
    known: BTreeMap<String, StoredManual>,
    rollouts: BTreeMap<String, StoredRollout>,
    /// Services of which the latest could not be written.
    unwritten: BTreeSet<String>,
    unwritten_rollouts: BTreeSet<String>,
    unreadable: IgnoredOrder,
}

/// Services of which another version wrote something that means nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredOrder {
    /// A manual override.
    pub manuals: BTreeSet<String>,
    /// An order about rollouts.
    pub rollouts: BTreeSet<String>,
}

/// What became known only after the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredOrder {
    /// Manual overrides.
    pub manuals: BTreeMap<String, StoredManual>,
    /// Orders about rollouts.
    pub rollouts: BTreeMap<String, StoredRollout>,
}

impl Manuals {
    /// Everything that was asked for and not forgotten, also what has ended since.
    pub(crate) fn all(&self) -> BTreeMap<String, StoredManual> {
        self.kept().known.clone()
    }

    /// What an earlier run kept, where that can only be read.
    pub(crate) fn remember(&self, found: Found) {
        let mut kept = self.kept();
        kept.known.extend(found.manuals);
        kept.rollouts.extend(found.rollouts);
        kept.unreadable.add(found.unreadable);
    }

    /// The services of which something was kept that means nothing here, once.
    pub(crate) fn take_unreadable(&self) -> IgnoredOrder {
        std::mem::take(&mut self.kept().unreadable)
    }

    /// Keeps what is known in the journal at `path` from now on, and gives what only that knew.
    pub(crate) fn attach(&self, path: &Path) -> Result<StoredOrder, JournalError> {
        let connection = connect(path)?;
        // A pin is small and rare, and must survive a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        rollout::make_table(&connection)?;
        let mut kept = self.kept();
        kept.connection = Some(connection);
        kept.write_rest()?;
        let Some(connection) = &kept.connection else { return Ok(StoredOrder::default()) };
        let Found { mut manuals, mut rollouts, unreadable } = all(connection)?;
        rollouts.retain(|service, _| !kept.rollouts.contains_key(service));
        kept.rollouts.extend(rollouts.clone());
        manuals.retain(|service, _| !kept.known.contains_key(service));
        kept.known.extend(manuals.clone());
        kept.unreadable.add(unreadable);
        Ok(StoredOrder { manuals, rollouts })
    }

    /// Writes what could not be written before, if there is anything.
    pub(crate) fn write_rest(&self) -> Result<(), JournalError> {
        self.kept().write_rest()
    }

    /// Keeps what was asked for `service`, or forgets it; counts also where it cannot be written.
    pub(crate) fn set(
        &self,
        service: &str,
        manual: Option<&StoredManual>,
    ) -> Result<(), JournalError> {
        let mut kept = self.kept();
        match manual {
            Some(manual) => kept.known.insert(service.to_owned(), manual.clone()),
            None => kept.known.remove(service),
        };
        kept.unwritten.insert(service.to_owned());
        kept.write_rest()
    }

    /// All orders about rollouts.
    pub(crate) fn rollouts(&self) -> BTreeMap<String, StoredRollout> {
        self.kept().rollouts.clone()
    }

    /// Keeps an order about the rollouts of `service`, or forgets it; counts also where it cannot
    /// be written.
    pub(crate) fn set_rollout(
        &self,
        service: &str,
        order: Option<&StoredRollout>,
    ) -> Result<(), JournalError> {
        let mut kept = self.kept();
        match order {
            Some(order) => kept.rollouts.insert(service.to_owned(), order.clone()),
            None => kept.rollouts.remove(service),
        };
        kept.unwritten_rollouts.insert(service.to_owned());
        kept.write_rest()
    }

    /// Lets go of the file.
    pub(crate) fn detach(&self) {
        self.kept().connection = None;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic in between left SQLite's own state whole: its statements are atomic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn write_rest(&mut self) -> Result<(), JournalError> {
        let connection = self.connection.as_ref().ok_or(JournalError::Closed)?;
        while let Some(service) = self.unwritten.first() {
            set(connection, service, self.known.get(service))?;
            self.unwritten.pop_first();
        }
        while let Some(service) = self.unwritten_rollouts.first() {
            rollout::set(connection, service, self.rollouts.get(service))?;
            self.unwritten_rollouts.pop_first();
        }
        Ok(())
    }
}

fn set(
    connection: &Connection,
    service: &str,
    manual: Option<&StoredManual>,
) -> Result<(), JournalError> {
    let Some(manual) = manual else {
        connection.execute("DELETE FROM manual WHERE service = ?1", [service])?;
        return Ok(());
    };
    let ask = serde_json::to_string(&manual.ask)
        .map_err(|error| JournalError::Record { wall_ms: 0, why: error.to_string() })?;
    connection.execute(
        "INSERT OR REPLACE INTO manual (service, ask, until_wall_ms, asked_by)
         VALUES (?1, ?2, ?3, ?4)",
        params![service, ask, manual.until_wall_ms, manual.by],
    )?;
    Ok(())
}

/// All that are kept; the services of those that cannot be read, since another version wrote them.
pub(crate) fn all(connection: &Connection) -> Result<Found, JournalError> {
    let mut statement =
        connection.prepare("SELECT service, ask, until_wall_ms, asked_by FROM manual")?;
    let mut rows = statement.query([])?;
    let mut found = Found::default();
    while let Some(row) = rows.next()? {
        let service = row.get(0)?;
        match serde_json::from_str(row.get_ref(1)?.as_str().unwrap_or_default()) {
            Ok(ask) => {
                let until_wall_ms = row.get(2)?;
                let by = row.get(3)?;
                found.manuals.insert(service, StoredManual { ask, until_wall_ms, by });
            }
            Err(_) => drop(found.unreadable.manuals.insert(service)),
        }
    }
    found.rollouts = rollout::all(connection, &mut found.unreadable.rollouts)?;
    Ok(found)
}

/// What a file held.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) manuals: BTreeMap<String, StoredManual>,
    pub(crate) rollouts: BTreeMap<String, StoredRollout>,
    pub(crate) unreadable: IgnoredOrder,
}

impl IgnoredOrder {
    fn add(&mut self, more: Self) {
        self.manuals.extend(more.manuals);
        self.rollouts.extend(more.rollouts);
    }
}
