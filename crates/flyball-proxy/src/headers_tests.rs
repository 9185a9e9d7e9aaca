//! The heads alone, where a whole exchange would show no more.

use super::*;

fn request(fields: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().uri("/");
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn forwarded(fields: &[(&str, &str)]) -> (Request<()>, Option<HeaderValue>) {
    let mut request = request(fields);
    let peer = Peer::new("::ffff:192.0.2.7".parse().unwrap());
    let upgrade = forward(&mut request, &peer).unwrap();
    (request, upgrade)
}

#[test]
fn a_client_is_named_by_its_plain_address() {
    let (request, _) = forwarded(&[("host", "a")]);
    assert_eq!(request.headers()[FORWARDED_FOR], "192.0.2.7");
}

#[test]
fn what_a_proxy_in_front_said_of_scheme_and_host_stays() {
    let (request, _) = forwarded(&[
        ("host", "inner"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outer"),
        ("via", "1.1 front"),
    ]);
    let headers = request.headers();
    assert_eq!(
        (&headers[FORWARDED_PROTO], &headers[FORWARDED_HOST]),
        (&"https".parse().unwrap(), &"outer".parse().unwrap())
    );
    assert_eq!(headers.get_all(VIA).iter().collect::<Vec<_>>(), ["1.1 front", "1.1 flyball"]);
}

#[test]
fn connection_may_be_said_twice_and_cannot_name_the_framing_away() {
    let (request, _) = forwarded(&[
        ("host", "a"),
        ("connection", "x-one, Content-Length"),
        ("connection", "X-Two,, \u{e9}"),
        ("x-one", "1"),
        ("x-two", "2"),
        ("content-length", "0"),
    ]);
    let headers = request.headers();
    assert!(!headers.contains_key("x-one") && !headers.contains_key("connection"));
    assert!(headers.contains_key(CONTENT_LENGTH) && headers.contains_key(HOST));
}

#[test]
fn an_upgrade_needs_both_fields_and_is_never_to_http_2() {
    let upgrade = |connection, protocol| {
        let (request, upgrade) =
            forwarded(&[("host", "a"), ("connection", connection), ("upgrade", protocol)]);
        assert_eq!(request.headers().contains_key(UPGRADE), upgrade.is_some());
        assert_eq!(request.headers().contains_key(CONNECTION), upgrade.is_some());
        upgrade.is_some()
    };
    assert!(upgrade("keep-alive, Upgrade", "websocket"));
    assert!(!upgrade("keep-alive", "websocket"));
    assert!(!upgrade("upgrade, http2-settings", "h2c"));
}

#[test]
fn who_wants_an_upgrade_and_trailers_says_both_to_the_replica() {
    let (request, upgrade) = forwarded(&[
        ("host", "a"),
        ("connection", "te, upgrade"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
    ]);
    assert!(upgrade.is_some());
    let said: Vec<_> = request.headers().get_all(CONNECTION).iter().collect();
    assert_eq!(said, ["te", "upgrade"]);
    assert_eq!(request.headers()[TE], "trailers");
}

#[test]
fn a_target_without_a_path_asks_for_the_root() {
    for (target, asked) in [("http://a?x=1", "/?x=1"), ("http://a", "/"), ("http://a/?x", "/?x")] {
        let mut request = Request::builder().uri(target).header("host", "b").body(()).unwrap();
        forward(&mut request, &Peer::new([192, 0, 2, 7].into())).unwrap();
        assert_eq!(
            (request.uri().to_string().as_str(), &request.headers()[HOST]),
            (asked, &"a".parse().unwrap())
        );
    }
}

#[test]
fn an_answer_may_switch_protocols_only_when_asked() {
    let switching = || {
        let builder = Response::builder().status(101).header("upgrade", "chat");
        builder.header("connection", "upgrade").body(()).unwrap()
    };
    assert_eq!(give_back(&mut switching(), None), Err(Refused));
    let mut answer = switching();
    give_back(&mut answer, Some(&HeaderValue::from_static("chat/2"))).unwrap();
    assert_eq!(answer.headers()[UPGRADE], "chat");
}
