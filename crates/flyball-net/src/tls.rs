//! Whom flyball trusts, and what encrypts its connections. TLS is rustls, so certificates only:
//! pre-shared keys would need OpenSSL.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Stream;

/// The largest file that is read: all authorities that a system trusts take 250 KB.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// Whom to trust, and flyball's own identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// CA certificates (PEM) to trust for the peer; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Flyball's own certificate and key (PEM), for peers that require one.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// A file with certificates or a key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} holds no usable {what}: {why}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// What it should hold.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// What makes TLS connections. Clones share what was read.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Tls {
    /// Reads the files that `settings` names, once.
    ///
    /// # Errors
    /// One of them cannot be read, or is not PEM.
    pub fn open(settings: &TlsSettings) -> Result<Self, TlsError> {
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
            .map_err(|error| bad(Path::new("TLS"), "version", error))?
            .with_root_certificates(roots);
        let config = match &settings.own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let own = PrivateKeyDer::from_pem_slice(&pem(key, "key")?)
                    .map_err(|e| bad(key, "key", e))?;
                config
                    .with_client_auth_cert(certificates(certificate)?, own)
                    .map_err(|e| bad(certificate, "certificate", e))?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands with `host` on `stream`.
    pub(crate) async fn encrypt(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("TLS: {error}"));
        Ok(Box::new(self.0.connect(name, stream).await.map_err(named)?))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = pem(path, "certificate")?;
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = read.map_err(|error| bad(path, "certificate", error))?;
    if found.is_empty() { Err(bad(path, "certificate", "it has none")) } else { Ok(found) }
}

fn pem(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    flyball_file::read(path, PEM_BYTES_MAX).map_err(|error| bad(path, what, error))
}

fn bad(path: &Path, what: &'static str, why: impl fmt::Display) -> TlsError {
    TlsError { path: path.to_owned(), what, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = TlsSettings { ca_file: Some(file.path().to_owned()), own: None };
        let error = Tls::open(&settings).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
        let missing = TlsSettings { ca_file: Some("/none/ca.pem".into()), own: None };
        assert_eq!(Tls::open(&missing).unwrap_err().path, Path::new("/none/ca.pem"));
    }
}
