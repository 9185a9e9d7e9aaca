//! What operators asked for about the generations of services, kept so that a rollout goes on after
//! a restart; at most one for a service.

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::generation::Generation;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::error::JournalError;

/// An order about the generations of a service, in wall-clock time: other clocks do not survive a
/// reboot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredRollout {
    /// Whether no further replica is replaced.
    pub paused: bool,
    /// The last deploy.
    pub deployed: Option<StoredDeploy>,
    /// The generation that was rolled back to.
    pub back_to: Option<Generation>,
}

/// A deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDeploy {
    /// What it came to; `None` while the engine has not said.
    pub generation: Option<Generation>,
    /// The image that was asked for; `None`: the configured one, or no image at all.
    pub image: Option<String>,
    /// The image that the configuration named then.
    #[serde(default)]
    pub configured_image: Option<String>,
    /// When it was asked for, in milliseconds since 1970-01-01 UTC.
    pub at_wall_ms: i64,
    /// Where it came from: "cli", "api", "dashboard".
    pub by: String,
}

/// The table came after the first version. It is made where it is missing, and an earlier flyball
/// does not see it, so the version of the file stays.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS rollout (
        service TEXT PRIMARY KEY,
        json TEXT NOT NULL
    ) WITHOUT ROWID";

pub(crate) fn make_table(connection: &Connection) -> Result<(), JournalError> {
    connection.execute(TABLE, [])?;
    Ok(())
}

pub(crate) fn set(
    connection: &Connection,
    service: &str,
    order: Option<&StoredRollout>,
) -> Result<(), JournalError> {
    let Some(order) = order else {
        connection.execute("DELETE FROM rollout WHERE service = ?1", [service])?;
        return Ok(());
    };
    let json = serde_json::to_string(order)
        .map_err(|error| JournalError::Record { wall_ms: 0, why: error.to_string() })?;
    connection.execute(
        "INSERT OR REPLACE INTO rollout (service, json) VALUES (?1, ?2)",
        params![service, json],
    )?;
    Ok(())
}

/// All orders by service. Those that another version wrote and that mean nothing here are added to
/// `unreadable`.
pub(crate) fn all(
    connection: &Connection,
    unreadable: &mut BTreeSet<String>,
) -> Result<BTreeMap<String, StoredRollout>, JournalError> {
    const KNOWN: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'rollout'";
    let mut found = BTreeMap::new();
    if connection.query_row(KNOWN, [], |_| Ok(())).optional()?.is_none() {
        return Ok(found);
    }
    let mut statement = connection.prepare("SELECT service, json FROM rollout")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let service: String = row.get(0)?;
        match serde_json::from_str(row.get_ref(1)?.as_str().unwrap_or_default()) {
            Ok(order) => drop(found.insert(service, order)),
            Err(_) => drop(unreadable.insert(service)),
        }
    }
    Ok(found)
}
