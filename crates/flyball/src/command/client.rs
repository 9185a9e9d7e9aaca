//! The connection from the command line to a daemon. Each request has a deadline, and no message
//! contains a token.

use std::net::SocketAddr;
use std::time::Duration;

use flyball_web::Token;
use hyper::Method;
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::cli::Client;
use crate::failure::Failure;
use crate::http::{self, Ask};

/// Longer than the daemon takes to give up on its own journal.
const LIMIT: Duration = Duration::from_secs(10);

impl Client {
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let address = look_up(&self.daemon, "a daemon", 7878).await?;
        let token = self.token()?;
        let json = body.map(|body| body.to_string());
        let ask = Ask { method, path, token: token.as_deref(), json };
        let unreachable = |why: String| {
            Failure::new(format!("cannot reach flyball at {}: {why}", self.daemon)).hint(
                "is it running? `flyball run` starts it; --daemon HOST:PORT selects another \
                       one",
            )
        };
        let answer = timeout(LIMIT, http::send(address, ask))
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", LIMIT.as_secs())))?
            .map_err(|error| unreachable(error.to_string()))?;
        let value: Value = serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::new(format!("{} does not answer like a flyball: {error}", self.daemon))
        })?;
        if answer.status < 400 { Ok(value) } else { Err(refusal(answer.status, &value)) }
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let token = Token::of_file(path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        Ok(Some(token.expose()))
    }
}

/// The address of `what`, which may be written with a name.
pub(super) async fn look_up(written: &str, what: &str, port: u16) -> Result<SocketAddr, Failure> {
    let bad = |why: String| {
        Failure::new(format!("{written:?} is not the address of {what}: {why}"))
            .hint(format!("write HOST:PORT, such as 127.0.0.1:{port}"))
    };
    let mut found = timeout(LIMIT, lookup_host(written))
        .await
        .map_err(|_| bad("name lookup timed out".to_owned()))?
        .map_err(|error| bad(error.to_string()))?;
    found.next().ok_or_else(|| bad("the name has no address".to_owned()))
}

/// A problem document as one line.
fn refusal(status: u16, problem: &Value) -> Failure {
    let text = |key: &str| problem.get(key).and_then(Value::as_str).map(str::to_owned);
    let what =
        text("detail").or_else(|| text("title")).unwrap_or_else(|| format!("status {status}"));
    let kind = text("type").and_then(|kind| kind.rsplit(['/', ':']).next().map(str::to_owned));
    let hint = match kind.as_deref() {
        Some("token-needed") => Some("give the daemon's token with --token-file"),
        Some("unknown-service") => Some("`flyball status` lists the services"),
        Some("outside-bounds") => Some("min and max are in the daemon's configuration"),
        Some("not-leader") => {
            let place = text("leader").and_then(|leader| place_of(&leader).map(str::to_owned));
            return Failure::hinted(what, place.map(|place| format!("ask it: --daemon {place}")));
        }
        _ => None,
    };
    Failure::hinted(what, hint.map(str::to_owned))
}

/// The `HOST:PORT` in `http://HOST:PORT/ on MACHINE`.
fn place_of(leader: &str) -> Option<&str> {
    leader.strip_prefix("http://")?.split('/').next()
}

/// `name` as a part of a path.
pub(super) fn segment(name: &str) -> Result<&str, Failure> {
    let plain = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    plain.then_some(name).ok_or_else(|| {
        Failure::new(format!("{name:?} is not a service name"))
            .hint("`flyball status` lists the services")
    })
}
