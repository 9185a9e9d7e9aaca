//! One request to a Marathon, with credentials, a deadline and a bound on the answer.
//!
//! Nothing is requested twice, and credentials are never shown.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use flyball_engine::text::one_line;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, Request, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::ChangeAnswer;
use super::error::MarathonError;
use super::settings::{Credentials, MarathonSettings};
use crate::http::{self, Connection};
use crate::{Access, MesosError};

/// Marathon answers reads from memory; under load a change takes some seconds. Half of it would give
/// up on changes that are made, twice would keep a look waiting for a Marathon that is gone.
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(5);
/// What is repeated of a refusal.
const WORDS_MAX: usize = 300;
/// Who leads, on every answer of every Marathon.
const LEADER: &str = "X-Marathon-Leader";
const DEPLOYMENT: &str = "Marathon-Deployment-Id";

/// A connection to one Marathon.
#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    /// With TLS or without; credentials are Marathon's own.
    access: Access,
    authorization: Option<HeaderValue>,
    /// The `HOST:PORT` of the leader, as the latest answer said it.
    pub(super) leader: Option<String>,
}

/// A refusal with all that came with it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) body: Value,
    words: String,
}

/// What became of a change.
pub(super) type Changed = Result<Option<String>, Refusal>;

impl Link {
    pub(super) async fn open(at: &str, settings: &MarathonSettings) -> Result<Self, MarathonError> {
        let authorization = settings.credentials.as_ref().map(authorization).transpose()?;
        let access = Access { tls: settings.tls.clone(), credential: None };
        let connection = Connection::open(&access, at).await?;
        Ok(Self { connection, access, authorization, leader: None })
    }

    pub(super) fn at(&self) -> &str {
        self.connection.at()
    }

    /// Asks for `path`.
    pub(super) async fn get<T: DeserializeOwned>(
        &mut self,
        path: &str,
    ) -> Result<T, MarathonError> {
        match self.ask(Method::GET, path, None).await? {
            Ok(body) => self.parsed(path, &body),
            Err(refusal) => Err(self.refused(path, refusal)),
        }
    }

    /// Asks for `path`; `None` where there is no such thing.
    pub(super) async fn find<T: DeserializeOwned>(
        &mut self,
        path: &str,
    ) -> Result<Option<T>, MarathonError> {
        match self.ask(Method::GET, path, None).await? {
            Ok(body) => self.parsed(path, &body).map(Some),
            Err(Refusal { status: 404, .. }) => Ok(None),
            Err(refusal) => Err(self.refused(path, refusal)),
        }
    }

