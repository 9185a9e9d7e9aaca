//! The tables, their version, and how a connection is set up. A file becomes a journal in one
//! transaction, so that there is never half of one.

use std::time::Duration;

use rusqlite::Connection;

/// The schema's version, in the file's `user_version`.
pub(crate) const VERSION: i64 = 1;

/// Marks a file as flyball's, in its `application_id`: "flyb".
pub(crate) const APPLICATION: i64 = 0x666c_7962;

/// How long one connection waits for another to finish writing.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// Samples of a minute have the shape of samples, with means and, where the worst counts, maxima.
/// Counts are stored as reals for that reason. Order within a table is order of recording.
const TABLES: &str = "
    CREATE TABLE service (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

    CREATE TABLE sample_second (
        id INTEGER PRIMARY KEY,
        service INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL,
        desired REAL NOT NULL,
        ready REAL,
        starting REAL,
        draining REAL,
        mean_cpu REAL,
        arrivals_per_s REAL,
        waiting REAL,
        in_flight REAL,
        p50_ms REAL,
        p99_ms REAL,
        errors INTEGER
    );
    CREATE INDEX sample_second_time ON sample_second (service, wall_ms);

    CREATE TABLE sample_minute (
        id INTEGER PRIMARY KEY,
        service INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL,
        desired REAL NOT NULL,
        ready REAL,
        starting REAL,
        draining REAL,
        mean_cpu REAL,
        arrivals_per_s REAL,
        waiting REAL,
        in_flight REAL,
        p50_ms REAL,
        p99_ms REAL,
        errors INTEGER
    );
    CREATE UNIQUE INDEX sample_minute_time ON sample_minute (service, wall_ms);

    CREATE TABLE decision (
        id INTEGER PRIMARY KEY,
        service INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL,
        desired INTEGER NOT NULL,
        committed INTEGER NOT NULL,
        steps INTEGER NOT NULL,
        json TEXT NOT NULL
    );
    CREATE INDEX decision_time ON decision (service, wall_ms);

    CREATE TABLE manual (
        service TEXT PRIMARY KEY,
        ask TEXT NOT NULL,
        until_wall_ms INTEGER,
        asked_by TEXT NOT NULL
    ) WITHOUT ROWID;
";

/// Settings that belong to a connection, not to the file.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_LIMIT)?;
    // With a write-ahead log, a power cut may take the last batches but never the file.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)
}

/// Whether the file holds nothing at all yet.
pub(crate) fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// A number from the file's header.
pub(crate) fn header(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Switches the file to a write-ahead log; `false` where the file system cannot have one.
pub(crate) fn use_log(connection: &Connection) -> rusqlite::Result<bool> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    Ok(mode == "wal")
}

/// Makes a blank file a journal.
pub(crate) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
