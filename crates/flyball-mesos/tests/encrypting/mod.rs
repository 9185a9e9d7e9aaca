//! A TLS server for tests, and the certificate to trust.

use std::sync::Arc;

use flyball_mesos::{Tls, TlsSettings};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Who signed for it.
const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/encrypting/certificates/ca.pem");

/// For 127.0.0.1, with a certificate and a key that are good for nothing but tests, until 2126.
pub(crate) fn encrypting() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("certificates/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/server.key"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.unwrap()], key.unwrap());
    TlsAcceptor::from(Arc::new(settings.unwrap()))
}

/// A client that trusts it, or only what the system trusts.
pub(crate) fn trusting(it: bool) -> Option<Tls> {
    let settings = TlsSettings { ca_file: it.then(|| CA_FILE.into()), own: None };
    Some(Tls::open(&settings).unwrap())
}
