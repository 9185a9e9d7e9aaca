//! Which path leads to which question, and how its answer is written.
//!
//! Decides nothing about services. Invariant: a question that may wait goes through a [`Lane`];
//! every refusal is a [`Problem`].

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tokio::time::timeout;

use flyball_core::decision::Decision;
use flyball_core::record::Sample;

use crate::access::Access;
use crate::asks::{self, DEFAULT_FOR_MS, Fields, ParseDuration, Wish};
use crate::assets::Assets;
use crate::daemon::{Daemon, ManualAsk};
use crate::events::Events;
use crate::lane::Lane;
use crate::problem::{Kind, Problem};
use crate::view::{Notice, RuleName, ServiceView};
use crate::window;
use crate::words::{Explained, notices, summary};

/// A wish by hand is a few dozen bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Longer than any lane's deadline, so that a slow answer is told apart from a slow request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// What all routes share.
pub(crate) struct Door {
    pub(crate) daemon: Arc<dyn Daemon>,
    pub(crate) access: Access,
    pub(crate) parse_duration_ms: ParseDuration,
    pub(crate) assets: Assets,
    /// For questions that read the journal.
    pub(crate) reads: Lane,
    /// For wishes, so that a journal that hangs does not keep anybody from scaling by hand.
    pub(crate) asks: Lane,
    /// Events that have been acted on.
    pub(crate) events: Events,
}

type Shared = State<Arc<Door>>;
type Name = Result<Path<String>, PathRejection>;

/// Every route with everything around it.
pub(crate) fn router(door: Arc<Door>) -> Router {
    let service = Router::new()
        .route("/", get(service))
        .route("/decisions", get(decisions))
        .route("/explain", get(explain))
        .route("/samples", get(samples))
        .route("/scale", post(scale))
        .route("/wake", post(wake))
        .route("/pause", post(pause))
        .route("/resume", post(resume));
    Router::new()
        .route("/", get(page))
        .route("/assets/{hash}/{name}", get(asset))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/api/v1/services", get(services))
        .nest("/api/v1/services/{name}", service)
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&door), check_access))
        .layer(from_fn(limit_time))
        .layer(from_fn(add_headers))
        .with_state(door)
}

/// A service with the sentences about it.
#[derive(Serialize)]
struct Told {
    summary: String,
    why: Option<String>,
    #[serde(flatten)]
    view: ServiceView,
}

impl From<ServiceView> for Told {
    fn from(mut view: ServiceView) -> Self {
        let all: Vec<Notice> = notices(&view);
        view.notices = all;
        let why = view.decision.as_ref().map(Decision::reason);
        Self { summary: summary(view.bounds, view.decision.as_ref()), why, view }
    }
}

async fn page(State(door): Shared) -> Response {
    door.assets.page()
}

async fn asset(State(door): Shared, uri: Uri, path: Asset) -> Result<Response, Problem> {
    let found = path.ok().and_then(|Path((hash, name))| door.assets.file(&hash, &name));
    found.ok_or_else(|| Problem::unknown_path(&uri))
}

type Asset = Result<Path<(String, String)>, PathRejection>;

async fn healthy() -> &'static str {
    "ok\n"
}

/// Ready once every service was looked at.
async fn ready(State(door): Shared) -> Result<&'static str, Problem> {
    let views = door.daemon.services();
    match views.iter().find(|view| view.decision.is_none()) {
        None => Ok("ok\n"),
        Some(view) => {
            let detail = format!("\"{}\" was not looked at yet", view.name);
            Err(Problem::new(Kind::Unavailable, detail))
        }
    }
}

async fn services(State(door): Shared) -> Json<Vec<Told>> {
    Json(door.daemon.services().into_iter().map(Told::from).collect())
}

async fn service(State(door): Shared, name: Name) -> Result<Json<Told>, Problem> {
    Ok(Json(look_up(&door, name)?.into()))
}

