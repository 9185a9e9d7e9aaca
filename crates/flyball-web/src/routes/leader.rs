//! What a standby still answers. It accepts no manual override, and every refusal names the leader
//! as far as it is known.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::{LeaderStatus, Problem, Role};
use crate::api_state::Shared;
use crate::refusals::Refusals;

/// Which of several flyballs is the leader.
#[utoipa::path(get, path = "/api/v1/leader", tag = "health",
    responses((status = 200, description = "The leader, as this flyball knows it", body = LeaderStatus), Refusals))]
pub(crate) async fn leader(State(state): Shared) -> Json<LeaderStatus> {
    Json(state.daemon.leader())
}

/// Lets through what a standby can answer: it observes nothing and keeps no history.
pub(crate) async fn check_leader(State(state): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let looks = ["/readyz", "/decisions", "/samples", "/explain"];
    if reads && !looks.iter().any(|end| path.ends_with(end)) {
        return next.run(request).await;
    }
    let leader = state.daemon.leader();
    match leader.role {
        Role::Standalone | Role::Leader => next.run(request).await,
        Role::Standby => {
            let detail = format!("this flyball is on standby: {}", leader.who());
            Problem::not_leader(detail, leader.leader).into_response()
        }
    }
}
