//! Manual overrides: scale, pause, resume. An override is accepted as a whole, or refused with the
//! name of the invalid field.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode};

use super::services::{Name, look_up};
use crate::api::{PauseRequest, Problem, ProblemKind, RuleName, ScaleRequest, Service};
use crate::api_state::{BODY_BYTES_MAX, Shared};
use crate::daemon::{AskError, ManualAsk};
use crate::refusals::{OverrideRefusals, Refusals};
use crate::requests::{self, DEFAULT_FOR_MS, Fields, OverrideRequest, ParseDuration};

/// Set the count, or change it by a number, for a limited time.
#[utoipa::path(post, path = "/api/v1/services/{name}/scale", tag = "manual override",
    params(("name" = String, Path, description = "The service")),
    request_body = ScaleRequest,
    responses((status = 200, description = "The service after the change", body = Service), Refusals, OverrideRefusals))]
pub(crate) async fn scale(
    state: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Service>, Problem> {
    carry_over(state, name, wanted, requests::scale).await
}

/// Observe the service, and the program that advises it, at once. The body is ignored.
#[utoipa::path(post, path = "/api/v1/services/{name}/wake", tag = "manual override",
    params(("name" = String, Path, description = "The service")),
    responses((status = 202, description = "It will be observed at once"), Refusals))]
pub(crate) async fn wake(
    axum::extract::State(state): Shared,
    name: Name,
) -> Result<StatusCode, Problem> {
    let name = look_up(&state, name)?.name;
    state.daemon.wake(&name);
    Ok(StatusCode::ACCEPTED)
}

/// Keep the count as it is for a limited time.
#[utoipa::path(post, path = "/api/v1/services/{name}/pause", tag = "manual override",
    params(("name" = String, Path, description = "The service")),
    request_body = Option<PauseRequest>,
    responses((status = 200, description = "The service after the change", body = Service), Refusals, OverrideRefusals))]
pub(crate) async fn pause(
    state: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Service>, Problem> {
    carry_over(state, name, wanted, requests::pause).await
}

/// Let the policy decide again.
#[utoipa::path(post, path = "/api/v1/services/{name}/resume", tag = "manual override",
    params(("name" = String, Path, description = "The service")),
    responses((status = 200, description = "The service after the change", body = Service), Refusals, OverrideRefusals))]
pub(crate) async fn resume(
    state: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Service>, Problem> {
    carry_over(state, name, wanted, requests::resume).await
}

async fn carry_over(
    axum::extract::State(state): Shared,
    name: Name,
    wanted: Wanted,
    read: fn(&Fields, ParseDuration) -> Result<OverrideRequest, Problem>,
) -> Result<Json<Service>, Problem> {
    let view = look_up(&state, name)?;
    let asked = read(&wanted.fields?, state.parse_duration_ms)?;
    let lasting = match asked.ask {
        ManualAsk::Resume => None,
        ManualAsk::By(_) | ManualAsk::To(_) if view.policy.rule == RuleName::External => {
            asked.for_ms
        }
        ManualAsk::By(_) | ManualAsk::To(_) | ManualAsk::Pause => {
            asked.for_ms.or(Some(DEFAULT_FOR_MS))
        }
    };
    if let Some(event) = &asked.event
        && !state.once.take(&view.name, event)
    {
        return Ok(Json(view.into()));
    }
    let (daemon, service) = (Arc::clone(&state.daemon), view.name.clone());
    let ask = move || daemon.ask(&service, asked.ask, lasting, wanted.by);
    let answer = state.asks.call(ask).await.map_err(Problem::from);
    let answer = answer.and_then(|done| done.map_err(|error| refusal(error, asked.ask)));
    if let (Err(_), Some(event)) = (&answer, &asked.event) {
        state.once.forget(&view.name, event);
    }
    answer.map(|view| Json(view.into()))
}

/// Why an override was refused, with the field that asked for too much.
fn refusal(error: AskError, ask: ManualAsk) -> Problem {
    let field = match (&error, ask) {
        (AskError::OutsideBounds { .. }, ManualAsk::By(_)) => Some("by"),
        (AskError::OutsideBounds { .. }, ManualAsk::To(_)) => Some("to"),
        _ => None,
    };
    let problem = Problem::from(error);
    match field {
        Some(field) => problem.in_field(field),
        None => problem,
    }
}

/// The body of an override, and where it came from.
pub(crate) struct Wanted {
    pub(super) fields: Result<Fields, Problem>,
    pub(super) by: &'static str,
}

impl<S: Send + Sync> FromRequest<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let headers = request.headers().clone();
        let by = match headers.get("flyball-client").map(HeaderValue::as_bytes) {
            Some(b"dashboard") => "dashboard",
            Some(b"cli") => "cli",
            _ => "api",
        };
        let fields = match Bytes::from_request(request, state).await {
            Ok(body) => Fields::read(&headers, &body),
            Err(rejection) => Err(unreadable(&rejection)),
        };
        Ok(Self { fields, by })
    }
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the body may have at most {BODY_BYTES_MAX} bytes");
            Problem::new(ProblemKind::BodyTooLarge, detail)
        }
        _ => Problem::new(ProblemKind::MalformedBody, rejection.body_text()),
    }
}
