//! Which header fields are forwarded, which end here, and which the proxy adds. Nothing meant for
//! one connection reaches the next, and a client cannot remove the body framing.

use std::net::IpAddr;

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Fields that end here: those of one connection (RFC 9110, 7.6.1), whether `Connection` names them
/// or not.
static LOCAL: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
];
/// Fields that `Connection` may not name away: the next hop relies on them.
static KEPT: [HeaderName; 5] =
    [HOST, CONTENT_LENGTH, FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST];

/// A request that has more than one meaning or is not served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A client as the replicas see it, created once per connection.
#[derive(Clone)]
pub(crate) struct Peer {
    address: HeaderValue,
    /// Whether its fields about the origin of a request are forwarded.
    trusted: bool,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, trusted: bool) -> Self {
        #[expect(clippy::expect_used, reason = "an address is printed in visible ASCII")]
        let address = HeaderValue::from_str(&address.to_canonical().to_string()).expect("ASCII");
        Self { address, trusted }
    }
}

/// Turns a client's request into the one for a replica. Returns the protocol to upgrade to, if any.
pub(crate) fn forward<B>(
    request: &mut Request<B>,
    peer: &Peer,
) -> Result<Option<HeaderValue>, Refused> {
    if request.method() == Method::CONNECT || !chunked_or_plain(request.headers()) {
        return Err(Refused);
    }
    take_authority(request)?;
    if !peer.trusted {
        strip_forwarding_fields(request.headers_mut());
    }
    if request.version() != Version::HTTP_11 {
        // There is no interim answer before 1.1 (RFC 9110, 10.1.1).
        request.headers_mut().remove(EXPECT);
    }
    let local = local_fields(request.headers());
    let mut upgrade = None;
    let mut trailers = false;
    if !local.is_empty() {
        upgrade = upgrade_wanted(request.version(), request.headers());
        trailers = wants_trailers(request.headers());
    }
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    strip(headers, &local);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(protocol) = &upgrade {
        announce_upgrade(headers, protocol.clone());
    }
    add_forwarded(headers, peer);
    Ok(upgrade)
}

/// Turns a replica's answer into the one for the client. `upgraded`: the protocol it switched to.
pub(crate) fn give_back<B>(
    response: &mut Response<B>,
    upgraded: Option<&HeaderValue>,
) -> Result<(), Refused> {
    if !chunked_or_plain(response.headers()) {
        return Err(Refused);
    }
    if (response.status() == StatusCode::SWITCHING_PROTOCOLS) != upgraded.is_some() {
        return Err(Refused);
    }
    let protocol = match upgraded {
        Some(asked) => Some(switched_to(response.headers(), asked)?),
        None => None,
    };
    one_length(response.headers_mut())?;
    *response.version_mut() = Version::HTTP_11;
    let local = local_fields(response.headers());
    let headers = response.headers_mut();
    strip(headers, &local);
    if let Some(protocol) = protocol {
        announce_upgrade(headers, protocol);
    }
    Ok(())
}

/// The local fields of a message, found in one pass over the few it has: most messages have none or
/// one, and searching for each that might be there costs a tenth of the whole exchange.
fn local_fields(headers: &HeaderMap) -> Vec<&'static HeaderName> {
    headers.keys().filter_map(|name| LOCAL.iter().find(|local| *local == name)).collect()
}

/// Whether the body is framed in a way that survives taking `Transfer-Encoding` off.
fn chunked_or_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Leaves one `Host` and a target in origin form; an absolute target overrules the field.
fn take_authority<B>(request: &mut Request<B>) -> Result<(), Refused> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = (hosts.next().is_some(), hosts.next().is_some());
    match (host, request.version()) {
        ((_, true), _) => return Err(Refused),
        ((false, _), Version::HTTP_11) => return Err(Refused),
        _ => {}
    }
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    // A name and password before the host are for the sender of the request (RFC 9110, 4.2.4).
    let host = authority.as_str().rsplit('@').next().filter(|host| !host.is_empty());
    let host = HeaderValue::from_str(host.ok_or(Refused)?).map_err(|_| Refused)?;
    // Written out, an empty path before a query is `/`.
    let path = request.uri().path_and_query().map_or("/".to_owned(), ToString::to_string);
    let target = path.parse::<Uri>().map_err(|_| Refused)?;
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = target;
    Ok(())
}

/// The protocols a client wants to change to. HTTP/2 is left out: replicas are spoken to in 1.1, and
/// a tunnel would hide its requests from every count.
fn upgrade_wanted(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    if version != Version::HTTP_11 || !connection_names(headers, "upgrade") {
        return None;
    }
    let listed = headers.get_all(UPGRADE).iter().flat_map(tokens);
    let wanted: Vec<&[u8]> = listed.filter(|name| !name.is_empty() && !is_http(name)).collect();
    HeaderValue::from_bytes(&wanted.join(&b", "[..])).ok().filter(|wanted| !wanted.is_empty())
}

