//! Records as rows, and the samples of a minute as one row. A value that is missing or not finite
//! is NULL, never 0, and rolling a minute up twice gives the same row.

use std::collections::BTreeMap;

use flyball_core::decision::Decision;
use flyball_core::record::Sample;
use rusqlite::{Connection, OptionalExtension, Result, params};

/// Milliseconds that one rolled-up sample stands for.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// The figures of a group of samples as one: means, and maxima where the worst counts.
pub(crate) const GROUPED: &str = "avg(desired), avg(ready), avg(starting), avg(draining),
    avg(mean_cpu), avg(arrivals_per_s), max(waiting), avg(in_flight), avg(p50_ms), max(p99_ms),
    max(errors)";

/// The columns behind [`GROUPED`].
pub(crate) const FIGURES: &str = "desired, ready, starting, draining, mean_cpu, arrivals_per_s,
    waiting, in_flight, p50_ms, p99_ms, errors";

/// The number that stands for the service `name`, from `known` or from the file.
pub(crate) fn service_id(
    connection: &Connection,
    known: &mut BTreeMap<String, i64>,
    name: &str,
) -> Result<i64> {
    if let Some(id) = known.get(name) {
        return Ok(*id);
    }
    let id = match find_service(connection, name)? {
        Some(id) => id,
        None => {
            connection.execute("INSERT INTO service (name) VALUES (?1)", [name])?;
            connection.last_insert_rowid()
        }
    };
    known.insert(name.to_owned(), id);
    Ok(id)
}

/// The number that stands for the service `name`, if it was ever recorded.
pub(crate) fn find_service(connection: &Connection, name: &str) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM service WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(crate) fn insert_sample(connection: &Connection, service: i64, sample: &Sample) -> Result<()> {
    let finite = |figure: Option<f64>| figure.filter(|value| value.is_finite());
    connection
        .prepare_cached(&format!(
            "INSERT INTO sample_second (service, wall_ms, {FIGURES})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
        ))?
        .execute(params![
            service,
            sample.wall_ms,
            sample.desired,
            sample.ready,
            sample.starting,
            sample.draining,
            finite(sample.mean_cpu),
            finite(sample.arrivals_per_s),
            sample.waiting,
            sample.in_flight,
            finite(sample.p50_ms),
            finite(sample.p99_ms),
            sample.errors.map(|errors| i64::try_from(errors).unwrap_or(i64::MAX)),
        ])
        .map(drop)
}

pub(crate) fn insert_decision(
    connection: &Connection,
    service: i64,
    decision: &Decision,
    json: &str,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO decision (service, wall_ms, desired, committed, steps, json)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            service,
            decision.wall_ms,
            decision.desired,
            decision.signals.committed(),
            i64::try_from(decision.plan.len()).unwrap_or(i64::MAX),
            json,
        ])
        .map(drop)
}

/// Makes one row of the samples of `service` in the minute that begins at `minute_ms`; none if
/// there are none.
pub(crate) fn roll_up(connection: &Connection, service: i64, minute_ms: i64) -> Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT OR REPLACE INTO sample_minute (service, wall_ms, {FIGURES})
             SELECT service, ?2, {GROUPED} FROM sample_second
             WHERE service = ?1 AND wall_ms >= ?2 AND wall_ms < ?2 + ?3 GROUP BY service"
        ))?
        .execute(params![service, minute_ms, MINUTE_MS])
        .map(drop)
}

/// Rolls up what a crash left: for each service, its last rolled-up minute and all since.
pub(crate) fn roll_up_rest(connection: &Connection) -> Result<()> {
    let services: Vec<i64> = connection
        .prepare("SELECT id FROM service")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_>>()?;
    let mut statement = connection.prepare(&format!(
        "INSERT OR REPLACE INTO sample_minute (service, wall_ms, {FIGURES})
         SELECT service, wall_ms - wall_ms % ?2, {GROUPED} FROM sample_second
         WHERE service = ?1 AND wall_ms >=
             (SELECT coalesce(max(wall_ms), 0) FROM sample_minute WHERE service = ?1)
         GROUP BY service, wall_ms / ?2"
    ))?;
    for service in services {
        statement.execute(params![service, MINUTE_MS])?;
    }
    Ok(())
}
