//! The connection to one agent.
//!
//! A request ends within [`LIMIT`], reads a bounded answer, and a connection without a complete
//! answer is not used again.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use flyball_token::Token;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::answer::{ANSWER_BYTES_MAX, PATH};
use crate::{Answer, PullError};

/// How long an answer may take, connecting included. The machines are neighbours: a packet that was
/// lost is sent again after 200 ms, twice does not happen by chance; half would miss that one, twice
/// would let a dead node take a second for each question.
pub(super) const LIMIT: Duration = Duration::from_millis(500);

/// An agent sends four headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 32;

/// Asks one agent, on one connection as long as that holds.
#[derive(Debug)]
pub struct AgentClient {
    address: SocketAddr,
    token: Option<Token>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Empty<Bytes>>,
    _connection: AbortOnDropHandle<()>,
}

impl AgentClient {
    /// Connects with the first question. `token` is `None` for an agent that lets anyone read.
    pub fn new(address: SocketAddr, token: Option<Token>) -> Self {
        Self { address, token, open: None }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks once, on the connection that there is, or on a new one; takes at most half a second.
    ///
    /// # Errors
    /// Whatever kept it from an answer; the next question begins with a new connection.
    pub async fn ask(&mut self) -> Result<Answer, PullError> {
        let (address, open) = (self.address, self.open.take());
        let limit_ms = u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX);
        let late = |_| PullError::Late { address, limit_ms };
        let (open, body) = timeout(LIMIT, self.exchange(open)).await.map_err(late)??;
        self.open = Some(open);
        Answer::parse(&body).map_err(|what| PullError::Garbage { address, what })
    }

    async fn exchange(&self, mut open: Option<Open>) -> Result<(Open, Bytes), PullError> {
        let address = self.address;
        // An agent ends an old connection in between, and that is no miss.
        if let Some(old) = &mut open
            && old.sender.ready().await.is_err()
        {
            open = None;
        }
        let mut open = match open {
            Some(open) => open,
            None => self.connect().await?,
        };
        let answer = open.sender.send_request(self.request()?).await.map_err(broken(address))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(PullError::Refused { address }),
            status => return Err(PullError::Status { address, status: status.as_u16() }),
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok((open, body.map_err(broken(address))?.to_bytes()))
    }

    async fn connect(&self) -> Result<Open, PullError> {
        let address = self.address;
        let stream = TcpStream::connect(address)
            .await
            .map_err(|source| PullError::Unreachable { address, source })?;
        let mut builder = Builder::new();
        builder.max_buf_size(HEADER_BYTES_MAX).max_headers(HEADERS_MAX);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(broken(address))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "the connection to an agent broke off");
            }
        });
        Ok(Open { sender, _connection: AbortOnDropHandle::new(connection) })
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, PullError> {
        let mut request = Request::get(PATH).header(HOST, self.address.to_string());
        if let Some(value) = self.token.as_ref().and_then(bearer) {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Empty::new()).map_err(broken(self.address))
    }
}

/// The header that presents `token`; `None` if it holds what cannot be sent.
pub(super) fn bearer(token: &Token) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn broken<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    address: SocketAddr,
) -> impl Fn(E) -> PullError {
    move |source| PullError::Broken { address, source: source.into() }
}
