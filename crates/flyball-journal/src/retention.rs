//! Deletes old history in small steps, each of milliseconds. `now` is the time of the newest
//! record. Age alone never removes the newest records of a table: a clock may be wrong by years.

use rusqlite::{Connection, Result, params};

use crate::Retention;
use crate::schema::header;

/// Samples are kept as they were recorded for this long, then only as minutes.
const SECONDS_AGE_MS: u64 = 24 * 3_600_000;

/// A record this far in the future was written while the clock was wrong.
const FUTURE_MS: i64 = 24 * 3_600_000;

/// The least that [`Retention::bytes_max`] can be.
const BYTES_MIN: i64 = 1 << 20;

/// Pages on the free list that are left for new records: 4 MiB.
const FREE_PAGES: i64 = 1_024;

/// Pages that are given back to the file system in one bite.
const FREED_PAGES: i64 = 256;

/// One table of records.
struct Table {
    name: &'static str,
    /// Rows that age alone does not take.
    keep: i64,
    /// Rows that one bite takes at most.
    bite: i64,
}

/// About an hour of 20 services each; decisions are some twenty times as large as samples.
const SECONDS: Table = Table { name: "sample_second", keep: 100_000, bite: 1_000 };
const MINUTES: Table = Table { name: "sample_minute", keep: 50_000, bite: 1_000 };
const DECISIONS: Table = Table { name: "decision", keep: 10_000, bite: 200 };

/// Whether there is more to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bite {
    More,
    Done,
}

/// Gives up what is older than `retention` allows at `now_ms`, or beyond its size; without
/// `now_ms`, only by size.
pub(crate) fn bite(
    connection: &Connection,
    now_ms: Option<i64>,
    retention: Retention,
) -> Result<Bite> {
    let mut more = false;
    if let Some(now_ms) = now_ms {
        let seconds_age_ms = retention.age_ms.min(SECONDS_AGE_MS);
        more |= by_age(connection, &SECONDS, now_ms, seconds_age_ms)?;
        more |= by_age(connection, &MINUTES, now_ms, retention.age_ms)?;
        more |= by_age(connection, &DECISIONS, now_ms, retention.age_ms)?;
    }
    more |= by_size(connection, retention.bytes_max)?;
    more |= give_back(connection)?;
    Ok(if more { Bite::More } else { Bite::Done })
}

/// Takes the longest recorded rows of `table` that are too old. The order is that of recording, so
/// a clock set back does not hide old rows behind new ones.
fn by_age(connection: &Connection, table: &Table, now_ms: i64, age_ms: u64) -> Result<bool> {
    let Table { name, keep, bite } = table;
    let oldest_ms = now_ms.saturating_sub(i64::try_from(age_ms).unwrap_or(i64::MAX));
    let taken = connection
        .prepare_cached(&format!(
            "DELETE FROM {name} WHERE id IN (
                 SELECT id FROM {name} WHERE id <= (SELECT max(id) FROM {name}) - ?1
                 ORDER BY id LIMIT ?2
             ) AND (wall_ms < ?3 OR wall_ms > ?4)"
        ))?
        .execute(params![keep, bite, oldest_ms, now_ms.saturating_add(FUTURE_MS)])?;
    Ok(i64::try_from(taken).unwrap_or(i64::MAX) >= *bite)
}

/// Takes the longest recorded rows while more bytes are in use than `bytes_max`. Minutes are worth
/// the most for their size and go last.
fn by_size(connection: &Connection, bytes_max: u64) -> Result<bool> {
    let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX).max(BYTES_MIN);
    let pages = header(connection, "page_count")? - header(connection, "freelist_count")?;
    if pages.saturating_mul(header(connection, "page_size")?) <= bytes_max {
        return Ok(false);
    }
    let seconds = take_oldest(connection, &SECONDS)?;
    let decisions = take_oldest(connection, &DECISIONS)?;
    if seconds < SECONDS.keep && decisions < DECISIONS.keep {
        take_oldest(connection, &MINUTES)?;
    }
    Ok(true)
}

/// Takes the oldest sixty-fourth of `table`, a bite at most; gives how many rows there were, about.
fn take_oldest(connection: &Connection, table: &Table) -> Result<i64> {
    let name = table.name;
    let (first, last): (i64, i64) = connection
        .prepare_cached(&format!(
            "SELECT coalesce((SELECT min(id) FROM {name}), 0),
                    coalesce((SELECT max(id) FROM {name}), -1)"
        ))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows = last - first + 1;
    let taken = (rows / 64).clamp(1, table.bite);
    connection
        .prepare_cached(&format!("DELETE FROM {name} WHERE id < ?1"))?
        .execute([first + taken])?;
    Ok(rows)
}

/// Gives free pages back to the file system, but for some that new records will need.
fn give_back(connection: &Connection) -> Result<bool> {
    if header(connection, "freelist_count")? <= FREE_PAGES {
        return Ok(false);
    }
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({FREED_PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}
