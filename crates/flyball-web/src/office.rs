//! Whether this flyball acts, where one of several does, and what it may still be asked where not.
//!
//! Decides which questions the one that stands by answers. Knows no ZooKeeper. Invariant: it takes no
//! wish, and every refusal names whoever acts, as far as that is known.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::door::Shared;
use crate::problem::Problem;
use crate::refusals::Refusals;

/// Which of several flyballs acts, as this one knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Office)]
pub struct OfficeView {
    /// What this one does.
    pub role: Role,
    /// Who acts, as it tells the others: the address of its page and its machine. Null if nobody
    /// does, or none of several.
    pub leader: Option<String>,
    /// The number of that one's term, which only grows from one term to the next.
    pub term: Option<i64>,
    /// Since when that one acts, by ZooKeeper's clock, in milliseconds since 1970-01-01 UTC.
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
    /// It is the only one.
    Alone,
    /// It acts, and others stand by.
    Acts,
    /// Another one acts, or nobody, and this one would.
    StandsBy,
}

impl OfficeView {
    /// Of the only one.
    pub fn alone(now_wall_ms: i64) -> Self {
        let (leader, term, since_wall_ms, trouble) = (None, None, None, None);
        Self { role: Role::Alone, leader, term, since_wall_ms, trouble, now_wall_ms }
    }

    /// Who acts, in a few words.
    fn who(&self) -> String {
        let leader = self.leader.as_deref();
        leader.map_or_else(|| "nobody acts now".to_owned(), |leader| format!("{leader} acts"))
    }
}

/// Which of several flyballs acts.
#[utoipa::path(get, path = "/api/v1/office", tag = "health",
    responses((status = 200, description = "Who acts, as this one knows it", body = OfficeView), Refusals))]
pub(crate) async fn office(State(door): Shared) -> Json<OfficeView> {
    Json(door.daemon.office())
}

/// Lets through what the one that stands by can answer: it looks at nothing and keeps no history.
pub(crate) async fn check_office(State(door): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let looks = ["/readyz", "/decisions", "/samples", "/explain"];
    if reads && !looks.iter().any(|end| path.ends_with(end)) {
        return next.run(request).await;
    }
    let office = door.daemon.office();
    match office.role {
        Role::Alone | Role::Acts => next.run(request).await,
        Role::StandsBy => {
            let detail = format!("this flyball stands by: {}", office.who());
            Problem::stands_by(detail, office.leader).into_response()
        }
    }
}
