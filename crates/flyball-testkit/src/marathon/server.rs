//! HTTP, and what comes before every answer: simulated faults, elections, credentials. `/lab`
//! always answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use crate::marathon::api::Asked;
use crate::marathon::world::World;

/// Between two signs of life on an idle stream of events.
const BLANK: Duration = Duration::from_secs(10);

type Body = BoxBody<Bytes, Infallible>;

/// A world that several addresses show.
#[derive(Clone)]
pub(crate) struct Shared {
    world: Arc<Mutex<World>>,
    pub(crate) places: Arc<Vec<SocketAddr>>,
}

impl Shared {
    pub(crate) fn new(world: World, places: Vec<SocketAddr>) -> Self {
        Self { world: Arc::new(Mutex::new(world)), places: Arc::new(places) }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one of the addresses until aborted.
pub(crate) async fn serve(listener: TcpListener, index: usize, shared: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, index, shared.clone()));
            // A caller may go at any time.
            let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    index: usize,
    shared: Shared,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let knobs = shared.world().knobs.clone();
    let leader = shared.places[knobs.leader.min(shared.places.len() - 1)];
    if path != "/lab" {
        sleep(Duration::from_millis(knobs.answer_ms)).await;
        let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let known = knobs.authorization.as_deref().is_none_or(|wanted| shown == Some(wanted));
        let status = match knobs.status {
            _ if knobs.electing => Some(502),
            Some(status) => Some(status),
            None => (!known).then_some(401),
        };
        if let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) {
            return Ok(whole(
                status,
                &json!({ "message": "Could not determine the current leader" }),
            ));
        }
    }
    if path == "/v2/events" {
        return Ok(if knobs.mute {
            whole(StatusCode::SERVICE_UNAVAILABLE, &Value::Null)
        } else if index == knobs.leader {
            events(&shared, request.uri().query().unwrap_or_default())
        } else {
            led_to(leader, &path)
        });
    }
    let (method, query) = (request.method().clone(), request.uri().query().map(str::to_owned));
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (query, at) = (query.unwrap_or_default(), shared.places[index].to_string());
    let (status, value) = shared.world().answer(&Asked { method, path, query, body, at });
    let mut response = whole(status, &value);
    let headers = response.headers_mut();
    if let Ok(name) = format!("http://{leader}").parse() {
        headers.insert("X-Marathon-Leader", name);
    }
    if let Some(id) = value["deploymentId"].as_str().and_then(|id| id.parse().ok()) {
        headers.insert("Marathon-Deployment-Id", id);
    }
    Ok(response)
}

fn led_to(leader: SocketAddr, path: &str) -> Response<Body> {
    let mut response = whole(StatusCode::FOUND, &Value::Null);
    if let Ok(place) = format!("http://{leader}{path}").parse() {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

fn whole(status: StatusCode, value: &Value) -> Response<Body> {
    let text = if value.is_null() { String::new() } else { value.to_string() };
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    *response.status_mut() = status;
    if let Ok(kind) = "application/json".parse() {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

/// Events of the types that were asked for.
fn events(shared: &Shared, query: &str) -> Response<Body> {
    let wanted: Vec<String> = query
        .split('&')
        .filter_map(|part| Some(part.strip_prefix("event_type=")?.to_owned()))
        .collect();
    let received = shared.world().events.subscribe();
    let first = Some("event: event_stream_attached\r\ndata: {}\r\n\r\n".to_owned());
    let body =
        stream::unfold((received, wanted, first), |(mut received, wanted, first)| async move {
            if let Some(text) = first {
                return Some((Ok(Frame::data(Bytes::from(text))), (received, wanted, None)));
            }
            loop {
                let text = match timeout(BLANK, received.recv()).await {
                    Err(_) => "\r\n".to_owned(),
                    Ok(Ok(Some((kind, event)))) => {
                        if !wanted.is_empty() && wanted.iter().all(|wanted| wanted != kind) {
                            continue;
                        }
                        format!("event: {kind}\r\ndata: {event}\r\n\r\n")
                    }
                    // Slow readers are dropped.
                    Ok(Ok(None) | Err(RecvError::Lagged(_) | RecvError::Closed)) => return None,
                };
                return Some((Ok(Frame::data(Bytes::from(text))), (received, wanted, None)));
            }
        });
    let mut response = Response::new(StreamBody::new(Box::pin(body) as Events).boxed());
    if let Ok(kind) = "text/event-stream".parse() {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

type Events = std::pin::Pin<
    Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync>,
>;
