//! Random heads of requests and answers, compared with a plain model. Parsing never panics, and a
//! head passes exactly where the model allows it. End-to-end fields arrive unchanged and in order,
//! and no others do.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};

use crate::headers::{Peer, forward, give_back};

/// Fields of one connection. Who asks for an upgrade or for trailers gets `connection`, `upgrade`
/// and `te` sent again.
const OF_ONE_CONNECTION: [&str; 9] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// Fields that `connection` may not name away.
const KEPT: [&str; 5] =
    ["content-length", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
/// Fields with rules of their own, which are not compared one by one.
const OWN_RULES: [&str; 4] = ["expect", "forwarded", "host", "via"];

/// Values by name, each in their order.
type Fields = BTreeMap<String, Vec<Vec<u8>>>;

/// A head: `METHOD TARGET 1.1` or `STATUS UPGRADE`, and a line for each field. What the parser of the
/// library would refuse is left out.
pub fn heads(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(Ok(first)) = lines.next().map(std::str::from_utf8) else { return };
    let fields: HeaderMap = lines.filter_map(field).collect();
    let words: Vec<&str> = first.split(' ').collect();
    match words.as_slice() {
        [method, target, version] => request(method, target, version, fields),
        [status, asked] => answer(status, asked, fields),
        _ => {}
    }
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

fn request(method: &str, target: &str, version: &str, fields: HeaderMap) {
    let version = if version == "1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    let built = Request::builder().method(method).uri(target).version(version).body(());
    let Ok(mut request) = built else { return };
    let authority = request.uri().authority().map(ToString::to_string);
    let before = plain(&fields);
    *request.headers_mut() = fields;
    let upgrade = forward(&mut request, &Peer::new([192, 0, 2, 7].into(), true));
    let hosts = before.get("host").map_or(0, Vec::len);
    let missing = hosts == 0 && version == Version::HTTP_11;
    if *request.method() == Method::CONNECT || !framed(&before) || hosts > 1 || missing {
        assert!(upgrade.is_err(), "passes, and has more than one meaning: {before:?}");
        return;
    }
    let Ok(upgrade) = upgrade else {
        let no_host = authority.is_some_and(|authority| host(&authority).is_empty());
        assert!(no_host, "refused without a reason: {before:?}");
        return;
    };
    let after = plain(request.headers());
    assert_eq!(request.version(), Version::HTTP_11);
    assert!(request.uri().authority().is_none() && request.uri().scheme().is_none());
    passed(&before, &after);
    addressed(&before, &after, authority.as_deref());
    let asked = if version == Version::HTTP_11 { before.get("upgrade") } else { None };
    let asked = if names(&before, "connection", "upgrade") { asked } else { None };
    upgraded(asked.map(Vec::as_slice), &after, upgrade.as_ref());
    let trailers = names(&before, "te", "trailers");
    assert_eq!(after.contains_key("te"), trailers, "{after:?}");
    assert!(!trailers || names(&after, "connection", "te"), "{after:?}");
}

fn answer(status: &str, asked: &str, fields: HeaderMap) {
    let Some(status) = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok()) else {
        return;
    };
    let asked = HeaderValue::from_str(asked).ok().filter(|asked| !asked.is_empty());
    let before = plain(&fields);
    let mut response = Response::new(());
    (*response.status_mut(), *response.headers_mut()) = (status, fields);
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let passes = give_back(&mut response, asked.as_ref()).is_ok();
    if !framed(&before) || switches != asked.is_some() {
        assert!(!passes, "passes, and was not asked for: {before:?}");
        return;
    }
    if passes {
        let after = plain(response.headers());
        passed(&before, &after);
        assert_eq!(after.contains_key("upgrade"), switches, "{after:?}");
        assert_eq!(names(&after, "connection", "upgrade"), switches, "{after:?}");
    } else {
        // A switch to something else, and lengths that contradict each other, may be refused.
        assert!(switches || before.contains_key("content-length"), "refused: {before:?}");
    }
}

/// Whether the body is framed in one way.
fn framed(fields: &Fields) -> bool {
    let coding = fields.get("transfer-encoding").map_or(&[][..], Vec::as_slice);
    coding.is_empty()
        || (coding.len() == 1 && coding[0].trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// What is not of one connection arrives as it was; what is does not.
fn passed(before: &Fields, after: &Fields) {
    let ends_here = |name: &str| {
        let named = !KEPT.contains(&name) && names(before, "connection", name);
        // Two words that concern the connection itself, and name no field.
        let word = ["close", "keep-alive"].contains(&name);
        OF_ONE_CONNECTION.contains(&name) || (named && !word)
    };
    let special = |name: &str| {
        OWN_RULES.contains(&name)
            || name.starts_with("x-forwarded-")
            || name.starts_with("x_")
            || name == "x-real-ip"
            || name == "content-length"
    };
    for (name, values) in before.iter().filter(|(name, _)| !special(name)) {
        let arrived = after.get(name);
        if !ends_here(name) {
            assert_eq!(arrived, Some(values), "{name} is changed");
        } else if !["connection", "te", "upgrade"].contains(&name.as_str()) {
            assert_eq!(arrived, None, "{name} is of one connection");
        }
    }
    let added = ["connection", "te", "upgrade"];
    let known = |name: &String| before.contains_key(name) || special(name);
    let new: Vec<&String> = after.keys().filter(|name| !known(name)).collect();
    assert!(new.iter().all(|name| added.contains(&name.as_str())), "made up: {new:?}");
    let lengths = |fields: &Fields| fields.get("content-length").cloned().unwrap_or_default();
    let (before, after) = (lengths(before), lengths(after));
    // A length that is repeated may be forwarded as one.
    let was_listed =
        |length: &Vec<u8>| before.iter().flat_map(|list| tokens(list)).any(|l| l == length);
    assert_eq!(before.is_empty(), after.is_empty(), "a length is lost or made up");
    assert!(before == after || (after.len() == 1 && was_listed(&after[0])), "{before:?} {after:?}");
}

/// Who is asked, and on whose behalf.
fn addressed(before: &Fields, after: &Fields, authority: Option<&str>) {
    let hosts = after.get("host").cloned().unwrap_or_default();
    match authority {
        Some(authority) => assert_eq!(hosts, [host(authority).as_bytes()], "{authority}"),
        None => assert_eq!(hosts, before.get("host").cloned().unwrap_or_default()),
    }
    let last = |name: &str| after.get(name).and_then(|values| values.last()).map(Vec::as_slice);
    assert_eq!(last("x-forwarded-for"), Some(&b"192.0.2.7"[..]), "{after:?}");
    assert_eq!(last("via"), Some(&b"1.1 flyball"[..]), "{after:?}");
    assert!(last("x-forwarded-proto").is_some());
    assert!(last("x-forwarded-host").is_some() || hosts.is_empty());
}

/// A host and its port, without the name and password that may stand before it.
fn host(authority: &str) -> &str {
    authority.rsplit('@').next().unwrap_or_default()
}

/// An upgrade is to what was asked for, and never to HTTP/2.
fn upgraded(asked: Option<&[Vec<u8>]>, after: &Fields, upgrade: Option<&HeaderValue>) {
    let announced = after.get("upgrade").cloned().unwrap_or_default();
    let Some(upgrade) = upgrade else {
        assert!(announced.is_empty() && !names(after, "connection", "upgrade"), "{after:?}");
        return;
    };
    assert_eq!(announced, [upgrade.as_bytes()]);
    assert!(names(after, "connection", "upgrade"), "{after:?}");
    let asked = asked.unwrap_or_default();
    for protocol in tokens(upgrade.as_bytes()).filter(|protocol| !protocol.is_empty()) {
        let wanted = asked.iter().flat_map(|list| tokens(list)).any(|one| one == protocol);
        assert!(wanted, "{protocol:?} was not requested");
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default().trim_ascii();
        assert!(!name.eq_ignore_ascii_case(b"h2c"), "{after:?}");
    }
}

fn plain(fields: &HeaderMap) -> Fields {
    let mut plain = Fields::new();
    for (name, value) in fields {
        plain.entry(name.as_str().to_owned()).or_default().push(value.as_bytes().to_vec());
    }
    plain
}

/// Whether one of the lists in the field `list` has `name`.
fn names(fields: &Fields, list: &str, name: &str) -> bool {
    let listed = fields.get(list).into_iter().flatten().flat_map(|list| tokens(list));
    listed.into_iter().any(|listed| listed.eq_ignore_ascii_case(name.as_bytes()))
}

fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
