//! HTTP to a master or an agent, with deadlines and a bound on the answer.

use std::time::Duration;

use bytes::Bytes;
use flyball_engine::text::one_line;
use flyball_net::{HeaderLimits, HttpConnection, HttpError, connect, whole};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, Request, Response};
use tokio::time::timeout;

use crate::{Access, MesosError};

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// 20,000 tasks at 1.5 kB each.
pub(crate) const ANSWER_MAX: usize = 32 << 20;
/// What is repeated of a refusal.
const WORDS_MAX: usize = 300;

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    at: String,
    authorization: Option<HeaderValue>,
    http: HttpConnection,
}

impl Connection {
    /// Connects to `at`, a `HOST:PORT`.
    pub(crate) async fn open(access: &Access, at: &str) -> Result<Self, MesosError> {
        let unreachable = |why: String| MesosError::Unreachable { at: at.to_owned(), why };
        let place = host_and_port(at).ok_or_else(|| MesosError::Address { at: at.to_owned() })?;
        let stream = connect(place, access.tls.as_ref(), CONNECT_LIMIT).await;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        let opened = HttpConnection::open(stream, HeaderLimits::default()).await;
        let http = opened.map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { at: at.to_owned(), authorization: access.authorization(), http })
    }

    /// A request for JSON to this one, with a body of JSON if there is one.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, MesosError> {
        let mut request = flyball_net::request(method, &self.at, path);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request = request.header(ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default()));
        request.map_err(|error| self.broken(path, error))
    }

    /// Where it leads.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// Whether the other end has closed it meanwhile.
    pub(crate) fn is_closed(&self) -> bool {
        self.http.is_closed()
    }

    /// Sends a request; gives the answer's head and its body as it comes, whatever the status.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Incoming>, MesosError> {
        let what = request.uri().path().to_owned();
        let sending = async {
            self.http.ready().await?;
            self.http.send(request).await
        };
        let answer = timeout(limit, sending).await;
        let answer = answer.map_err(|_| silent(&self.at, &what, limit))?;
        answer.map_err(|error| self.broken(&what, error))
    }

    /// Sends a request; gives the answer's head and its body as it comes, if the status is 200 or
    /// 202.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Incoming>, MesosError> {
        let what = request.uri().path().to_owned();
        let answer = self.exchange(request, limit).await?;
        match answer.status().as_u16() {
            200 | 202 => Ok(answer),
            301 | 302 | 307 | 308 => Err(self.elsewhere(&what, answer.headers().get(LOCATION))),
            status => {
                let body = timeout(limit, whole(answer.into_body(), 4_096)).await;
                let body = body.ok().and_then(Result::ok).unwrap_or_default();
                let words = String::from_utf8_lossy(&body).into_owned();
                let why = one_line(&words).chars().take(WORDS_MAX).collect();
                Err(MesosError::Refused { at: self.at.clone(), what, status, why })
            }
        }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Bytes, MesosError> {
        let what = request.uri().path().to_owned();
        let asking = async {
            let answer = self.send(request, limit).await?;
            self.whole(&what, answer.into_body()).await
        };
        let answer = timeout(limit, asking).await;
        answer.unwrap_or_else(|_| Err(silent(&self.at, &what, limit)))
    }

    /// All of an answer, if it is no longer than [`ANSWER_MAX`].
    pub(crate) async fn whole(&self, what: &str, body: Incoming) -> Result<Bytes, MesosError> {
        whole(body, ANSWER_MAX).await.map_err(|error| match error {
            HttpError::TooLong { .. } => self.broken(what, format!("more than {ANSWER_MAX} bytes")),
            other => self.broken(what, other),
        })
    }

    /// Where the leader is, as a master that does not lead says it: `//HOST:PORT/PATH`.
    fn elsewhere(&self, what: &str, location: Option<&HeaderValue>) -> MesosError {
        let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let place = location.split_once("//").and_then(|(_, rest)| rest.split('/').next());
        match place.filter(|place| place.contains(':') && *place != self.at) {
            Some(place) => MesosError::Elsewhere { at: place.to_owned() },
            None => self.broken(what, format!("redirects to {location:?}")),
        }
    }

    pub(crate) fn broken(&self, what: &str, why: impl ToString) -> MesosError {
        let (at, what) = (self.at.clone(), what.to_owned());
        MesosError::Broken { at, what, why: why.to_string() }
    }
}

/// One question on a connection of its own.
pub(crate) async fn get(
    access: &Access,
    at: &str,
    path: &str,
    limit: Duration,
) -> Result<Bytes, MesosError> {
    let asking = async {
        let mut connection = Connection::open(access, at).await?;
        connection.ask(connection.request(Method::GET, path, None)?, limit).await
    };
    timeout(limit, asking).await.unwrap_or_else(|_| Err(silent(at, path, limit)))
}

/// The host, without brackets, and the port of a `HOST:PORT`.
pub(crate) fn host_and_port(at: &str) -> Option<(&str, u16)> {
    let (host, port) = at.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!bare.is_empty()).then_some((bare, port))
}

pub(crate) fn silent(at: &str, what: &str, limit: Duration) -> MesosError {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    MesosError::Silent { at: at.to_owned(), what: what.to_owned(), limit_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_named_by_host_and_port() {
        assert_eq!(host_and_port("10.0.0.1:5050"), Some(("10.0.0.1", 5050)));
        assert_eq!(host_and_port("mesos.example:5050"), Some(("mesos.example", 5050)));
        assert_eq!(host_and_port("[fd00::1]:5050"), Some(("fd00::1", 5050)));
        for bad in ["", "host", ":5050", "host:", "host:0", "http://host"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
