//! A bounded pool of kept connections. A request is retried on another connection only if none of
//! its bytes can have left.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// The header in which the balancer says why it answered in a replica's place.
const REASON_HEADER: &str = "x-flyball-reason";

type Connection = SendRequest<Empty<Bytes>>;

/// Why a request counts as failed.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The answer's status, if there was an answer.
    pub(super) status: Option<u16>,
    /// The balancer's reason, or what went wrong on the way.
    pub(super) reason: String,
}

impl Refusal {
    fn on_the_way(what: &str, error: impl Display) -> Self {
        Self { status: None, reason: format!("{what}: {error}") }
    }
}

/// Connections to one address.
pub(super) struct Connections {
    target: SocketAddr,
    uri: Uri,
    host: HeaderValue,
    places: Semaphore,
    idle: RefCell<Vec<Connection>>,
    open: Cell<usize>,
    most_open: Cell<usize>,
}

impl Connections {
    /// None open yet, and at most `bound` (at least one) at once.
    pub(super) fn new(target: SocketAddr, path: &str, bound: usize) -> Result<Self> {
        let uri = path.parse().with_context(|| format!("`{path}` is no path to ask for"))?;
        let host = HeaderValue::from_str(&target.to_string())?;
        let places = Semaphore::new(bound.max(1));
        let (open, most_open) = (Cell::new(0), Cell::new(0));
        Ok(Self { target, uri, host, places, idle: RefCell::default(), open, most_open })
    }

    /// Most requests that were on their way at once.
    pub(super) fn most_open(&self) -> usize {
        self.most_open.get()
    }

    /// One request and its whole answer; an error unless the status is 2xx.
    pub(super) async fn exchange(&self) -> Result<(), Refusal> {
        let place = self.places.acquire().await;
        let _place = place.map_err(|error| Refusal::on_the_way("no connection", error))?;
        let _counted = Counted::new(self);
        let (connection, response) = self.ask().await?;
        let refusal = refusal(&response);
        finish(response).await?;
        self.idle.borrow_mut().push(connection);
        refusal.map_or(Ok(()), Err)
    }

    async fn ask(&self) -> Result<(Connection, Response<Incoming>), Refusal> {
        while let Some(mut connection) = self.take_idle() {
            if connection.ready().await.is_err() {
                continue;
            }
            let mut error = match connection.try_send_request(self.request()).await {
                Ok(response) => return Ok((connection, response)),
                Err(error) => error,
            };
            let never_left = error.take_message().is_some();
            if !never_left {
                return Err(Refusal::on_the_way("broken off", error.error()));
            }
        }
        let mut connection = self.connect().await?;
        match connection.send_request(self.request()).await {
            Ok(response) => Ok((connection, response)),
            Err(error) => Err(Refusal::on_the_way("broken off", error)),
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.borrow_mut().pop()
    }

    async fn connect(&self) -> Result<Connection, Refusal> {
        let stream = TcpStream::connect(self.target).await;
        let stream = stream.map_err(|error| Refusal::on_the_way("cannot connect", error))?;
        stream.set_nodelay(true).map_err(|error| Refusal::on_the_way("cannot connect", error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (connection, driver) =
            shaken.map_err(|error| Refusal::on_the_way("cannot connect", error))?;
        // Its error reaches the request that waits on it.
        tokio::task::spawn_local(async move { drop(driver.await) });
        Ok(connection)
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(HOST, self.host.clone());
        request
    }
}

/// One request on its way, counted until it is dropped.
struct Counted<'a>(&'a Connections);

impl<'a> Counted<'a> {
    fn new(connections: &'a Connections) -> Self {
        let open = connections.open.get() + 1;
        connections.open.set(open);
        connections.most_open.set(open.max(connections.most_open.get()));
        Self(connections)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

fn refusal(response: &Response<Incoming>) -> Option<Refusal> {
    let status = response.status();
    if status.is_success() {
        return None;
    }
    let reason = response.headers().get(REASON_HEADER);
    let reason = reason.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
    Some(Refusal { status: Some(status.as_u16()), reason })
}

/// Reads the rest of the answer away.
async fn finish(response: Response<Incoming>) -> Result<(), Refusal> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| Refusal::on_the_way("broken off", error))?;
    }
    Ok(())
}