    /// Asks for a change; gives the deployment that makes it.
    pub(super) async fn change(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Changed, MarathonError> {
        let body = Bytes::from(body.to_string());
        let request = self.request(method, path, Some(body))?;
        let answer = self.connection.exchange(request, ASK_LIMIT).await?;
        let named = header(answer.headers(), DEPLOYMENT);
        Ok(match self.read(path, answer).await? {
            Ok(body) => {
                let said = || serde_json::from_slice::<ChangeAnswer>(&body).ok()?.deployment;
                Ok(named.or_else(said))
            }
            Err(refusal) => Err(refusal),
        })
    }

    /// Asks for `path`, of which the answer has no end.
    pub(super) async fn stream(mut self, path: &str) -> Result<(Self, Incoming), MarathonError> {
        let mut request = self.request(Method::GET, path, None)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let answer = self.connection.exchange(request, ASK_LIMIT).await?;
        if answer.status().is_redirection() {
            return Err(self.elsewhere(path, answer.headers()));
        }
        if answer.status().is_success() {
            return Ok((self, answer.into_body()));
        }
        match self.read(path, answer).await? {
            Ok(_) => Err(self.connection.broken(path, "no stream").into()),
            Err(refusal) => Err(self.refused(path, refusal)),
        }
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Result<Bytes, Refusal>, MarathonError> {
        if self.connection.is_closed() {
            // An idle connection is closed by the other end; nothing was asked on this one.
            self.connection = Connection::open(&self.access, self.at()).await?;
        }
        let request = self.request(method, path, body)?;
        let answer = self.connection.exchange(request, ASK_LIMIT).await?;
        self.read(path, answer).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, MesosError> {
        let mut request = self.connection.request(method, path, body)?;
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        Ok(request)
    }

    async fn read(
        &mut self,
        path: &str,
        answer: Response<Incoming>,
    ) -> Result<Result<Bytes, Refusal>, MarathonError> {
        let status = answer.status();
        if status.is_redirection() {
            return Err(self.elsewhere(path, answer.headers()));
        }
        let named = header(answer.headers(), LEADER);
        self.leader = named.and_then(|place| host_and_port(&place, self.scheme()));
        let whole = self.connection.whole(path, answer.into_body());
        let body = tokio::time::timeout(ASK_LIMIT, whole).await;
        let body = body.map_err(|_| http::silent(self.at(), path, ASK_LIMIT))??;
        if status.is_success() {
            return Ok(Ok(body));
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = || String::from_utf8_lossy(&body).into_owned();
        let words = said.get("message").and_then(Value::as_str).map_or_else(text, str::to_owned);
        Ok(Err(Refusal { status: status.as_u16(), body: said, words }))
    }

    fn parsed<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, MarathonError> {
        Ok(serde_json::from_slice(body).map_err(|error| self.connection.broken(path, error))?)
    }

    pub(super) fn refused(&self, path: &str, refusal: Refusal) -> MarathonError {
        let why = one_line(&refusal.words).chars().take(WORDS_MAX).collect();
        let (at, what, status) = (self.at().to_owned(), path.to_owned(), refusal.status);
        MarathonError::Refused { at, what, status, why }
    }

    fn scheme(&self) -> &'static str {
        if self.access.tls.is_some() { "https" } else { "http" }
    }

    fn elsewhere(&self, path: &str, headers: &HeaderMap) -> MarathonError {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let place = location.and_then(|place| host_and_port(place, self.scheme()));
        match place.filter(|place| place != self.at()) {
            Some(at) => MarathonError::Elsewhere { at },
            None => self.connection.broken(path, format!("redirects to {location:?}")).into(),
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Of an address with `scheme`, `http://HOST:PORT/...`, or with none: another one is another port,
/// and credentials never go where they would be in the open.
fn host_and_port(place: &str, scheme: &str) -> Option<String> {
    let rest = match place.split_once("://") {
        Some((named, rest)) if named == scheme => rest,
        Some(_) => return None,
        None => place.trim_start_matches('/'),
    };
    let at = rest.split('/').next().unwrap_or_default();
    http::host_and_port(at).map(|_| at.to_owned())
}

/// A name and a password, or a token of DC/OS, which is some hundred bytes.
const CREDENTIALS_BYTES_MAX: u64 = 8_192;

fn authorization(credentials: &Credentials) -> Result<HeaderValue, MarathonError> {
    let (Credentials::Basic(path) | Credentials::Token(path)) = credentials;
    let unusable = |why: String| MarathonError::Credentials { path: path.clone(), why };
    let text = flyball_file::read_text(path, CREDENTIALS_BYTES_MAX);
    let text = text.map_err(|error| unusable(error.to_string()))?;
    let text = text.trim();
    let value = match credentials {
        _ if text.is_empty() => return Err(unusable("it is empty".into())),
        Credentials::Basic(_) if !text.contains(':') => {
            return Err(unusable("it has no colon".into()));
        }
        Credentials::Basic(_) => format!("Basic {}", BASE64_STANDARD.encode(text)),
        Credentials::Token(_) => format!("token={text}"),
    };
    let value = HeaderValue::from_str(&value);
    let mut value = value.map_err(|_| unusable("it has more than one line".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_named_with_or_without_the_scheme_and_never_by_another() {
        for place in ["http://m1:8080", "m1:8080", "//m1:8080/v2/events", "http://m1:8080/"] {
            assert_eq!(host_and_port(place, "http").as_deref(), Some("m1:8080"), "{place}");
        }
        for place in ["", "m1", "https://m1:8443", "http://:8080"] {
            assert_eq!(host_and_port(place, "http"), None, "{place}");
        }
        assert_eq!(host_and_port("http://m1:8080", "https"), None);
        assert_eq!(host_and_port("https://m1:8443/", "https").as_deref(), Some("m1:8443"));
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |text: &str, as_a: fn(std::path::PathBuf) -> Credentials| {
            std::fs::write(&path, text).unwrap();
            authorization(&as_a(path.clone()))
        };
        let basic = read("fly:ball\n", Credentials::Basic).unwrap();
        assert_eq!(basic.to_str().unwrap(), "Basic Zmx5OmJhbGw=");
        assert!(!format!("{basic:?}").contains("Zmx5"));
        assert_eq!(read("ey.a", Credentials::Token).unwrap().to_str().unwrap(), "token=ey.a");
        for bad in [read("fly", Credentials::Basic), read(" ", Credentials::Token)] {
            assert!(!format!("{:?}", bad.unwrap_err()).contains("fly\""));
        }
    }
}
