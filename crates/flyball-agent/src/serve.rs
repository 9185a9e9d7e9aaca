//! The server: reports this host's CPU counters. It needs no Docker and changes nothing. Nothing is
//! reported without the token. Connections are bounded in number, header size and lifetime.

mod cgroup_reader;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flyball_net::{Connection, HttpServer, Limits, ServerSettings, Token};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::AgentError;
use crate::answer::PATH;
use crate::serve::cgroup_reader::CgroupReader;

/// One controller needs one; a second may take over from it, and people look. A newcomer gets the
/// place of one that has presented no token.
const CONNECTIONS_MAX: usize = 16;

const SERVER: ServerSettings = ServerSettings {
    cannot_accept: "the agent cannot accept a client",
    no_place: "too many connections, refused a client at",
    refusal: b"",
    // A question has three short headers.
    header_bytes_max: 16 * 1024,
    headers_max: 32,
    // A controller asks at least every 2 s, and an idle client must not hold a connection for long.
    header_limit: Duration::from_secs(10),
    grace: Duration::from_secs(1),
};

/// How an agent is set up.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What must be presented; its file is read again when it changes. `None` only on loopback,
    /// or with `insecure`.
    pub token: Option<Token>,
    /// Where the cgroup hierarchies are mounted.
    pub cgroup_mount: PathBuf,
    /// Whether anyone who reaches the address may read.
    pub insecure: bool,
}

/// An agent at work.
#[derive(Debug)]
pub struct Agent {
    /// Where it listens.
    pub address: SocketAddr,
    /// The containers that it found at its start.
    pub containers: usize,
    task: JoinHandle<()>,
}

impl Agent {
    /// Waits until it has ended, soon after it was asked to stop.
    pub async fn finished(self) {
        if self.task.await.is_err() {
            tracing::error!(address = %self.address, "the agent died");
        }
    }
}

/// What answers a question.
#[derive(Debug)]
struct ServeState {
    token: Option<Token>,
    reader: Mutex<CgroupReader>,
}

/// Listens as `settings` say and answers until `stop` is ready.
///
/// Returns as soon as the port is open; the rest goes on in tasks of its own.
///
/// # Errors
/// An address that is taken or needs a token that is not there, and a machine without counters.
pub async fn serve(
    settings: ServeSettings,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Agent, AgentError> {
    let wanted = settings.listen;
    if settings.token.is_none() && !settings.insecure && !wanted.ip().is_loopback() {
        return Err(AgentError::TokenMissing { address: wanted });
    }
    let mut reader = CgroupReader::open(&settings.cgroup_mount)?;
    let containers = reader.scan();
    let bind = |source| AgentError::Bind { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let server = HttpServer::new(listener, Limits::of(CONNECTIONS_MAX), SERVER);
    let state = Arc::new(ServeState { token: settings.token.clone(), reader: Mutex::new(reader) });
    let answering = move |place: Arc<Connection>| {
        let state = Arc::clone(&state);
        service_fn(move |request: Request<Incoming>| {
            let answer = state.answer(&request, &place);
            async move { Ok::<_, Infallible>(answer) }
        })
    };
    let task = tokio::spawn(async move {
        let follow =
            settings.token.map(|token| AbortOnDropHandle::new(tokio::spawn(token.follow())));
        server.run(stop, std::convert::identity, answering).await;
        drop(follow);
    });
    Ok(Agent { address, containers, task })
}

impl ServeState {
    fn answer(&self, request: &Request<Incoming>, place: &Connection) -> Response<Full<Bytes>> {
        if !self.may_read(request) {
            let mut refusal = response(StatusCode::UNAUTHORIZED, "send the token as Bearer\n");
            let headers = refusal.headers_mut();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            // A client without a token must not hold a place.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            return refusal;
        }
        if self.token.is_some() {
            place.is_known();
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, PATH) => self.counters(),
            (_, PATH) => response(StatusCode::METHOD_NOT_ALLOWED, "only GET is supported\n"),
            _ => response(StatusCode::NOT_FOUND, "the only path is /v1/cpu\n"),
        }
    }

    /// A header that is there twice is none.
    fn may_read(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = &self.token else { return true };
        let mut all = request.headers().get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (all.next(), all.next()) else { return false };
        let presented = value.as_bytes().split_at_checked(b"Bearer ".len());
        presented.is_some_and(|(scheme, presented)| {
            scheme.eq_ignore_ascii_case(b"Bearer ") && token.is(presented)
        })
    }

    fn counters(&self) -> Response<Full<Bytes>> {
        let body = self.reader.lock().unwrap_or_else(PoisonError::into_inner).look();
        with_type(Response::new(Full::new(body)), "application/json")
    }
}

fn response(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    with_type(answer, "text/plain")
}

fn with_type(mut answer: Response<Full<Bytes>>, of: &'static str) -> Response<Full<Bytes>> {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(of));
    answer
}
