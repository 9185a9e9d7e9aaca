//! Decides who may ask: which names the server answers to, and who may change anything.
//!
//! Knows headers only, neither routes nor services. Invariant: a page of another site can change
//! nothing, and can read nothing either by giving its own name an address of this machine (DNS
//! rebinding): such a request carries that name as its host and is refused.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use axum::http::header::{self, AsHeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method};

use crate::problem::{Kind, Problem};

/// The secret that whoever changes something must present. `Debug` does not show it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token in `text`, without the white space around it; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Compares in a time that depends on the lengths only.
    fn is(&self, presented: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differing = own.iter().zip(presented).fold(0, |seen, (a, b)| seen | (a ^ b));
        std::hint::black_box(differing) == 0 && own.len() == presented.len()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The rules of one server.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The host it was told to listen on; it answers to this name.
    pub(crate) bound_name: String,
    /// What changing calls must present; `None` on loopback.
    pub(crate) token: Option<Token>,
}

impl Access {
    /// Refuses a request that may not be answered at all, or not with a change.
    pub(crate) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let host = self.check_host(headers)?;
        if method.is_safe() {
            return Ok(());
        }
        check_same_site(headers, &host)?;
        self.check_token(headers)
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<Authority, Problem> {
        let wrong = |detail: String| Problem::new(Kind::WrongHost, detail);
        let host = only_one(headers, header::HOST)
            .ok_or_else(|| wrong("the request must name its host once".to_owned()))?;
        let authority: Authority =
            host.parse().map_err(|_| wrong(format!("\"{host}\" is not the name of a host")))?;
        if self.answers_to(authority.host()) {
            return Ok(authority);
        }
        Err(wrong(format!(
            "this server does not answer to \"{}\": use its IP address, or put the name into `listen`",
            authority.host()
        )))
    }

    fn answers_to(&self, name: &str) -> bool {
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        bare.map_or_else(|| name.parse::<IpAddr>().is_ok(), |n| n.parse::<Ipv6Addr>().is_ok())
            || name.eq_ignore_ascii_case("localhost")
            || name.eq_ignore_ascii_case(&self.bound_name)
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let presented = only_one(headers, header::AUTHORIZATION).and_then(bearer);
        match presented {
            Some(presented) if token.is(presented.as_bytes()) => Ok(()),
            Some(_) => Err(Problem::new(Kind::TokenNeeded, "that is not the token")),
            None => Err(Problem::new(
                Kind::TokenNeeded,
                "to change anything, send the token as `authorization: Bearer TOKEN`",
            )),
        }
    }
}

/// A browser says where a request comes from; programs say nothing and are let through.
fn check_same_site(headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let refused = |from: &str| {
        Problem::new(Kind::CrossSite, format!("a page of \"{from}\" may not change anything here"))
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
        Access { bound_name: "Scaler.example".to_owned(), token: Token::new(" s3cret\n") }
    }

    #[test]
    fn debug_of_a_token_hides_it() {
        assert!(!format!("{:?}", access()).contains("s3cret"));
    }

    #[test]
    fn a_token_is_compared_whole() {
        let token = Token::new("s3cret").unwrap();
        assert!(token.is(b"s3cret"));
        for wrong in ["", "s", "s3cre", "s3cret2", "S3cret"] {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
        assert!(Token::new(" \n").is_none());
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
