//! One probe of one replica.
//!
//! Decides what counts as a pass. Does not know what it is asked for. Invariant: it ends within
//! [`LIMIT`], whatever the replica does.

use std::net::SocketAddr;
use std::time::Duration;

use flyball_config::Ready;
use flyball_core::observation::{ProbeFailure, is_failure};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http;

/// A replica that takes longer fails.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// Asks the replica at `address` once.
pub(super) async fn probe(ready: &Ready, address: SocketAddr) -> Result<(), ProbeFailure> {
    let silent = |why: String| ProbeFailure { silent: true, why };
    let asked = async {
        match ready {
            Ready::Tcp => TcpStream::connect(address).await.map(|_| None).map_err(Into::into),
            Ready::Http { path, .. } => http::status(address, path).await.map(Some),
        }
    };
    let status = timeout(LIMIT, asked)
        .await
        .map_err(|_| silent(format!("{} got no answer within {} s", name(ready), LIMIT.as_secs())))?
        .map_err(|error| silent(format!("{} failed: {}", name(ready), causes(&*error))))?;
    match (ready, status) {
        (Ready::Http { any_but_failure, .. }, Some(status))
            if if *any_but_failure { is_failure(status) } else { status >= 400 } =>
        {
            let why = format!("{} was answered with {status}", name(ready));
            Err(ProbeFailure { silent: false, why })
        }
        _ => Ok(()),
    }
}

fn name(ready: &Ready) -> String {
    match ready {
        Ready::Tcp => "a connection".to_owned(),
        Ready::Http { path, .. } => format!("`GET {path}`"),
    }
}

/// An error with what lies behind it.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
