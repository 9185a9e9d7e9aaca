//! Wishes made by hand: scale, pause, resume.
//!
//! Decides how long a wish lasts that does not say so. Invariant: a wish is taken whole or refused
//! with the field that is wrong.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode};

use crate::asks::{self, DEFAULT_FOR_MS, Fields, ParseDuration, PauseWish, ScaleWish, Wish};
use crate::daemon::{AskError, ManualAsk};
use crate::door::{BODY_BYTES_MAX, Shared};
use crate::problem::{Kind, Problem};
use crate::reads::{Name, Told, look_up};
use crate::refusals::{Refusals, WishRefusals};
use crate::view::RuleName;

/// Keep a count, or change it by some, for a time.
#[utoipa::path(post, path = "/api/v1/services/{name}/scale", tag = "by hand",
    params(("name" = String, Path, description = "The service")),
    request_body = ScaleWish,
    responses((status = 200, description = "The service as it is then", body = Told), Refusals, WishRefusals))]
pub(crate) async fn scale(door: Shared, name: Name, wanted: Wanted) -> Result<Json<Told>, Problem> {
    carry_over(door, name, wanted, asks::scale).await
}

/// Look at the service, and at whoever advises it, at once. It carries no data: whoever sends it may
/// say anything.
#[utoipa::path(post, path = "/api/v1/services/{name}/wake", tag = "by hand",
    params(("name" = String, Path, description = "The service")),
    responses((status = 202, description = "It will be looked at"), Refusals))]
pub(crate) async fn wake(
    axum::extract::State(door): Shared,
    name: Name,
) -> Result<StatusCode, Problem> {
    let name = look_up(&door, name)?.name;
    door.daemon.wake(&name);
    Ok(StatusCode::ACCEPTED)
}

/// Keep the count as it is for a time.
#[utoipa::path(post, path = "/api/v1/services/{name}/pause", tag = "by hand",
    params(("name" = String, Path, description = "The service")),
    request_body = Option<PauseWish>,
    responses((status = 200, description = "The service as it is then", body = Told), Refusals, WishRefusals))]
pub(crate) async fn pause(door: Shared, name: Name, wanted: Wanted) -> Result<Json<Told>, Problem> {
    carry_over(door, name, wanted, asks::pause).await
}

/// Let the policy decide again.
#[utoipa::path(post, path = "/api/v1/services/{name}/resume", tag = "by hand",
    params(("name" = String, Path, description = "The service")),
    responses((status = 200, description = "The service as it is then", body = Told), Refusals, WishRefusals))]
pub(crate) async fn resume(
    door: Shared,
    name: Name,
    wanted: Wanted,
) -> Result<Json<Told>, Problem> {
    carry_over(door, name, wanted, asks::resume).await
}

async fn carry_over(
    axum::extract::State(door): Shared,
    name: Name,
    wanted: Wanted,
    read: fn(&Fields, ParseDuration) -> Result<Wish, Problem>,
) -> Result<Json<Told>, Problem> {
    let view = look_up(&door, name)?;
    let wish = read(&wanted.fields?, door.parse_duration_ms)?;
    let lasting = match wish.ask {
        ManualAsk::Resume => None,
        ManualAsk::By(_) | ManualAsk::To(_) if view.policy.rule == RuleName::External => {
            wish.for_ms
        }
        ManualAsk::By(_) | ManualAsk::To(_) | ManualAsk::Pause => {
            wish.for_ms.or(Some(DEFAULT_FOR_MS))
        }
    };
    if let Some(event) = &wish.event
        && !door.once.take(&view.name, event)
    {
        return Ok(Json(view.into()));
    }
    let (daemon, service) = (Arc::clone(&door.daemon), view.name.clone());
    let ask = move || daemon.ask(&service, wish.ask, lasting, wanted.by);
    let answer = door.asks.call(ask).await.map_err(Problem::from);
    let answer = answer.and_then(|done| done.map_err(|error| refusal(error, wish.ask)));
    if let (Err(_), Some(event)) = (&answer, &wish.event) {
        door.once.forget(&view.name, event);
    }
    answer.map(|view| Json(view.into()))
}

/// Why a wish was refused, with the field that asked for too much.
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

/// The body of a wish, and the door it came through.
pub(crate) struct Wanted {
    fields: Result<Fields, Problem>,
    by: &'static str,
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
            let detail = format!("the body may have {BODY_BYTES_MAX} bytes at most");
            Problem::new(Kind::BodyTooLarge, detail)
        }
        _ => Problem::new(Kind::MalformedBody, rejection.body_text()),
    }
}
