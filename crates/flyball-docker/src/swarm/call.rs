//! One request to a manager, with a deadline and a bound on the answer, tried once. The typed
//! client would drop unknown fields, and a service is written back whole.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use flyball_net::{HeaderLimits, HttpConnection, HttpError, connect_plain, request, whole};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::SwarmError;
use crate::DockerError;

/// A manager answers from memory in 2 ms; one that has lost its quorum only after 20 s, with an
/// error. Half of this would give up on a manager under load, twice delays the way to the next one.
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(5);
/// The largest answer: 10,000 tasks with their history are about 30 MB.
const ANSWER_MAX: usize = 64 << 20;
/// Older ones look up an image's digest again at every change, and restart all tasks.
const OLDEST_API: (u32, u32) = (1, 30);

/// A manager, and the version of the API that it is asked in.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    host: String,
    place: Place,
    /// `/v1.41`; empty before it is known.
    prefix: String,
}

#[derive(Clone, Debug)]
enum Place {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// What comes after an answer's head. Dropping it ends the connection.
pub(super) struct Stream {
    body: Incoming,
    _connection: HttpConnection,
}

impl Manager {
    /// # Errors
    /// [`DockerError::Address`].
    pub(crate) fn at(host: &str) -> Result<Self, SwarmError> {
        let place = match host.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Some(Place::Unix(path.into())),
            Some(_) => None,
            None => tcp(host).map(Place::Tcp),
        };
        let place = place.ok_or_else(|| DockerError::Address { host: host.into() })?;
        Ok(Self { host: host.into(), place, prefix: String::new() })
    }

    /// The same in the newest version of the API that the daemon speaks: an older one would drop the
    /// newer fields of a service on the way.
    pub(crate) async fn agreed(self) -> Result<Self, SwarmError> {
        let what = "read its version";
        let version: Value = self.get(what, "/version").await?;
        let found = version["ApiVersion"].as_str().unwrap_or_default().to_owned();
        let number =
            found.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match number {
            Some(number) if number >= OLDEST_API => {
                Ok(Self { prefix: format!("/v{found}"), ..self })
            }
            Some(_) => {
                let (host, needed) = (self.host, format!("{}.{}", OLDEST_API.0, OLDEST_API.1));
                Err(DockerError::TooOld { host, found, needed }.into())
            }
            None => {
                let why = format!("not a version of the API: {found:?}");
                Err(DockerError::Broken { what: what.into(), why }.into())
            }
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Asks for `path` to `what`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, SwarmError> {
        let body = self.whole(what, Method::GET, path, None).await?;
        let broken = |error: serde_json::Error| DockerError::Broken {
            what: what.into(),
            why: format!("unexpected answer: {error}"),
        };
        Ok(serde_json::from_slice(&body).map_err(broken)?)
    }

    /// Sends `body` to `path` to `what`.
    pub(super) async fn post(
        &self,
        what: &str,
        path: &str,
        body: &Value,
    ) -> Result<(), SwarmError> {
        self.whole(what, Method::POST, path, Some(body)).await.map(drop)
    }

    /// Asks for `path`, of which the answer has no end.
    pub(super) async fn stream(&self, what: &str, path: &str) -> Result<Stream, SwarmError> {
        let asked = async {
            let (answer, _connection) = self.head(what, Method::GET, path, None).await?;
            if !answer.status().is_success() {
                return Err(self.refusal(what, answer).await);
            }
            Ok(Stream { body: answer.into_body(), _connection })
        };
        timeout(ASK_LIMIT, asked).await.map_err(|_| DockerError::silent(what, ASK_LIMIT))?
    }

    async fn whole(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, SwarmError> {
        let asked = async {
            let (answer, _connection) = self.head(what, method, path, body).await?;
            if !answer.status().is_success() {
                return Err(self.refusal(what, answer).await);
            }
            let read = whole(answer.into_body(), ANSWER_MAX).await;
            Ok(read.map_err(|error| broken(what, &error))?)
        };
        timeout(ASK_LIMIT, asked).await.map_err(|_| DockerError::silent(what, ASK_LIMIT))?
    }

    async fn refusal(&self, what: &str, answer: Response<Incoming>) -> SwarmError {
        const WORDS_MAX: usize = 64 << 10;
        let status = answer.status().as_u16();
        let body = whole(answer.into_body(), WORDS_MAX).await.unwrap_or_default();
        let said = serde_json::from_slice(&body)
            .ok()
            .and_then(|answer: Value| answer["message"].as_str().map(str::to_owned));
        let message = said.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        SwarmError::refused(&self.host, what, status, &message)
    }

    async fn head(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Response<Incoming>, HttpConnection), SwarmError> {
        let stream = self.connect().await.map_err(|e| DockerError::of_io(&self.host, what, &e))?;
        let mut request = request(method, "docker", &format!("{}{path}", self.prefix));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let sent = async {
            let mut connection = HttpConnection::open(stream, HeaderLimits::default()).await?;
            let answer = connection.send(request.body(Full::new(Bytes::from(body)))?).await?;
            Ok((answer, connection))
        };
        Ok(sent.await.map_err(|error: HttpError| broken(what, &error))?)
    }

    async fn connect(&self) -> std::io::Result<Box<dyn flyball_net::Stream>> {
        match &self.place {
            Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Place::Tcp(address) => Ok(Box::new(connect_plain(*address).await?)),
        }
    }
}

impl Stream {
    /// Waits until more of it came. What it says is not looked at.
    ///
    /// # Errors
    /// It ended or broke.
    pub(super) async fn more(&mut self) -> Result<(), SwarmError> {
        let what = "stream events";
        match self.body.frame().await {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(broken(what, &error).into()),
            None => {
                let why = "the stream ended".to_owned();
                Err(DockerError::Broken { what: what.into(), why }.into())
            }
        }
    }
}

/// A path with `filters`, which are JSON.
pub(super) fn filtered(path: &str, filters: &Value) -> String {
    let filters = filters.to_string();
    let encoded: String = form_urlencoded::byte_serialize(filters.as_bytes()).collect();
    format!("{path}?filters={encoded}")
}

fn tcp(host: &str) -> Option<SocketAddr> {
    let place = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://"))?;
    place.trim_end_matches('/').replacen("localhost:", "127.0.0.1:", 1).parse().ok()
}

fn broken(what: &str, error: &(dyn std::error::Error + 'static)) -> DockerError {
    DockerError::Broken { what: what.into(), why: crate::error::deepest(error) }
}
