//! Who is the leader among several flyballs, and what a standby still answers.
//!
//! A standby accepts no manual override, and every refusal names the leader as far as it is known.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_state::Shared;
use crate::problem::Problem;
use crate::refusals::Refusals;

/// Who is the leader, as this flyball knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LeaderStatus)]
pub struct LeaderStatus {
    /// What this one does.
    pub role: Role,
    /// The leader: the address of its dashboard, and its host name, as it publishes them. Null if
    /// there is none, and for a standalone flyball.
    pub leader: Option<String>,
    /// The number of the leader's term, which only grows from one term to the next.
    pub term: Option<i64>,
    /// Since when it has been the leader, by ZooKeeper's clock, in milliseconds since 1970-01-01
    /// UTC.
    pub since_wall_ms: Option<i64>,
    /// Why this may be out of date: ZooKeeper cannot be asked.
    pub trouble: Option<String>,
    /// The time on this one's clock.
    pub now_wall_ms: i64,
}

/// What a flyball does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// There are no others.
    Standalone,
    /// It decides and acts; others are on standby.
    Leader,
    /// It takes over when there is no leader.
    Standby,
}

impl LeaderStatus {
    /// Of the only one.
    pub fn standalone(now_wall_ms: i64) -> Self {
        let (leader, term, since_wall_ms, trouble) = (None, None, None, None);
        Self { role: Role::Standalone, leader, term, since_wall_ms, trouble, now_wall_ms }
    }

    /// The leader in a few words.
    fn who(&self) -> String {
        let leader = self.leader.as_deref();
        leader.map_or_else(
            || "there is no leader now".to_owned(),
            |leader| format!("{leader} is the leader"),
        )
    }
}

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
