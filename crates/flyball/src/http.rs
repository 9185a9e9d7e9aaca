//! One HTTP request on its own connection, for readiness probes and the command line. The caller
//! sets the deadline; no response is read beyond a limit.

use std::net::SocketAddr;

use bytes::Bytes;
use flyball_net::{HeaderLimits, HttpConnection, HttpError, connect_plain};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response};

/// The largest answer: a page of decisions with hundreds of replicas is about 2 MB.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// How much is read of a body that is not needed.
const PAGE_MAX: usize = 64 * 1024;

/// An error before the answer, with its own message.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// A request as the command line makes it.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) json: Option<String>,
}

/// `GET path`. Of the body so much is read as a page has, so that a server does not find its client
/// gone; a longer or broken one counts as empty, for only the status matters then.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<Response<Bytes>, Error> {
    let mut connection = open(address).await?;
    let ask = Ask { method: Method::GET, path, token: None, json: None };
    let (head, body) = connection.send(request(address, ask)?).await?.into_parts();
    let body = Limited::new(body, PAGE_MAX).collect().await;
    Ok(Response::from_parts(head, body.map(Collected::to_bytes).unwrap_or_default()))
}

/// Sends one request and reads the whole answer.
pub(crate) async fn send(address: SocketAddr, ask: Ask<'_>) -> Result<Response<Bytes>, Error> {
    let mut connection = open(address).await?;
    Ok(connection.ask(request(address, ask)?, ANSWER_MAX).await?)
}

async fn open(address: SocketAddr) -> Result<HttpConnection, Error> {
    let stream = connect_plain(address).await?;
    Ok(HttpConnection::open(stream, HeaderLimits::default()).await?)
}

fn request(address: SocketAddr, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, HttpError> {
    let mut request = flyball_net::request(ask.method, &address.to_string(), ask.path)
        .header("flyball-client", "cli");
    if let Some(token) = ask.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if ask.json.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    Ok(request.body(Full::new(Bytes::from(ask.json.unwrap_or_default())))?)
}
