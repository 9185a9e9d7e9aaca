//! One HTTP request on its own connection, for readiness probes and the command line. The caller
//! sets the deadline; no response is read beyond a limit.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The largest answer: a page of decisions with hundreds of replicas is about 2 MB.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// How much is read of a body that is not needed.
const PAGE_MAX: usize = 64 * 1024;

/// An error before the answer, with its own message.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// A request as the command line makes it.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) json: Option<String>,
}

/// `GET path`. Of the body so much is read as a page has, so that a server does not find its client
/// gone; a longer or broken one counts as empty, for only the status matters then.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<Answer, Error> {
    let ask = Ask { method: Method::GET, path, token: None, json: None };
    let (answer, connection) = begin(address, ask).await?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), PAGE_MAX).collect().await;
    connection.abort();
    Ok(Answer { status, body: body.map(Collected::to_bytes).unwrap_or_default() })
}

/// Sends one request and reads the whole answer.
pub(crate) async fn send(address: SocketAddr, ask: Ask<'_>) -> Result<Answer, Error> {
    let (answer, connection) = begin(address, ask).await?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, body })
}

/// Sends one request; the connection ends with its task.
async fn begin(
    address: SocketAddr,
    ask: Ask<'_>,
) -> Result<(Response<Incoming>, JoinHandle<hyper::Result<()>>), Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header(HOST, address.to_string())
        .header("user-agent", concat!("flyball/", env!("CARGO_PKG_VERSION")))
        .header("flyball-client", "cli");
    if let Some(token) = ask.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if ask.json.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = Full::new(Bytes::from(ask.json.unwrap_or_default()));
    Ok((sender.send_request(request.body(body)?).await?, connection))
}
