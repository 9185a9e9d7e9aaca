//! Queries about services: state, decisions, samples. Queries that may wait for a disk run in a
//! [`crate::blocking_pool::BlockingPool`]. What is not known is a problem, never an empty answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri, header};
use flyball_core::decision::Decision;
use flyball_core::record::{DecisionFilter, Sample};

use crate::api::{Explained, Problem, ProblemKind, Service, ServiceView};
use crate::api_state::{ApiState, Shared};
use crate::daemon::Fault;
use crate::refusals::Refusals;
use crate::window::{self, DecisionsQuery, ExplainQuery, SamplesQuery};

/// The name in the path.
pub(crate) type Name = Result<Path<String>, PathRejection>;

/// Every service as it is now.
#[utoipa::path(get, path = "/api/v1/services", tag = "services",
    responses((status = 200, description = "Sorted by name", body = Vec<Service>), Refusals))]
pub(crate) async fn services(State(state): Shared) -> Json<Vec<Service>> {
    Json(state.daemon.services().into_iter().map(Service::from).collect())
}

/// One service as it is now.
#[utoipa::path(get, path = "/api/v1/services/{name}", tag = "services",
    params(("name" = String, Path, description = "The service")),
    responses((status = 200, description = "The service", body = Service), Refusals))]
pub(crate) async fn service(State(state): Shared, name: Name) -> Result<Json<Service>, Problem> {
    Ok(Json(look_up(&state, name)?.into()))
}

/// Decisions that changed something, and one other decision a minute, newest first.
#[utoipa::path(get, path = "/api/v1/services/{name}/decisions", tag = "history",
    params(("name" = String, Path, description = "The service"), DecisionsQuery),
    responses((status = 200, description = "A page of decisions, newest first", body = Vec<Explained>,
               headers(("Link" = String, description = "The next page, if there may be one"))),
              Refusals))]
pub(crate) async fn decisions(
    State(state): Shared,
    name: Name,
    uri: Uri,
) -> Result<(HeaderMap, Json<Vec<Explained>>), Problem> {
    let view = look_up(&state, name)?;
    let (name, filter) = (view.name, window::decisions(&uri, view.now_wall_ms)?);
    let daemon = Arc::clone(&state.daemon);
    let (found, link) = state
        .reads
        .call(move || {
            let found = daemon.decisions(&name, &filter)?;
            let link = next_page(uri.path(), &filter, &found);
            Ok::<_, Fault>((found.into_iter().map(Explained::from).collect(), link))
        })
        .await??;
    let next = link.and_then(|link| link.parse().ok());
    Ok((next.map(|link| (header::LINK, link)).into_iter().collect(), Json(found)))
}

/// Where to ask for what is older, if this page is full.
fn next_page(path: &str, filter: &DecisionFilter, found: &[Decision]) -> Option<String> {
    let DecisionFilter { from_wall_ms, limit, moves_only, .. } = *filter;
    let oldest = found.last().filter(|_| u32::try_from(found.len()) == Ok(limit))?.wall_ms;
    let from =
        if from_wall_ms == i64::MIN { String::new() } else { format!("&from={from_wall_ms}") };
    let only = if moves_only { "&only=moves" } else { "" };
    Some(format!("<{path}?before={oldest}&limit={limit}{from}{only}>; rel=\"next\""))
}

/// Why this count: the latest decision, or the one in force at a time.
#[utoipa::path(get, path = "/api/v1/services/{name}/explain", tag = "history",
    params(("name" = String, Path, description = "The service"), ExplainQuery),
    responses((status = 200, description = "The decision with its explanation", body = Explained), Refusals))]
pub(crate) async fn explain(
    State(state): Shared,
    name: Name,
    uri: Uri,
) -> Result<Json<Explained>, Problem> {
    let view = look_up(&state, name)?;
    let none = |when: String| {
        Problem::new(ProblemKind::NoDecision, format!("\"{}\" has no decision {when}", view.name))
    };
    let Some(at) = window::at(&uri, view.now_wall_ms)? else {
        return view.decision.map(|d| Json(d.into())).ok_or_else(|| none("yet".to_owned()));
    };
    let (daemon, name) = (Arc::clone(&state.daemon), view.name.clone());
    let found = state.reads.call(move || daemon.decision_at(&name, at)).await??;
    let missing = || none("at or before that time".to_owned()).in_field("at");
    found.map(|d| Json(d.into())).ok_or_else(missing)
}

/// Measurements over time, oldest first, thinned out to what a chart can show.
#[utoipa::path(get, path = "/api/v1/services/{name}/samples", tag = "history",
    params(("name" = String, Path, description = "The service"), SamplesQuery),
    responses((status = 200, description = "Oldest first", body = Vec<Sample>), Refusals))]
pub(crate) async fn samples(
    State(state): Shared,
    name: Name,
    uri: Uri,
) -> Result<Json<Vec<Sample>>, Problem> {
    let view = look_up(&state, name)?;
    let stretch = window::stretch(&uri, view.now_wall_ms)?;
    let daemon = Arc::clone(&state.daemon);
    let read = move || {
        daemon.samples(&view.name, stretch.from_wall_ms, stretch.to_wall_ms, stretch.points_max)
    };
    Ok(Json(state.reads.call(read).await??))
}

pub(crate) fn look_up(state: &ApiState, name: Name) -> Result<ServiceView, Problem> {
    let unknown = |name: &str| Problem::unknown_service(name).in_field("name");
    let Path(name) = name.map_err(|rejection| unknown(&rejection.body_text()))?;
    state.daemon.service(&name).ok_or_else(|| unknown(&name))
}
