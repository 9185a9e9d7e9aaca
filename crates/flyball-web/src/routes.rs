//! The routes, and the layers around them. Every refusal is a [`Problem`], and every response
//! carries the security headers.

mod events;
mod leader;
mod monitoring;
mod overrides;
mod rollouts;
mod services;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flyball_net::Connection;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Problem, ProblemKind};
use crate::api_state::{ApiState, BODY_BYTES_MAX, Shared};
use crate::openapi;

/// Room for a browser's headers with cookies of everything else on the same host.
const HEADER_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;
/// The longest path and query that mean something are a few hundred bytes.
const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Longer than any lane's deadline, so that a slow answer is told apart from a slow request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Every route with everything around it.
pub(crate) fn router(state: Arc<ApiState>) -> Router {
    let (described, mut document) = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(monitoring::healthy))
        .routes(routes!(monitoring::ready))
        .routes(routes!(monitoring::metrics))
        .routes(routes!(leader::leader))
        .routes(routes!(services::services))
        .routes(routes!(services::service))
        .routes(routes!(services::decisions))
        .routes(routes!(services::explain))
        .routes(routes!(services::samples))
        .routes(routes!(overrides::scale))
        .routes(routes!(overrides::wake))
        .routes(routes!(overrides::pause))
        .routes(routes!(overrides::resume))
        .routes(routes!(rollouts::deploy))
        .routes(routes!(rollouts::rollback))
        .routes(routes!(rollouts::pause))
        .routes(routes!(rollouts::resume))
        .routes(routes!(rollouts::reload))
        .routes(routes!(events::events))
        .split_for_parts();
    openapi::require_tokens(&mut document, &state.access);
    let document = serde_json::to_string(&document).unwrap_or_default();
    // Its descriptions are the docs of the types, and JSON has no `None`.
    let document = Bytes::from(document.replace("`None`", "null"));
    let json = [(header::CONTENT_TYPE, "application/json")];
    described
        .route("/api/v1/openapi.json", get(async move || (json, document.clone())))
        .route("/", get(page))
        .route("/assets/{hash}/{name}", get(asset))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&state), leader::check_leader))
        .layer(from_fn_with_state(Arc::clone(&state), check_access))
        .layer(from_fn(limit_size))
        .layer(from_fn(limit_time))
        .layer(from_fn(add_headers))
        .with_state(state)
}

async fn page(State(state): Shared) -> Response {
    state.assets.page()
}

async fn asset(State(state): Shared, uri: Uri, path: Asset) -> Result<Response, Problem> {
    let found = path.ok().and_then(|Path((hash, name))| state.assets.file(&hash, &name));
    found.ok_or_else(|| Problem::unknown_path(&uri))
}

type Asset = Result<Path<(String, String)>, PathRejection>;

async fn unknown_path(uri: Uri) -> Problem {
    Problem::unknown_path(&uri)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::wrong_method(&method, &uri)
}

async fn check_access(State(state): Shared, request: Request, next: Next) -> Response {
    if state.access.knows(request.headers())
        && let Some(connection) = request.extensions().get::<Arc<Connection>>()
    {
        connection.is_known();
    }
    match state.access.check(request.method(), request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The parser's own bounds lie above these and close the connection without a word.
async fn limit_size(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES_MAX {
        let detail = format!("{target} bytes; at most {TARGET_BYTES_MAX} are allowed");
        return Problem::new(ProblemKind::TargetTooLong, detail).into_response();
    }
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        let detail = format!(
            "{} headers with {bytes} bytes; at most {HEADERS_MAX} with {HEADER_BYTES_MAX} bytes are allowed",
            headers.len()
        );
        return Problem::new(ProblemKind::HeadersTooLarge, detail).into_response();
    }
    next.run(request).await
}

async fn limit_time(request: Request, next: Next) -> Response {
    let answer = timeout(REQUEST_LIMIT, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let detail = format!("the request was not complete within {} s", REQUEST_LIMIT.as_secs());
        Problem::new(ProblemKind::SlowRequest, detail).into_response()
    })
}

/// What Plotly.js sets on its elements one by one passes `style-src 'self'`; only the style sheet
/// that it would add is refused, and the page brings that one itself. The `data:` image is its
/// probe of what formats the browser knows.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers: &mut HeaderMap = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
