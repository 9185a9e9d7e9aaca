//! The connection from the command line to a daemon. Each request has a deadline, and no message
//! contains a token.

use std::net::SocketAddr;
use std::time::Duration;

use flyball_web::{Problem, ProblemKind, Token};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::cli::{Client, host_and_port};
use crate::failure::Failure;
use crate::http::{self, Ask};

/// Longer than the daemon takes to give up on its own journal.
const LIMIT: Duration = Duration::from_secs(10);

impl Client {
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let json = serde_json::to_string(body)
            .map_err(|error| Failure::new(format!("cannot write the request: {error}")))?;
        self.ask(Method::POST, path, Some(json)).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<T, Failure> {
        self.ask_or_problem(method, path, json).await?.map_err(refusal)
    }

    /// The same with what the daemon objects to.
    pub(super) async fn post_or_problem<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Result<T, Problem>, Failure> {
        self.ask_or_problem(Method::POST, path, None).await
    }

    async fn ask_or_problem<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<Result<T, Problem>, Failure> {
        let address = look_up(&self.daemon, "a daemon", 7878).await?;
        let token = self.token()?;
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
        let foreign = |error: serde_json::Error| {
            Failure::new(format!("{} does not answer like a flyball: {error}", self.daemon))
        };
        if answer.status().as_u16() < 400 {
            return serde_json::from_slice(answer.body()).map(Ok).map_err(foreign);
        }
        Ok(Err(serde_json::from_slice(answer.body()).map_err(foreign)?))
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
pub(super) fn refusal(problem: Problem) -> Failure {
    if problem.is(ProblemKind::NotLeader) {
        let leader = problem.leader.filter(|leader| leader.starts_with("http://"));
        let hint = leader.map(|leader| format!("ask it: --daemon {}", host_and_port(&leader)));
        return Failure::hinted(problem.detail, hint);
    }
    let hints = [
        (ProblemKind::TokenNeeded, "give the daemon's token with --token-file"),
        (ProblemKind::UnknownService, "`flyball status` lists the services"),
        (ProblemKind::OutsideBounds, "min and max are in the daemon's configuration"),
    ];
    let hint = hints.iter().find(|(kind, _)| problem.is(*kind)).map(|(_, hint)| (*hint).to_owned());
    Failure::hinted(problem.detail, problem.hint.map(String::from).or(hint))
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
