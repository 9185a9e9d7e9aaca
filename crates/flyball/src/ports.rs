//! Whether flyball can listen on its addresses. Each port is opened and closed again; a flyball
//! that runs with this configuration may already hold it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use flyball_config::Daemon;
use hyper::Method;
use serde_json::Value;
use tokio::time::timeout;

use crate::finding::Finding;
use crate::http::{self, Ask};

const LIMIT: Duration = Duration::from_secs(3);

/// The addresses of the running flyball; empty if none runs.
pub(crate) struct Ports {
    running: BTreeSet<SocketAddr>,
}

impl Ports {
    /// Asks the program that listens on the address of `daemon`.
    pub(crate) async fn of(daemon: &Daemon) -> Self {
        let token = daemon.read_token_file.as_deref().or(daemon.token_file.as_deref());
        let token = token.and_then(read_token);
        let ask = async |path| {
            let ask = Ask { method: Method::GET, path, token: token.as_deref(), json: None };
            let answer = timeout(LIMIT, http::send(daemon.listen, ask)).await.ok()?.ok()?;
            serde_json::from_slice::<Value>(answer.body()).ok()
        };
        let leadership = ask("/api/v1/leader").await;
        let mut running = BTreeSet::new();
        if leadership.is_some_and(|leadership| is_flyball(&leadership)) {
            running.extend(ask("/api/v1/services").await.iter().flat_map(proxies));
            running.insert(daemon.listen);
        }
        Self { running }
    }

    pub(crate) fn look_at(&self, key: &str, address: SocketAddr) -> Finding {
        let (ok, text, hint) = match TcpListener::bind(address) {
            Ok(_) => (true, format!("{address} is free"), None),
            Err(error) if error.kind() == ErrorKind::AddrInUse && self.has(address) => {
                (true, format!("{address} is in use by the running flyball"), None)
            }
            Err(error) => {
                let hint = match error.kind() {
                    ErrorKind::AddrInUse => {
                        "another program uses it: choose another port, or find the program with \
                         `ss -ltnp`"
                    }
                    ErrorKind::PermissionDenied => "choose a port above 1023, or run as root",
                    _ => "choose an address of this machine",
                };
                (false, format!("cannot listen on {address}: {error}"), Some(hint.to_owned()))
            }
        };
        Finding { key: key.to_owned(), ok, text, hint }
    }

    /// A running flyball may listen on `0.0.0.0` although one address is checked, or the reverse.
    fn has(&self, address: SocketAddr) -> bool {
        let same = |mine: &SocketAddr| {
            let any = mine.ip().is_unspecified() || address.ip().is_unspecified();
            mine.port() == address.port() && (mine.ip() == address.ip() || any)
        };
        self.running.iter().any(same)
    }
}

/// Whether this answer is a flyball's; one that requires another token says so.
fn is_flyball(leadership: &Value) -> bool {
    let text = |key: &str| leadership.get(key).and_then(Value::as_str);
    text("role").is_some() || text("type").is_some_and(|kind| kind.ends_with("token-needed"))
}

/// Where the services of a flyball take requests.
fn proxies(services: &Value) -> Vec<SocketAddr> {
    let address =
        |service: &Value| service.get("address")?.as_str()?.strip_prefix("http://")?.parse().ok();
    services.as_array().into_iter().flatten().filter_map(address).collect()
}

fn read_token(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_flyballs_owns_no_port() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for other in ["[]", "{}", "{\"status\":\"ok\"}", "{\"type\":\"about:blank\"}", "null"] {
            assert!(!is_flyball(&read(other)), "{other}");
        }
        assert!(is_flyball(&read("{\"role\":\"standalone\"}")));
        let one = "[{\"address\":\"http://127.0.0.1:8080\"},{\"address\":null}]";
        assert_eq!(proxies(&read(one)), ["127.0.0.1:8080".parse().unwrap()]);
    }

    #[test]
    fn a_port_that_another_program_has_is_wrong_and_our_own_is_not() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let found = |running: &[SocketAddr]| {
            Ports { running: running.iter().copied().collect() }.look_at("listen", address)
        };
        let other = found(&["127.0.0.1:1".parse().unwrap()]);
        assert!(!other.ok && other.hint.is_some(), "{other:?}");
        let ours = found(&[SocketAddr::from(([0, 0, 0, 0], address.port()))]);
        assert!(
            ours.ok && ours.hint.is_none() && ours.text.contains("by the running flyball"),
            "{ours:?}"
        );
    }
}
