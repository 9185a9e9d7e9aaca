//! Reads the history, thinned out to the number of points that the caller wants. No query takes
//! longer than [`QUERY_LIMIT`], and none delays the writer.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use flyball_core::decision::Decision;
use flyball_core::record::{DecisionFilter, Sample};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use crate::error::JournalError;
use crate::manual::{self, Found};
use crate::open::beside;
use crate::rows::{FIGURES, GROUPED, MINUTE_MS, find_service};
use crate::schema::header;

/// How long a query may take.
const QUERY_LIMIT: Duration = Duration::from_secs(5);

/// A connection that only reads. It can be sent to another thread, but not shared.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

/// Some decisions of a service, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// Those that can be read.
    pub decisions: Vec<Decision>,
    /// How many among them another version of flyball wrote so that they cannot be read.
    pub unreadable: u32,
}

impl Reader {
    /// A reader of the journal in `dir`, beside its writer in this process or another.
    ///
    /// # Errors
    ///
    /// There is no journal, or it cannot be read.
    pub fn beside(dir: &Path) -> Result<Self, JournalError> {
        Self::open(&crate::open::file(dir))
    }

    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(QUERY_LIMIT)?;
        let refused = header(&connection, "schema_version").err();
        let refused = refused.and_then(|error| error.sqlite_error_code());
        // The log cannot be shared where nothing can be written; without a log there is no one to
        // share it with.
        if matches!(refused, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
            && is_log_empty(path)
        {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            let connection = Connection::open_with_flags(unchanging(path), flags)?;
            return Ok(Self { connection });
        }
        Ok(Self { connection })
    }

    pub(crate) fn manuals(&self) -> Result<Found, JournalError> {
        manual::all(&self.connection)
    }

    /// The names of all services that have a history, in their order.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or not in time.
    pub fn services(&self) -> Result<Vec<String>, JournalError> {
        self.begin()?;
        let mut statement =
            self.connection.prepare_cached("SELECT name FROM service ORDER BY name")?;
        let names = statement.query_map([], |row| row.get(0))?;
        names.collect::<rusqlite::Result<_>>().map_err(in_time)
    }

    /// Samples of `service` from `from_wall_ms` to `to_wall_ms`, both included, in the order of
    /// their time, as at most `points_max` (at least 3) points.
    ///
    /// A point is the mean of its samples, but the largest `waiting`, `p99_ms` and `errors`; its
    /// time is that of its first sample. Samples older than a day are those of whole minutes.
    /// Empty for an unknown service.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or not in time.
    pub fn samples(
        &self,
        service: &str,
        from_wall_ms: i64,
        to_wall_ms: i64,
        points_max: u32,
    ) -> Result<Vec<Sample>, JournalError> {
        self.begin()?;
        let Some(id) = find_service(&self.connection, service).map_err(in_time)? else {
            return Ok(Vec::new());
        };
        // Groups lie on a fixed grid, so that a chart that moves on does not flicker; a span then
        // touches up to two more groups than it is long.
        let span_ms = to_wall_ms.saturating_sub(from_wall_ms).max(0);
        let group_ms = (span_ms / i64::from(points_max.max(3) - 2)).saturating_add(1);
        // Minutes up to `seam`, samples as recorded from there on.
        let seam = if group_ms >= MINUTE_MS {
            self.end_of_minutes(id, to_wall_ms)
        } else {
            self.begin_of_seconds(id, from_wall_ms)
        };
        let seam = seam.map_err(in_time)?;
        let sql = format!(
            "SELECT min(wall_ms), {GROUPED} FROM (
                 SELECT wall_ms, {FIGURES} FROM sample_minute
                 WHERE service = ?1 AND wall_ms >= ?2 AND wall_ms <= ?3 AND wall_ms < ?4
                 UNION ALL
                 SELECT wall_ms, {FIGURES} FROM sample_second
                 WHERE service = ?1 AND wall_ms >= ?2 AND wall_ms <= ?3 AND wall_ms >= ?4
             ) GROUP BY wall_ms / ?5 ORDER BY 1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let samples = statement
            .query_map(params![id, from_wall_ms, to_wall_ms, seam, group_ms], sample)?
            .collect::<rusqlite::Result<_>>()
            .map_err(in_time)?;
        Ok(samples)
    }

    /// Where the rolled-up minutes of a service up to `to_ms` end.
    fn end_of_minutes(&self, service: i64, to_ms: i64) -> rusqlite::Result<i64> {
        self.connection
            .prepare_cached(
                "SELECT max(wall_ms) FROM sample_minute WHERE service = ?1 AND wall_ms <= ?2",
            )?
            .query_row([service, to_ms], |row| row.get::<_, Option<i64>>(0))
            .map(|last| last.map_or(i64::MIN, |last| last.saturating_add(MINUTE_MS)))
    }