/// Whether a protocol is a version of HTTP, by any of its names: `h2c`, `h2`, `HTTP/2.0`.
fn is_http(protocol: &[u8]) -> bool {
    let name = protocol_name(protocol);
    [&b"h2c"[..], b"h2", b"h3", b"http"].iter().any(|http| name.eq_ignore_ascii_case(http))
}

/// A protocol without its version: `chat` of `chat/2`.
fn protocol_name(protocol: &[u8]) -> &[u8] {
    protocol.split(|byte| *byte == b'/').next().unwrap_or_default().trim_ascii()
}

/// What a replica switched to: one of the protocols it was asked for.
fn switched_to(answer: &HeaderMap, asked: &HeaderValue) -> Result<HeaderValue, Refused> {
    let Some(chosen) = answer.get(UPGRADE) else { return Ok(asked.clone()) };
    let is_asked = |name: &[u8]| {
        tokens(asked).any(|asked| protocol_name(asked).eq_ignore_ascii_case(protocol_name(name)))
    };
    if tokens(chosen).all(is_asked) { Ok(chosen.clone()) } else { Err(Refused) }
}

/// Leaves one `Content-Length` of one number: a list of the same numbers is one (RFC 9110, 8.6),
/// but the next hop may not know that.
fn one_length(headers: &mut HeaderMap) -> Result<(), Refused> {
    let mut given = headers.get_all(CONTENT_LENGTH).iter();
    let (Some(first), second) = (given.next(), given.next()) else { return Ok(()) };
    if second.is_none() && !first.as_bytes().contains(&b',') {
        return Ok(());
    }
    let numbers: Vec<&[u8]> = headers.get_all(CONTENT_LENGTH).iter().flat_map(tokens).collect();
    let number = numbers.first().filter(|number| !number.is_empty()).ok_or(Refused)?;
    if numbers.iter().any(|other| other != number) {
        return Err(Refused);
    }
    let number = HeaderValue::from_bytes(number).map_err(|_| Refused)?;
    headers.insert(CONTENT_LENGTH, number);
    Ok(())
}

/// Removes the fields about a request's origin that only a proxy in front may set. An application
/// that goes by its environment (CGI, WSGI) cannot distinguish `_` from `-`, so they are treated
/// alike here.
fn strip_forwarding_fields(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| is_forwarding_field(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn is_forwarding_field(name: &str) -> bool {
    // Names are in lower case; most begin with neither.
    if !name.starts_with(['x', 'f']) {
        return false;
    }
    let is = |wanted: &str| {
        let same = |(a, b): (u8, u8)| a == b || (a == b'_' && b == b'-');
        name.len() >= wanted.len() && name.bytes().zip(wanted.bytes()).all(same)
    };
    is("x-forwarded-") || (is("x-real-ip") && name.len() == 9) || name == FORWARDED.as_str()
}

/// The fields of an interim answer that go on.
pub(crate) fn end_to_end(fields: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let named = named_by_connection(fields);
    let framing = [&CONTENT_LENGTH, &TRANSFER_ENCODING];
    fields.iter().filter(move |(name, _)| {
        !LOCAL.contains(name) && !named.contains(name) && !framing.contains(name)
    })
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|value| lists(value, "trailers"))
}

fn connection_names(headers: &HeaderMap, token: &str) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| lists(value, token))
}

fn lists(value: &HeaderValue, token: &str) -> bool {
    tokens(value).any(|listed| listed.eq_ignore_ascii_case(token.as_bytes()))
}

/// Bytes, not text: a field is not spared because its neighbour is not ASCII.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Takes off `local`, and with `Connection` whatever it names.
fn strip(headers: &mut HeaderMap, local: &[&'static HeaderName]) {
    if local.contains(&&CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
    }
    for name in local {
        headers.remove(*name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = headers.get_all(CONNECTION).iter().flat_map(tokens);
    named
        // The two usual ones, which name no field of their own.
        .filter(|token| !matches!(*token, b"keep-alive" | b"close"))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !KEPT.contains(name))
        .collect()
}

fn announce_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    // Beside `te`, where trailers are wanted, too.
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Adds this hop. The scheme and host that a trusted proxy in front has set are left as they are.
fn add_forwarded(headers: &mut HeaderMap, peer: &Peer) {
    headers.reserve(4);
    headers.append(FORWARDED_FOR, peer.address.clone());
    if let Entry::Vacant(proto) = headers.entry(FORWARDED_PROTO) {
        proto.insert(HeaderValue::from_static("http"));
    }
    if let Some(host) = headers.get(HOST).cloned()
        && let Entry::Vacant(forwarded) = headers.entry(FORWARDED_HOST)
    {
        forwarded.insert(host);
    }
    headers.append(VIA, HeaderValue::from_static("1.1 flyball"));
}

#[cfg(test)]
mod tests;
