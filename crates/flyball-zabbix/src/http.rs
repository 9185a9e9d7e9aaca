//! One HTTP request on a connection of its own, with one deadline and a bound on the answer.

use std::time::Duration;

use bytes::Bytes;
use flyball_tls::{Tls, TlsSettings};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::Body as _;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::error::ZabbixError;
use crate::peer::{Peer, connect};

/// The longest answer: a dump of a template with 5,000 replicas has about 4 MB.
const ANSWER_MAX: usize = 32 << 20;
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Where the API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl {
    encrypted: bool,
    peer: Peer,
    path: String,
}

impl ApiUrl {
    /// Reads `http://HOST[:PORT]/PATH` or the same with https; `None` if it is something else, or
    /// holds a password.
    pub fn parse(text: &str) -> Option<Self> {
        let (encrypted, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://")?),
        };
        let (at, path) = rest.split_once('/')?;
        let port = if encrypted { 443 } else { 80 };
        let peer = Peer::parse(at).or_else(|| Peer::of(at, port))?;
        let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
        plain.then(|| Self { encrypted, peer, path: format!("/{path}") })
    }

    /// Whether the token could be read in transit.
    pub fn is_exposed(&self) -> bool {
        let local = |ip: std::net::IpAddr| ip.is_loopback();
        let here = self.peer.host == "localhost" || self.peer.host.parse().is_ok_and(local);
        !self.encrypted && !here
    }
}

impl std::fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.peer, self.path)
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// The way to a web server.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) url: ApiUrl,
    tls: Option<Tls>,
    limit: Duration,
}

impl Http {
    pub(crate) fn new(
        url: ApiUrl,
        tls: &TlsSettings,
        limit: Duration,
    ) -> Result<Self, ZabbixError> {
        let tls = if url.encrypted { Some(Tls::open(tls)?) } else { None };
        Ok(Self { url, tls, limit })
    }

    /// Posts `json`; `token` goes into a header.
    pub(crate) async fn post(
        &self,
        json: String,
        token: Option<&str>,
    ) -> Result<Answer, ZabbixError> {
        let connect_limit = CONNECT_LIMIT.min(self.limit);
        let posting = async {
            let stream = connect(&self.url.peer, self.tls.as_ref(), connect_limit).await;
            let stream = stream.map_err(|error| match error {
                ZabbixError::Unreachable { why, .. } => {
                    ZabbixError::Unreachable { at: self.url.to_string(), why }
                }
                other => other,
            })?;
            let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = handshake.map_err(|error| self.cut_off(error))?;
            // Driven beside the request, so that both end together.
            let exchange = async {
                let answer = sender.send_request(self.request(json, token)?).await;
                self.read(answer.map_err(|error| self.odd(&error))?).await
            };
            let mut exchange = std::pin::pin!(exchange);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                answer = &mut exchange => answer,
                // The connection may end just before its last answer is read.
                _ = &mut connection => exchange.await,
            }
        };
        let silent = |_| ZabbixError::Silent {
            at: self.url.to_string(),
            limit_ms: u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX),
        };
        timeout(self.limit, posting).await.map_err(silent)?
    }

    fn request(
        &self,
        json: String,
        token: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, ZabbixError> {
        let mut request = Request::post(&self.url.path)
            .header(HOST, self.url.peer.to_string())
            .header(USER_AGENT, concat!("flyball/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json-rpc");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let built = request.body(Full::new(Bytes::from(json)));
        // Not the error's own words: they could hold the token.
        built.map_err(|_| ZabbixError::Setting {
            setting: "token_file",
            value: "a text with other characters".to_owned(),
            want: "one line of letters and digits",
        })
    }

    async fn read(
        &self,
        answer: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Answer, ZabbixError> {
        let status = answer.status().as_u16();
        let too_long = |bytes| ZabbixError::TooLong {
            at: self.url.to_string(),
            bytes,
            bytes_max: ANSWER_MAX as u64,
        };
        let announced = answer.body().size_hint().lower();
        if announced > ANSWER_MAX as u64 {
            return Err(too_long(announced));
        }
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_long(ANSWER_MAX as u64 + 1)
            } else {
                self.cut_off(error)
            }
        })?;
        Ok(Answer { status, body: body.to_bytes() })
    }

    fn odd(&self, error: &hyper::Error) -> ZabbixError {
        if error.is_parse() {
            let why = format!("not HTTP: {error}");
            ZabbixError::NotApi { url: self.url.to_string(), why }
        } else {
            self.cut_off(error)
        }
    }

    fn cut_off(&self, why: impl ToString) -> ZabbixError {
        ZabbixError::CutOff { at: self.url.to_string(), why: why.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_address_has_a_scheme_a_host_and_a_path() {
        let shown = |text| ApiUrl::parse(text).map(|url| url.to_string());
        let full = "https://zabbix.example:443/zabbix/api_jsonrpc.php";
        assert_eq!(shown("https://zabbix.example/zabbix/api_jsonrpc.php").as_deref(), Some(full));
        assert_eq!(shown(full).as_deref(), Some(full));
        for bad in ["", "zabbix/api", "ftp://h/a", "http://h", "http://u:p@h/a", "http://h/a?b=c"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_is_exposed_without_tls_except_on_this_machine() {
        let exposed = |text| ApiUrl::parse(text).unwrap().is_exposed();
        assert!(exposed("http://zabbix.example/api_jsonrpc.php"));
        assert!(!exposed("https://zabbix.example/api_jsonrpc.php"));
        assert!(!exposed("http://127.0.0.1:8080/a") && !exposed("http://[::1]/a"));
    }
}
