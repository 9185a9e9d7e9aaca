//! Access control by request headers: the host names that are served, and who may read or make
//! changes. A page of another site can change nothing. It cannot read anything by DNS rebinding
//! either, because such a request carries a foreign host name and is refused.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::header::{self, AsHeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method};
use flyball_net::Token;

use crate::api::{Problem, ProblemKind};

/// The rules of one server.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The host it was told to listen on; it answers to this name.
    pub(crate) bound_name: String,
    /// What changing calls must present; `None` lets anybody change who reaches the loopback
    /// address by himself.
    pub(crate) token: Option<Token>,
    /// What reading calls must present, unless they present the other one; `None` lets anybody
    /// read.
    pub(crate) read_token: Option<Token>,
}

impl Access {
    /// Refuses a request that may not be answered at all, or not with a change.
    pub(crate) fn check(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let host = self.check_host(headers)?;
        if !method.is_safe() {
            check_same_site(headers, &host)?;
            return self.check_changing(headers);
        }
        if Self::holds_figures(path) { self.check_reading(headers) } else { Ok(()) }
    }

    /// The page contains no measurements, and health checks carry no token.
    pub(crate) fn holds_figures(path: &str) -> bool {
        path.starts_with("/api/") || path == "/metrics"
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<Authority, Problem> {
        let wrong = |detail: String| Problem::new(ProblemKind::WrongHost, detail);
        let host = only_one(headers, header::HOST)
            .ok_or_else(|| wrong("the request must have exactly one host".to_owned()))?;
        let authority: Authority =
            host.parse().map_err(|_| wrong(format!("\"{host}\" is not a valid host name")))?;
        if self.answers_to(authority.host()) {
            return Ok(authority);
        }
        Err(wrong(format!(
            "this server does not serve \"{}\": use its IP address, or put the name into `listen`",
            authority.host()
        )))
    }

    fn answers_to(&self, name: &str) -> bool {
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        bare.map_or_else(|| name.parse::<IpAddr>().is_ok(), |n| n.parse::<Ipv6Addr>().is_ok())
            || name.eq_ignore_ascii_case("localhost")
            || name.eq_ignore_ascii_case(&self.bound_name)
    }

    fn check_changing(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return refuse_forwarded(headers) };
        let presented = presented(headers);
        match presented {
            Some(it) if token.is(it) => Ok(()),
            Some(it) if self.read_token.as_ref().is_some_and(|token| token.is(it)) => {
                Err(Problem::new(ProblemKind::ReadOnly, "changes require the token of token_file"))
            }
            Some(_) => Err(Problem::new(ProblemKind::TokenNeeded, "wrong token")),
            None => Err(Problem::new(
                ProblemKind::TokenNeeded,
                "to make changes, send the token as `authorization: Bearer TOKEN`",
            )),
        }
    }

    /// Whether a request presents a token that this server knows, so that it is no stranger's.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        let tokens = [&self.token, &self.read_token];
        presented(headers).is_some_and(|it| tokens.into_iter().flatten().any(|token| token.is(it)))
    }

    fn check_reading(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(read_token) = &self.read_token else { return Ok(()) };
        let known = |it| read_token.is(it) || self.token.as_ref().is_some_and(|token| token.is(it));
        match presented(headers) {
            Some(it) if known(it) => Ok(()),
            Some(_) => Err(Problem::new(ProblemKind::TokenNeeded, "wrong token")),
            None => Err(Problem::new(
                ProblemKind::TokenNeeded,
                "to read, send a token as `authorization: Bearer TOKEN`",
            )),
        }
    }
}

/// The token that a request carries.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    only_one(headers, header::AUTHORIZATION).and_then(bearer).map(str::as_bytes)
}

/// A browser says where a request comes from; programs say nothing and are let through.
fn check_same_site(headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let refused = |from: &str| {
        Problem::new(
            ProblemKind::CrossSite,
            format!("pages of \"{from}\" may not make changes here"),
        )
    };
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        let same = origin.split_once("://").is_some_and(|(_, rest)| rest == host.as_str());
        if !same {
            return Err(refused(origin));
        }
    }
    match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(refused("another site")),
    }
}

/// What proxies add to a request that they pass on.
const FORWARDED: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// A loopback address keeps other machines away only until a proxy on this one lets them in: a
/// change that came that way is anybody's, and no token tells whose. A proxy that adds none of
/// these headers cannot be seen, so this takes the place of a token nowhere.
fn refuse_forwarded(headers: &HeaderMap) -> Result<(), Problem> {
    match FORWARDED.into_iter().find(|name| headers.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Problem::new(
            ProblemKind::NoToken,
            format!(
                "it came through a proxy (its header {name} says so), and this server has no \
                 token to ask for: set token_file under [flyball]"
            ),
        )),
    }
}

/// The value of a header that is there exactly once, as text.
fn only_one(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() {
        return None;
    }
    first.to_str().ok()
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access { bound_name: "Scaler.example".to_owned(), token: None, read_token: None }
    }

    #[test]
    fn answers_to_addresses_localhost_and_the_bound_name_only() {
        for name in ["127.0.0.1", "[::1]", "10.0.0.7", "LOCALHOST", "scaler.example"] {
            assert!(access().answers_to(name), "{name}");
        }
        for name in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[x]", ""]
        {
            assert!(!access().answers_to(name), "{name}");
        }
    }
}
