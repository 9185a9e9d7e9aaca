//! Where Zabbix listens, and the way there: TCP, with TLS or without.
//!
//! Decides which spellings of an address are taken and whom to trust. Knows neither frames nor
//! HTTP. Invariant: getting a connection takes no longer than its deadline, TLS included.
//!
//! TLS is rustls, so certificates only: Zabbix's pre-shared keys would need OpenSSL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::error::ZabbixError;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl Peer {
    /// Reads `HOST:PORT`; an IPv6 address stands in brackets. `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        Self::of(host, port)
    }

    pub(crate) fn of(host: &str, port: u16) -> Option<Self> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let good = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(name),
        };
        good.then(|| Self { host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whom to trust, and who flyball says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificates (PEM) of who may sign Zabbix's; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Flyball's own certificate and key (PEM), which a Zabbix server always wants to see.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// What makes TLS connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Tls {
    /// Reads the files that `settings` names.
    pub(crate) fn open(settings: &TlsSettings) -> Result<Self, ZabbixError> {
        let mut roots = RootCertStore::empty();
        match &settings.ca_file {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|e| bad(path, "certificate", e))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ZabbixError::Unreachable {
                at: "TLS".to_owned(),
                why: error.to_string(),
            })?
            .with_root_certificates(roots);
        let config = match &settings.own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let own = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(key, "key", e))?;
                config
                    .with_client_auth_cert(certificates(certificate)?, own)
                    .map_err(|e| bad(certificate, "certificate", e))?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ZabbixError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|error| bad(path, "certificate", error))?;
    if found.is_empty() { Err(bad(path, "certificate", "it has none")) } else { Ok(found) }
}

fn bad(path: &Path, what: &'static str, why: impl fmt::Display) -> ZabbixError {
    ZabbixError::Certificate { path: path.to_owned(), what, why: why.to_string() }
}

/// What can be read and written.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to `peer` within `limit`.
pub(crate) async fn connect(
    peer: &Peer,
    tls: Option<&Tls>,
    limit: Duration,
) -> Result<Box<dyn Stream>, ZabbixError> {
    let unreachable = |why: String| ZabbixError::Unreachable { at: peer.to_string(), why };
    let connecting = async {
        let stream = TcpStream::connect((peer.host.as_str(), peer.port))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        // Each request is written whole.
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let Some(tls) = tls else { return Ok(Box::new(stream) as Box<dyn Stream>) };
        let name = ServerName::try_from(peer.host.clone())
            .map_err(|error| unreachable(error.to_string()))?;
        let stream = tls.0.connect(name, stream).await;
        let stream = stream.map_err(|error| unreachable(format!("TLS: {error}")))?;
        Ok(Box::new(stream) as Box<dyn Stream>)
    };
    timeout(limit, connecting).await.unwrap_or_else(|_| {
        Err(unreachable(format!("no connection within {} ms", limit.as_millis())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let shown = |text| Peer::parse(text).map(|peer| peer.to_string());
        for good in ["127.0.0.1:10051", "zabbix.example:10051", "[::1]:10051"] {
            assert_eq!(shown(good).as_deref(), Some(good));
        }
        for bad in ["", "127.0.0.1", ":10051", "host:0", "host:x", "::1:10051", "a b:1", "[x]:1"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
