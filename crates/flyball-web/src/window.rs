//! Reads which stretch of time a question is about out of a request's query.
//!
//! Knows no clock. Invariant: each mistake names its field; what is not given gets its default,
//! and what is given twice or is not known is a mistake.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;

use crate::problem::Problem;

/// Decisions and samples answered at once, at most.
const LIMIT_MAX: i64 = 1_000;
const POINTS_MAX: i64 = 5_000;

/// Which decisions: `?before=WALL_MS&limit=N`, the latest 50 without.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) before_wall_ms: i64,
    pub(crate) limit: usize,
}

/// Which samples: `?from=WALL_MS&to=WALL_MS&points=N`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from_wall_ms: i64,
    pub(crate) to_wall_ms: i64,
    pub(crate) points_max: usize,
}

pub(crate) fn before(uri: &Uri) -> Result<Before, Problem> {
    let query = numbers(uri, &["before", "limit"])?;
    Ok(Before {
        before_wall_ms: query.get("before").copied().unwrap_or(i64::MAX),
        limit: within(&query, "limit", 50, LIMIT_MAX)?,
    })
}

/// The moment a question is about: `?at=WALL_MS`; `None` is now.
pub(crate) fn at(uri: &Uri) -> Result<Option<i64>, Problem> {
    Ok(numbers(uri, &["at"])?.get("at").copied())
}

/// The stretch asked for; without `to` it ends at `now_wall_ms`, without `from` it is 15 min long.
pub(crate) fn stretch(uri: &Uri, now_wall_ms: i64) -> Result<Stretch, Problem> {
    let query = numbers(uri, &["from", "to", "points"])?;
    let to = query.get("to").copied().unwrap_or(now_wall_ms.saturating_add(1));
    let from = query.get("from").copied().unwrap_or(to.saturating_sub(900_000));
    if from > to {
        return Err(Problem::field("from", format!("{from} is after the end, {to}")));
    }
    let points_max = within(&query, "points", 600, POINTS_MAX)?;
    Ok(Stretch { from_wall_ms: from, to_wall_ms: to, points_max })
}

/// The fields of a query, all of them whole numbers.
fn numbers(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, i64>, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| Problem::field("query", error.to_string()))?;
    let mut numbers = BTreeMap::new();
    for (name, value) in pairs {
        if !known.contains(&name.as_str()) {
            let detail = format!("\"{name}\" is not one of {}", known.join(", "));
            return Err(Problem::field(&name, detail));
        }
        let number = value
            .parse::<i64>()
            .map_err(|_| Problem::field(&name, format!("\"{value}\" is not a whole number")))?;
        if numbers.insert(name.clone(), number).is_some() {
            return Err(Problem::field(&name, "given twice"));
        }
    }
    Ok(numbers)
}

fn within(
    query: &BTreeMap<String, i64>,
    name: &str,
    default: i64,
    max: i64,
) -> Result<usize, Problem> {
    let value = query.get(name).copied().unwrap_or(default);
    let fits = (1..=max).contains(&value).then_some(value);
    fits.and_then(|value| usize::try_from(value).ok())
        .ok_or_else(|| Problem::field(name, format!("{value} is not within 1..{max}")))
}
