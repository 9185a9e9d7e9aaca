//! Why a target was not told. No error contains the address: its path may be a secret.

use std::path::PathBuf;

/// A notification that did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A file that the settings name cannot be used.
    #[error("cannot use {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What is in `url_file` is no address.
    #[error("the text in {} is not an http:// or https:// address", path.display())]
    NoAddress {
        /// The file.
        path: PathBuf,
    },
    /// A certificate of the system cannot be used.
    #[error("{0}")]
    Tls(#[from] flyball_net::TlsError),
    /// Nobody was reached.
    #[error("cannot reach {host}: {source}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// It did not answer as a web server does.
    #[error("{host} did not answer: {source}")]
    NoAnswer {
        /// Host and port.
        host: String,
        /// Why.
        source: flyball_net::HttpError,
    },
    /// It did not answer in time.
    #[error("{host} did not answer within {limit_ms} ms")]
    Silent {
        /// Host and port.
        host: String,
        /// The limit.
        limit_ms: u128,
    },
    /// It refused the notification.
    #[error("{host} answered {status}: {said}")]
    Refused {
        /// Host and port.
        host: String,
        /// The status code.
        status: u16,
        /// The beginning of its answer.
        said: String,
    },
}

impl NotifyError {
    /// Whether another try may help: not where the target understood and refused.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::Silent { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::File { .. } | Self::NoAddress { .. } | Self::Tls(_) => false,
        }
    }
}
