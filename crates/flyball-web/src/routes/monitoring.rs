//! What other programs ask about this one: is it running, is it ready, what are its metrics.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::api::{Problem, ProblemKind};
use crate::api_state::Shared;
use crate::metrics;
use crate::refusals::Refusals;

/// Whether the program is running.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "The program is running", body = String), Refusals))]
pub(crate) async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether every service has been observed.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, description = "Every service has been observed", body = String), Refusals))]
pub(crate) async fn ready(State(state): Shared) -> Result<&'static str, Problem> {
    let views = state.daemon.services();
    match views.iter().find(|view| view.decision.is_none()) {
        None => Ok("ok\n"),
        Some(view) => {
            let detail = format!("\"{}\" has not been observed yet", view.name);
            Err(Problem::new(ProblemKind::Unavailable, detail))
        }
    }
}

/// Metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "monitoring",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String), Refusals))]
pub(crate) async fn metrics(State(state): Shared) -> Result<Response, Problem> {
    let text = metrics::exposition(&*state.daemon, state.clients.followers())
        .map_err(|error| Problem::new(ProblemKind::Broken, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
