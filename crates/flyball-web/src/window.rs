//! Parses the time range of a query. Each mistake names its field; a field that is unknown or given
//! twice is a mistake.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use flyball_core::record::DecisionFilter;
use utoipa::IntoParams;

use crate::api::Problem;

/// A caller's clock may be ahead of the daemon's by so much; what is later is a mistake, and an
/// empty answer would hide it.
const AHEAD_MS_MAX: i64 = 60_000;

/// Decisions and samples answered at once, at most.
const LIMIT_MAX: i64 = 1_000;
const POINTS_MAX: i64 = 5_000;

/// Which decisions. For the next page, set `before` to the time of the last decision, or follow the
/// `next` link of the `Link` header.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionsQuery {
    /// Made at or after this time, in milliseconds since 1970-01-01 UTC.
    from: Option<i64>,
    /// Made before this time, in milliseconds since 1970-01-01 UTC.
    before: Option<i64>,
    /// At most this many. Default: 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// `moves` leaves out decisions that do not change the count.
    only: Option<Only>,
}

/// Which decisions to return.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Only {
    Moves,
}

/// A point in time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// In milliseconds since 1970-01-01 UTC. Default: now.
    at: Option<i64>,
}

/// Which samples.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SamplesQuery {
    /// From this time on, in milliseconds since 1970-01-01 UTC. Default: 15 min before `to`.
    from: Option<i64>,
    /// Before this time. Default: now.
    to: Option<i64>,
    /// Thinned out to at most this many points. Default: 600.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 5000)]
    points: Option<i64>,
}

/// The stretch of `samples`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from_wall_ms: i64,
    pub(crate) to_wall_ms: i64,
    pub(crate) points_max: usize,
}

/// The decisions asked for, seen at `now_wall_ms`.
pub(crate) fn decisions(uri: &Uri, now_wall_ms: i64) -> Result<DecisionFilter, Problem> {
    let words = words(uri, &["from", "before", "limit", "only"])?;
    let query = DecisionsQuery {
        from: past(&words, "from", now_wall_ms)?,
        before: number(&words, "before")?,
        limit: number(&words, "limit")?,
        only: only(&words)?,
    };
    Ok(DecisionFilter {
        from_wall_ms: query.from.unwrap_or(i64::MIN),
        before_wall_ms: query.before.unwrap_or(i64::MAX),
        limit: within("limit", query.limit.unwrap_or(50), LIMIT_MAX)?,
        moves_only: matches!(query.only, Some(Only::Moves)),
    })
}

/// The point in time `?at=WALL_MS`; `None` is now.
pub(crate) fn at(uri: &Uri, now_wall_ms: i64) -> Result<Option<i64>, Problem> {
    let query = ExplainQuery { at: past(&words(uri, &["at"])?, "at", now_wall_ms)? };
    Ok(query.at)
}

/// The stretch asked for; without `to` it ends at `now_wall_ms`, without `from` it is 15 min long.
pub(crate) fn stretch(uri: &Uri, now_wall_ms: i64) -> Result<Stretch, Problem> {
    let words = words(uri, &["from", "to", "points"])?;
    let query = SamplesQuery {
        from: past(&words, "from", now_wall_ms)?,
        to: number(&words, "to")?,
        points: number(&words, "points")?,
    };
    let to = query.to.unwrap_or(now_wall_ms.saturating_add(1));
    let from = query.from.unwrap_or(to.saturating_sub(900_000));
    if from > to {
        return Err(Problem::field("from", format!("{from} is after \"to\", {to}")));
    }
    let points_max = within("points", query.points.unwrap_or(600), POINTS_MAX)?;
    Ok(Stretch { from_wall_ms: from, to_wall_ms: to, points_max })
}

/// The fields of a query, each of them known and given once.
pub(crate) fn words(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| Problem::field("query", error.to_string()))?;
    let mut words = BTreeMap::new();
    for (name, value) in pairs {
        if !known.contains(&name.as_str()) {
            let detail = format!("\"{name}\" is not one of {}", known.join(", "));
            return Err(Problem::field(&name, detail));
        }
        if words.insert(name.clone(), value).is_some() {
            return Err(Problem::field(&name, "given twice"));
        }
    }
    Ok(words)
}

fn number(words: &BTreeMap<String, String>, name: &str) -> Result<Option<i64>, Problem> {
    let wrong = |value| Problem::field(name, format!("\"{value}\" is not a whole number"));
    words.get(name).map(|value| value.parse().map_err(|_| wrong(value))).transpose()
}

/// A time that has passed.
fn past(
    words: &BTreeMap<String, String>,
    name: &str,
    now_wall_ms: i64,
) -> Result<Option<i64>, Problem> {
    match number(words, name)? {
        Some(at) if at > now_wall_ms.saturating_add(AHEAD_MS_MAX) => {
            let detail = format!("{at} is in the future; it is now {now_wall_ms}");
            Err(Problem::field(name, detail))
        }
        passed => Ok(passed),
    }
}

fn only(words: &BTreeMap<String, String>) -> Result<Option<Only>, Problem> {
    match words.get("only").map(String::as_str) {
        None => Ok(None),
        Some("moves") => Ok(Some(Only::Moves)),
        Some(other) => Err(Problem::field("only", format!("\"{other}\" is not \"moves\""))),
    }
}

fn within<T: TryFrom<i64>>(name: &str, value: i64, max: i64) -> Result<T, Problem> {
    let fits = (1..=max).contains(&value).then_some(value);
    fits.and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| Problem::field(name, format!("{value} is not within 1..{max}")))
}
