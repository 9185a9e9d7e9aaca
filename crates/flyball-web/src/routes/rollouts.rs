//! Deploys, rollbacks, and the reload of the configuration file. Each answers once the order is
//! accepted; a rollout goes on afterwards and is seen in the service.

use std::sync::Arc;

use axum::Json;

use super::overrides::Wanted;
use super::services::{Name, look_up};
use crate::api::{DeployRequest, Problem, ReloadReport, Service};
use crate::api_state::Shared;
use crate::daemon::RolloutAsk;
use crate::refusals::{OverrideRefusals, Refusals, RolloutRefusals};
use crate::requests::{self, Fields};

/// Replace all replicas by a new generation, with another image or as configured.
#[utoipa::path(post, path = "/api/v1/services/{name}/deploy", tag = "rollout",
    params(("name" = String, Path, description = "The service")),
    request_body = Option<DeployRequest>,
    responses((status = 200, description = "The service after the order", body = Service), Refusals, OverrideRefusals, RolloutRefusals))]
pub(crate) async fn deploy(
    state: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Service>, Problem> {
    order(state, name, wanted, requests::deploy).await
}

/// Go back to the generation that served before.
#[utoipa::path(post, path = "/api/v1/services/{name}/rollback", tag = "rollout",
    params(("name" = String, Path, description = "The service")),
    responses((status = 200, description = "The service after the order", body = Service), Refusals, OverrideRefusals, RolloutRefusals))]
pub(crate) async fn rollback(
    state: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Service>, Problem> {
    order(state, name, wanted, |fields| requests::nothing(fields, RolloutAsk::Rollback)).await
}

/// Replace no further replica for now.
#[utoipa::path(post, path = "/api/v1/services/{name}/rollout/pause", tag = "rollout",
    params(("name" = String, Path, description = "The service")),
    responses((status = 200, description = "The service after the order", body = Service), Refusals, OverrideRefusals, RolloutRefusals))]
pub(crate) async fn pause(
    state: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Service>, Problem> {
    order(state, name, wanted, |fields| requests::nothing(fields, RolloutAsk::Pause)).await
}

/// Go on with a rollout that was paused.
#[utoipa::path(post, path = "/api/v1/services/{name}/rollout/resume", tag = "rollout",
    params(("name" = String, Path, description = "The service")),
    responses((status = 200, description = "The service after the order", body = Service), Refusals, OverrideRefusals, RolloutRefusals))]
pub(crate) async fn resume(
    state: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Service>, Problem> {
    order(state, name, wanted, |fields| requests::nothing(fields, RolloutAsk::Resume)).await
}

async fn order(
    axum::extract::State(state): Shared,
    name: Name,
    wanted: Wanted,
    read: fn(&Fields) -> Result<RolloutAsk, Problem>,
) -> Result<Json<Service>, Problem> {
    let service = look_up(&state, name)?.name;
    let asked = read(&wanted.fields?)?;
    let daemon = Arc::clone(&state.daemon);
    let ask = move || daemon.roll(&service, asked, wanted.by);
    let answer = state.asks.call(ask).await.map_err(Problem::from)?;
    Ok(Json(answer.map_err(Problem::from)?.into()))
}

/// Read the configuration file again and apply what changed. The body is ignored.
#[utoipa::path(post, path = "/api/v1/reload", tag = "configuration",
    responses((status = 200, description = "What was applied and what was not", body = ReloadReport), Refusals, RolloutRefusals))]
pub(crate) async fn reload(
    axum::extract::State(state): Shared,
) -> Result<Json<ReloadReport>, Problem> {
    let daemon = Arc::clone(&state.daemon);
    let answer = state.reloads.call(move || daemon.reload()).await.map_err(Problem::from)?;
    Ok(Json(answer?))
}
