//! One target: where it is, and one try to tell it something.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use flyball_config::{Notify, NotifyBody, NotifyUrl};
use flyball_net::{HeaderLimits, HttpConnection, Tls, TlsSettings};
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use crate::body::{Rendered, render};
use crate::error::NotifyError;
use crate::notification::Notification;

/// One try. A chat answers within a second; a target that takes longer is tried again.
const TRY_LIMIT: Duration = Duration::from_secs(5);
/// An answer is read up to here, for the words of a refusal.
const ANSWER_MAX: usize = 64 << 10;
/// The largest file with an address or a token.
const SECRET_BYTES_MAX: u64 = 4_096;
/// How much of a refusal is repeated.
const SAID_CHARS_MAX: usize = 200;

/// A target of the configuration.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    pub(crate) settings: Notify,
}

/// An address, taken apart.
struct Address {
    encrypted: bool,
    host: String,
    port: u16,
    /// With the query.
    path: String,
}

impl Target {
    /// The target `name` with its settings.
    pub fn new(name: &str, settings: Notify) -> Self {
        Self { name: name.to_owned(), settings }
    }

    /// Tells it once. Address and token are read each time, so that a new one is used at once.
    ///
    /// # Errors
    /// It did not answer with 2xx within 5 s.
    pub async fn tell(&self, told: &Notification) -> Result<(), NotifyError> {
        let address = self.address()?;
        let request = self.request(&address, render(&self.settings.body, told))?;
        let host = format!("{}:{}", address.host, address.port);
        let tls = address.encrypted.then(|| Tls::open(&TlsSettings::default())).transpose()?;
        let silent =
            |_| NotifyError::Silent { host: host.clone(), limit_ms: TRY_LIMIT.as_millis() };
        let asked = ask(&address, &host, tls.as_ref(), request);
        let (status, said) = timeout(TRY_LIMIT, asked).await.map_err(silent)??;
        if status.is_success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let said = said.trim().chars().take(SAID_CHARS_MAX).map(plain).collect();
        Err(NotifyError::Refused { host, status: status.as_u16(), said })
    }

    fn address(&self) -> Result<Address, NotifyError> {
        match &self.settings.url {
            NotifyUrl::Text(text) => address(text, Path::new("flyball.toml")),
            NotifyUrl::File(path) => address(&secret(path)?, path),
        }
    }

    fn request(
        &self,
        address: &Address,
        rendered: Rendered,
    ) -> Result<Request<Full<Bytes>>, NotifyError> {
        let bad = |path: &Path| NotifyError::File {
            path: path.to_owned(),
            why: "it has characters that no header may have".to_owned(),
        };
        let mut request = flyball_net::request(Method::POST, &address.host, &address.path)
            .header(CONTENT_TYPE, rendered.content_type);
        for (name, value) in rendered.headers {
            request = request.header(name, value);
        }
        let place = self.settings.token_file.as_deref().unwrap_or(Path::new("flyball.toml"));
        if let Some(path) = &self.settings.token_file {
            let token = secret(path)?;
            let (name, value) = match self.settings.body {
                NotifyBody::Gotify => ("x-gotify-key", token),
                _ => (AUTHORIZATION.as_str(), format!("Bearer {token}")),
            };
            let mut value = HeaderValue::from_str(&value).map_err(|_| bad(path))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(Full::new(Bytes::from(rendered.body))).map_err(|_| bad(place))
    }
}

async fn ask(
    address: &Address,
    host: &str,
    tls: Option<&Tls>,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), NotifyError> {
    let connected = flyball_net::connect((&address.host, address.port), tls, TRY_LIMIT).await;
    let stream =
        connected.map_err(|source| NotifyError::Unreachable { host: host.to_owned(), source })?;
    let no_answer = |source| NotifyError::NoAnswer { host: host.to_owned(), source };
    let open = HttpConnection::open(stream, HeaderLimits::default()).await;
    let answer = open.map_err(no_answer)?.ask(request, ANSWER_MAX).await.map_err(no_answer)?;
    Ok((answer.status(), answer.into_body()))
}

fn secret(path: &Path) -> Result<String, NotifyError> {
    let text = flyball_file::read_text(path, SECRET_BYTES_MAX)
        .map_err(|error| NotifyError::File { path: path.to_owned(), why: error.to_string() })?;
    Ok(text.trim().to_owned())
}

fn address(text: &str, place: &Path) -> Result<Address, NotifyError> {
    let none = || NotifyError::NoAddress { path: place.to_owned() };
    let uri: Uri = text.parse().map_err(|_| none())?;
    let (encrypted, usual) = match uri.scheme_str() {
        Some("https") => (true, 443),
        Some("http") => (false, 80),
        _ => return Err(none()),
    };
    let host = uri.host().ok_or_else(none)?.trim_matches(['[', ']']).to_owned();
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok(Address { encrypted, host, port: uri.port_u16().unwrap_or(usual), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_usual_port_and_keeps_its_query() {
        let of = |text| address(text, Path::new("url")).map(|it| (it.host, it.port, it.path));
        let expected = ("ntfy.example".to_owned(), 443, "/top?x=1".to_owned());
        assert_eq!(of("https://ntfy.example/top?x=1").unwrap(), expected);
        assert_eq!(of("http://[::1]:8080").unwrap(), ("::1".to_owned(), 8080, "/".to_owned()));
        for bad in ["ntfy.example/top", "ftp://a/b", "", "http://"] {
            assert!(matches!(of(bad), Err(NotifyError::NoAddress { .. })), "{bad}");
        }
    }
}
