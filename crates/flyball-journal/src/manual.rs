//! Pins and pauses, kept so that they survive a restart.
//!
//! Decides nothing: whether one has ended is judged by whoever reads it. Invariant: there is at
//! most one for a service.

use std::collections::BTreeMap;

use flyball_core::observation::Ask;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::error::JournalError;

/// What was asked for by hand, in wall-clock time: other clocks do not outlive the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredManual {
    /// What.
    pub ask: Ask,
    /// When it ends, in milliseconds since 1970-01-01 UTC; `None` if it does not.
    pub until_wall_ms: Option<i64>,
    /// Who asked: "cli", "api", "dashboard".
    pub by: String,
}

pub(crate) fn set(
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

pub(crate) fn all(connection: &Connection) -> Result<BTreeMap<String, StoredManual>, JournalError> {
    let mut statement =
        connection.prepare("SELECT service, ask, until_wall_ms, asked_by FROM manual")?;
    let mut rows = statement.query([])?;
    let mut manuals = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let until_wall_ms: Option<i64> = row.get(2)?;
        let ask = serde_json::from_str(row.get_ref(1)?.as_str().unwrap_or_default()).map_err(
            |error| JournalError::Record {
                wall_ms: until_wall_ms.unwrap_or(0),
                why: error.to_string(),
            },
        )?;
        manuals.insert(row.get(0)?, StoredManual { ask, until_wall_ms, by: row.get(3)? });
    }
    Ok(manuals)
}
