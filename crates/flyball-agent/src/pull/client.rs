//! The connection to one agent. A request ends within [`LIMIT`], reads a bounded answer, and a
//! connection without a complete answer is not used again.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use flyball_net::{HeaderLimits, HttpConnection, HttpError, Token, connect_plain, whole};
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use crate::answer::{ANSWER_BYTES_MAX, PATH};
use crate::{Answer, PullError};

/// How long an answer may take, connecting included. The machines are neighbours: a packet that was
/// lost is sent again after 200 ms, twice does not happen by chance; half would miss that one, twice
/// would let a dead node take a second for each question.
pub(super) const LIMIT: Duration = Duration::from_millis(500);

/// An agent sends four headers.
const HEADER_LIMITS: HeaderLimits = HeaderLimits { bytes: 16 * 1024, count: 32 };

/// Asks one agent, on one connection as long as that holds.
#[derive(Debug)]
pub struct AgentClient {
    address: SocketAddr,
    token: Option<Token>,
    open: Option<HttpConnection>,
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

    async fn exchange(
        &self,
        open: Option<HttpConnection>,
    ) -> Result<(HttpConnection, Bytes), PullError> {
        let address = self.address;
        let broken = |source| broken(address, source);
        let mut open = match open {
            Some(open) => self.kept(open).await?,
            None => self.connect().await?,
        };
        let answer = open.send(self.request().map_err(broken)?).await.map_err(broken)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(PullError::Refused { address }),
            status => return Err(PullError::Status { address, status: status.as_u16() }),
        }
        let body = whole(answer.into_body(), ANSWER_BYTES_MAX).await.map_err(broken)?;
        Ok((open, body))
    }

    /// `old`, or another one: an agent ends an old connection in between, and that is no miss.
    async fn kept(&self, mut old: HttpConnection) -> Result<HttpConnection, PullError> {
        if old.ready().await.is_ok() { Ok(old) } else { self.connect().await }
    }

    async fn connect(&self) -> Result<HttpConnection, PullError> {
        let address = self.address;
        let stream = connect_plain(address)
            .await
            .map_err(|source| PullError::Unreachable { address, source })?;
        let open = HttpConnection::open(stream, HEADER_LIMITS).await;
        open.map_err(|source| broken(address, source))
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, HttpError> {
        let mut request = Request::get(PATH).header(HOST, self.address.to_string());
        if let Some(value) = self.token.as_ref().and_then(bearer) {
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request.body(Full::default())?)
    }
}

fn broken(address: SocketAddr, source: HttpError) -> PullError {
    PullError::Broken { address, source }
}

/// The header that presents `token`; `None` if it holds what cannot be sent.
pub(super) fn bearer(token: &Token) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
