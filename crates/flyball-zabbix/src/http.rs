//! One HTTP request on a connection of its own, with one deadline and a bound on the answer.

use std::time::Duration;

use bytes::Bytes;
use flyball_net::{HeaderLimits, HttpConnection, HttpError, Tls, TlsSettings};
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response};
use tokio::time::timeout;

use crate::error::ZabbixError;
use crate::peer::Peer;

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
    ) -> Result<Response<Bytes>, ZabbixError> {
        let connect_limit = CONNECT_LIMIT.min(self.limit);
        let posting = async {
            let stream = self.url.peer.connect(&self.url, self.tls.as_ref(), connect_limit).await?;
            let open = HttpConnection::open(stream, HeaderLimits::default()).await;
            let mut connection = open.map_err(|error| self.no_answer(&error))?;
            let answer = connection.ask(self.request(json, token)?, ANSWER_MAX).await;
            answer.map_err(|error| self.no_answer(&error))
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
        let host = self.url.peer.to_string();
        let mut request = flyball_net::request(Method::POST, &host, &self.url.path)
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

    fn no_answer(&self, error: &HttpError) -> ZabbixError {
        let at = self.url.to_string();
        match error {
            HttpError::TooLong { bytes } => {
                ZabbixError::TooLong { at, bytes: *bytes, bytes_max: ANSWER_MAX as u64 }
            }
            HttpError::NoAnswer(error) if error.is_parse() => {
                ZabbixError::NotApi { url: at, why: format!("not HTTP: {error}") }
            }
            _ => ZabbixError::CutOff { at, why: error.to_string() },
        }
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