    /// Where the samples of a service from `from_ms` on begin as they were recorded, less the
    /// minute that may have lost its first ones.
    fn begin_of_seconds(&self, service: i64, from_ms: i64) -> rusqlite::Result<i64> {
        self.connection
            .prepare_cached(
                "SELECT min(wall_ms) FROM sample_second WHERE service = ?1 AND wall_ms >= ?2",
            )?
            .query_row([service, from_ms], |row| row.get::<_, Option<i64>>(0))
            .map(|first| first.map_or(i64::MAX, |first| first.saturating_sub(MINUTE_MS - 1)))
    }

    /// The latest decisions of `service` that `filter` lets through, the newest first; those of one moment in
    /// the order they were recorded, the last first.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or not in time.
    pub fn decisions(
        &self,
        service: &str,
        filter: &DecisionFilter,
    ) -> Result<Decisions, JournalError> {
        self.begin()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT json FROM decision
             WHERE service = (SELECT id FROM service WHERE name = ?1)
                 AND wall_ms >= ?2 AND wall_ms < ?3 AND (NOT ?4 OR desired <> committed)
             ORDER BY wall_ms DESC, id DESC LIMIT ?5",
        )?;
        let DecisionFilter { from_wall_ms, before_wall_ms, limit, moves_only } = *filter;
        let wanted = params![service, from_wall_ms, before_wall_ms, moves_only, limit];
        let mut rows = statement.query(wanted)?;
        let mut found = Decisions::default();
        while let Some(row) = rows.next().map_err(in_time)? {
            match serde_json::from_str(&row.get::<_, String>(0)?) {
                Ok(decision) => found.decisions.push(decision),
                Err(_) => found.unreadable += 1,
            }
        }
        Ok(found)
    }

    /// The decision of `service` that held at `wall_ms`: the last one at or before it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or another version of flyball wrote that decision.
    pub fn decision_at(
        &self,
        service: &str,
        wall_ms: i64,
    ) -> Result<Option<Decision>, JournalError> {
        self.begin()?;
        let found: Option<(i64, String)> = self
            .connection
            .prepare_cached(
                "SELECT wall_ms, json FROM decision
                 WHERE service = (SELECT id FROM service WHERE name = ?1) AND wall_ms <= ?2
                 ORDER BY wall_ms DESC, id DESC LIMIT 1",
            )?
            .query_row(params![service, wall_ms], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(in_time)?;
        found
            .map(|(wall_ms, json)| {
                serde_json::from_str(&json)
                    .map_err(|error| JournalError::Record { wall_ms, why: error.to_string() })
            })
            .transpose()
    }

    /// Sets the time that the next question has.
    fn begin(&self) -> Result<(), JournalError> {
        let end = Instant::now() + QUERY_LIMIT;
        Ok(self.connection.progress_handler(10_000, Some(move || Instant::now() > end))?)
    }
}

fn is_log_empty(path: &Path) -> bool {
    beside(path, "-wal").metadata().map_or(true, |log| log.len() == 0)
}

/// SQLite's name for a file that does not change.
fn unchanging(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    let special = |byte: &u8| matches!(byte, b'%' | b'?' | b'#');
    for part in path.as_os_str().as_bytes().split_inclusive(special) {
        match part.split_last() {
            Some((last, rest)) if special(last) => {
                name.push(OsStr::from_bytes(rest));
                name.push(format!("%{last:02x}"));
            }
            _ => name.push(OsStr::from_bytes(part)),
        }
    }
    name.push("?immutable=1");
    name
}

fn in_time(error: rusqlite::Error) -> JournalError {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => JournalError::Slow,
        _ => error.into(),
    }
}

fn sample(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        wall_ms: row.get(0)?,
        desired: whole(row.get(1)?),
        ready: row.get::<_, Option<f64>>(2)?.map(whole),
        starting: row.get::<_, Option<f64>>(3)?.map(whole),
        draining: row.get::<_, Option<f64>>(4)?.map(whole),
        mean_cpu: row.get(5)?,
        arrivals_per_s: row.get(6)?,
        waiting: row.get::<_, Option<f64>>(7)?.map(whole),
        in_flight: row.get::<_, Option<f64>>(8)?.map(whole),
        p50_ms: row.get(9)?,
        p99_ms: row.get(10)?,
        errors: row.get::<_, Option<i64>>(11)?.map(i64::unsigned_abs),
    })
}

/// A mean count as the nearest whole one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-int cast saturates, and counts are not negative"
)]
fn whole(mean: f64) -> u32 {
    mean.round() as u32
}