async fn decisions(
    State(door): Shared,
    name: Name,
    uri: Uri,
) -> Result<Json<Vec<Explained>>, Problem> {
    let name = look_up(&door, name)?.name;
    let wanted = window::before(&uri)?;
    let daemon = Arc::clone(&door.daemon);
    let read = move || daemon.decisions(&name, wanted.before_wall_ms, wanted.limit);
    let found = door.reads.call(read).await??;
    Ok(Json(found.into_iter().map(Explained::from).collect()))
}

async fn explain(State(door): Shared, name: Name, uri: Uri) -> Result<Json<Explained>, Problem> {
    let view = look_up(&door, name)?;
    let none = |when: String| {
        Problem::new(Kind::NoDecision, format!("\"{}\" has no decision {when}", view.name))
    };
    let Some(at) = window::at(&uri)? else {
        return view.decision.map(|d| Json(d.into())).ok_or_else(|| none("yet".to_owned()));
    };
    let (daemon, name) = (Arc::clone(&door.daemon), view.name.clone());
    let found = door.reads.call(move || daemon.decision_at(&name, at)).await??;
    let missing = || none("at or before that time".to_owned()).in_field("at");
    found.map(|d| Json(d.into())).ok_or_else(missing)
}

async fn samples(State(door): Shared, name: Name, uri: Uri) -> Result<Json<Vec<Sample>>, Problem> {
    let view = look_up(&door, name)?;
    let stretch = window::stretch(&uri, view.now_wall_ms)?;
    let daemon = Arc::clone(&door.daemon);
    let read = move || {
        daemon.samples(&view.name, stretch.from_wall_ms, stretch.to_wall_ms, stretch.points_max)
    };
    Ok(Json(door.reads.call(read).await??))
}

async fn scale(door: Shared, name: Name, wanted: Wanted) -> Result<Json<Told>, Problem> {
    carry_over(door, name, wanted, asks::scale).await
}

/// A wake-up carries no data: whoever sends one may say anything.
async fn wake(State(door): Shared, name: Name) -> Result<StatusCode, Problem> {
    let name = look_up(&door, name)?.name;
    door.daemon.wake(&name);
    Ok(StatusCode::ACCEPTED)
}

async fn pause(door: Shared, name: Name, wanted: Wanted) -> Result<Json<Told>, Problem> {
    carry_over(door, name, wanted, asks::pause).await
}

async fn resume(door: Shared, name: Name, wanted: Wanted) -> Result<Json<Told>, Problem> {
    carry_over(door, name, wanted, asks::resume).await
}

async fn carry_over(
    State(door): Shared,
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
        && !door.events.take(&view.name, event)
    {
        return Ok(Json(view.into()));
    }
    let (daemon, service) = (Arc::clone(&door.daemon), view.name.clone());
    let ask = move || daemon.ask(&service, wish.ask, lasting, wanted.by);
    let done = door.asks.call(ask).await.map_err(Problem::from).and_then(|done| Ok(done?));
    if let (Err(_), Some(event)) = (&done, &wish.event) {
        door.events.forget(&view.name, event);
    }
    done.map(|view| Json(view.into()))
}

/// The body of a wish, and the door it came through.
struct Wanted {
    fields: Result<Fields, Problem>,
    by: &'static str,
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for Wanted {
    type Rejection = std::convert::Infallible;

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

fn look_up(door: &Door, name: Name) -> Result<ServiceView, Problem> {
    let Path(name) = name.map_err(|rejection| Problem::unknown_service(&rejection.body_text()))?;
    door.daemon.service(&name).ok_or_else(|| Problem::unknown_service(&name).in_field("name"))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::unknown_path(&uri)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::wrong_method(&method, &uri)
}

async fn check_access(State(door): Shared, request: Request, next: Next) -> Response {
    match door.access.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn limit_time(request: Request, next: Next) -> Response {
    let answer = timeout(REQUEST_LIMIT, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let detail = format!("it was not complete within {} s", REQUEST_LIMIT.as_secs());
        Problem::new(Kind::SlowRequest, detail).into_response()
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
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
