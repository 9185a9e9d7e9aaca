//! `GET /api/v1/events`: the feed as server-sent events. Readers never delay the end of the server.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use flyball_net::Connection;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::{Gap, Problem, ProblemKind, StreamBegin};
use crate::api_state::ApiState;
use crate::feed::{Follower, Start, Taken};
use crate::refusals::Refusals;
use crate::window::words;

/// A comment is sent after so long a silence, so that both ends notice a dead connection.
const SILENCE: Duration = Duration::from_secs(15);
/// A reader is asked to come again after this time, before its connection is ended.
const FOLLOW_LIMIT: Duration = Duration::from_secs(540);
/// How soon a reader should come again.
const RETRY_MS: u64 = 1_000;

/// Stream events: every decision that changes something, every change of a replica, and a sample of
/// each service about once a second.
///
/// The first event is `begin`; then come `decision`, `replica` and `sample`. `gap` means that
/// events were missed and that the client should read the whole state again: after a
/// `Last-Event-ID` that is no longer known, or because the client was too slow, which also ends the
/// stream.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(("service" = Option<String>, Query, description = "Only this service's events"),
           ("Last-Event-ID" = Option<String>, Header, description = "Continue after this event")),
    responses((status = 200, description = "Server-sent events; the data of each is one line of JSON",
               content_type = "text/event-stream", body = String), Refusals))]
pub(crate) async fn events(
    State(state): State<Arc<ApiState>>,
    Extension(connection): Extension<Arc<Connection>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let service = words(&uri, &["service"])?.remove("service");
    if let Some(name) = &service
        && state.daemon.service(name).is_none()
    {
        return Err(Problem::unknown_service(name).in_field("service"));
    }
    connection.follow().map_err(|why| Problem::new(ProblemKind::Busy, why))?;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let (follower, start) = state.daemon.feed().follow(last.filter(|id| !id.is_empty()));
    let reader = Reader {
        first: Some(opening(&follower, start)),
        follower,
        service,
        until: Instant::now() + FOLLOW_LIMIT,
        stopped: state.stopped.clone(),
        ended: false,
    };
    let chunks = stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((Ok::<_, Infallible>(chunk), reader))
    });
    let media = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((media, Body::from_stream(chunks)).into_response())
}

/// The `begin` event, and the `gap` behind it where there is one.
fn opening(follower: &Follower, start: Start) -> String {
    let id = follower.last_id().map(|id| format!("id: {id}\n")).unwrap_or_default();
    let begin =
        StreamBegin { resumed: start == Start::Resumed, version: env!("CARGO_PKG_VERSION") };
    let data = serde_json::to_string(&begin).unwrap_or_default();
    let gap = match start {
        Start::Gap => gap_event(None),
        Start::Now | Start::Resumed => String::new(),
    };
    format!("retry: {RETRY_MS}\n{id}event: begin\ndata: {data}\n\n{gap}")
}

fn gap_event(missed: Option<u64>) -> String {
    format!("event: gap\ndata: {}\n\n", Gap::data(missed))
}

/// One client that follows.
struct Reader {
    first: Option<String>,
    follower: Follower,
    service: Option<String>,
    until: Instant,
    stopped: watch::Receiver<bool>,
    ended: bool,
}

impl Reader {
    /// The next bytes; `None` once the stream has ended. Asked for only when the client has taken
    /// what came before.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first.into());
        }
        loop {
            if self.ended || *self.stopped.borrow() {
                return None;
            }
            match self.follower.take(self.service.as_deref()) {
                Taken::Events(text) => return Some(text.into()),
                Taken::TooSlow { missed } => {
                    self.ended = true;
                    return Some(gap_event(Some(missed)).into());
                }
                Taken::Nothing => {}
            }
            tokio::select! {
                () = self.follower.changed() => {}
                _ = self.stopped.wait_for(|stop| *stop) => return None,
                () = sleep_until(self.until) => return None,
                () = sleep(SILENCE) => return Some(Bytes::from_static(b": quiet\n\n")),
            }
        }
    }
}
