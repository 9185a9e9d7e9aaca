//! What is said to those who wait for a service that has no ready replica.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response};

use crate::answer::Answer;
use crate::rejection::Rejection;
use crate::shared::Shared;
use crate::start::Start;

const PAGE: &str = include_str!("held/page.html");
/// The page has its style and its script inside, and asks nobody but the service.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'";
/// The most of a reason that anybody is shown.
const WHY_MAX: usize = 300;
/// The longest that somebody is asked to stay away.
const AWAY_MAX_S: u64 = 30;

/// Whether `request` is a browser's for a page: it can come again without harm.
pub(crate) fn wants_page<B>(request: &Request<B>) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let accepts = request.headers().get_all(ACCEPT).into_iter();
    reads && accepts.filter_map(|value| value.to_str().ok()).any(|text| text.contains("text/html"))
}

/// The answer to a request that was rejected for `reason`, with what is known of the start.
pub(crate) fn rejection(shared: &Shared, reason: Rejection) -> Response<Answer> {
    let mut response = Answer::rejection(reason);
    let start = shared.start.get();
    let text = match reason {
        Rejection::Starting => page(&shared.settings.service, &start),
        Rejection::WaitLimit if shared.upstreams.is_asleep() => sentence(&start),
        _ => return response,
    };
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(away_s(&start)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if reason == Rejection::Starting {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        let policy = HeaderName::from_static("content-security-policy");
        headers.insert(policy, HeaderValue::from_static(POLICY));
    }
    *response.body_mut() = Answer::Text(Some(Bytes::from(text)));
    response
}

fn away_s(start: &Start) -> u64 {
    start.usual_ms.unwrap_or(0).div_ceil(1_000).clamp(1, AWAY_MAX_S)
}

fn sentence(start: &Start) -> String {
    let why = start.why.as_deref().map(|why| format!(": {}", shortened(why)));
    format!("No replica of this service became ready in time{}\n", why.unwrap_or(".".into()))
}

fn page(service: &str, start: &Start) -> String {
    let usual = start.usual_ms.map(|ms| format!("This usually takes {}.", in_words(ms)));
    let why = start.why.as_deref().map(shortened);
    PAGE.replace("{service}", &escaped(service))
        .replace("{usual}", &usual.unwrap_or_default())
        .replace("{why}", &escaped(&why.unwrap_or_default()))
}

fn in_words(ms: u64) -> String {
    match ms.div_ceil(1_000) {
        0 | 1 => "about a second".to_owned(),
        s @ 2..120 => format!("about {s} seconds"),
        s => format!("about {} minutes", s.div_ceil(60)),
    }
}

/// One line, not too long.
fn shortened(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(WHY_MAX).collect::<String>().trim().to_owned()
}

/// As text between tags. Braces too, so that no part of the page is put into another.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' | '<' | '>' | '"' | '\'' | '{' | '}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_on_the_page_becomes_markup() {
        let why = Some("</p><script>alert(1)</script> & {usual} \"'\n\u{1b}[31m".to_owned());
        let text = page("<b>{why}</b>", &Start { why, usual_ms: Some(2_400) });
        assert!(!text.contains("<script>alert") && !text.contains("<b>"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("{why}"), "{text}");
        assert!(text.contains("&#60;script&#62;alert(1)"), "{text}");
        assert_eq!(text.matches("This usually takes about 3 seconds.").count(), 1, "{text}");
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http:") && !PAGE.contains("https:") && !PAGE.contains("//"));
    }

    #[test]
    fn only_a_request_that_may_come_again_gets_the_page() {
        let asks = |method: &str, accept: &str| {
            let request = Request::builder().method(method).header(ACCEPT, accept).body(());
            wants_page(&request.unwrap())
        };
        let browser = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
        assert!(asks("GET", browser) && asks("HEAD", browser));
        assert!(!asks("POST", browser) && !asks("GET", "*/*") && !asks("GET", "application/json"));
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let start = Start { why: Some(format!("exit 1:\n{}", "x".repeat(1_000))), usual_ms: None };
        let text = sentence(&start);
        assert!(text.starts_with("No replica of this service became ready in time: exit 1: xx"));
        assert!(text.len() < 400 && text.matches('\n').count() == 1, "{text}");
        assert_eq!(away_s(&start), 1);
        assert_eq!(away_s(&Start { usual_ms: Some(600_000), why: None }), AWAY_MAX_S);
    }
}
