//! Heads by themselves, where a whole exchange would show no more.

use super::*;

fn request(fields: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().uri("/");
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn forwarded(fields: &[(&str, &str)]) -> (Request<()>, Option<HeaderValue>) {
    forwarded_by(true, fields)
}

fn forwarded_by(trusted: bool, fields: &[(&str, &str)]) -> (Request<()>, Option<HeaderValue>) {
    let mut request = request(fields);
    let peer = Peer::new("::ffff:192.0.2.7".parse().unwrap(), trusted);
    let upgrade = forward(&mut request, &peer).unwrap();
    (request, upgrade)
}

#[test]
fn a_client_is_named_by_its_plain_address() {
    let (request, _) = forwarded(&[("host", "a")]);
    assert_eq!(request.headers()[FORWARDED_FOR], "192.0.2.7");
}

#[test]
fn what_a_proxy_in_front_set_for_scheme_and_host_stays() {
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
fn connection_may_occur_twice_and_cannot_name_the_framing_away() {
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
    for hidden in [",h2c", "h2c,", "H2C", "h2", "HTTP/2.0", "http/2", ", h2c ,"] {
        assert!(!upgrade("upgrade", hidden), "{hidden}");
    }
}

#[test]
fn http_2_is_taken_out_of_a_list_of_protocols() {
    for listed in ["websocket, h2c", "h2c,websocket", ",websocket,,HTTP/2.0"] {
        let (request, upgrade) =
            forwarded(&[("host", "a"), ("connection", "upgrade"), ("upgrade", listed)]);
        assert_eq!(upgrade.unwrap(), "websocket", "{listed}");
        assert_eq!(request.headers()[UPGRADE], "websocket", "{listed}");
    }
    let split = [("host", "a"), ("connection", "upgrade"), ("upgrade", "h2c"), ("upgrade", "chat")];
    assert_eq!(forwarded(&split).1.unwrap(), "chat");
}

#[test]
fn a_replica_switches_to_what_it_was_asked_for_or_not_at_all() {
    let switched = |to: &'static str, asked: &'static str| {
        let builder = Response::builder().status(101).header("upgrade", to);
        give_back(&mut builder.body(()).unwrap(), Some(&HeaderValue::from_static(asked)))
    };
    assert_eq!(switched("WebSocket", "websocket"), Ok(()));
    assert_eq!(switched("b", "a, b"), Ok(()));
    assert_eq!(switched("h2c", "websocket"), Err(Refused));
}

#[test]
fn only_a_trusted_proxy_may_say_where_a_request_comes_from() {
    let fields = [
        ("host", "inner"),
        ("x-forwarded-for", "10.9.9.9"),
        ("X-Forwarded-For", "10.9.9.8"),
        ("x-forwarded-host", "outer"),
        ("x-forwarded-prefix", "/admin"),
        ("x_forwarded_for", "10.9.9.7"),
        ("x-real-ip", "10.9.9.6"),
        ("x_real_ip", "10.9.9.5"),
        ("forwarded", "for=10.9.9.4"),
        ("x-forward", "kept"),
        ("x-real-ip-too", "kept"),
        ("from", "kept"),
    ];
    let (request, _) = forwarded_by(false, &fields);
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in request.headers() {
        seen.push(format!("{name}: {}", value.to_str().unwrap()));
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            "from: kept",
            "host: inner",
            "via: 1.1 flyball",
            "x-forward: kept",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: inner",
            "x-forwarded-proto: http",
            "x-real-ip-too: kept",
        ]
    );
    let (request, _) = forwarded_by(true, &fields);
    let from: Vec<_> = request.headers().get_all(FORWARDED_FOR).iter().collect();
    assert_eq!(from, ["10.9.9.9", "10.9.9.8", "192.0.2.7"]);
    assert_eq!(request.headers()[FORWARDED], "for=10.9.9.4");
}

#[test]
fn a_name_and_password_in_the_target_do_not_become_the_host() {
    let hosted = |target: &str| {
        let mut request = Request::builder().uri(target).header("host", "a").body(()).unwrap();
        let peer = Peer::new([192, 0, 2, 7].into(), false);
        forward(&mut request, &peer).map(|_| request.headers()[HOST].clone())
    };
    assert_eq!(hosted("http://user:secret@example:81/p").unwrap(), "example:81");
    assert_eq!(hosted("http://example:81/p").unwrap(), "example:81");
}

#[test]
fn a_repeated_length_is_one_number() {
    let lengths = |given: &[&str]| {
        let mut response = Response::new(());
        for length in given {
            response.headers_mut().append(CONTENT_LENGTH, length.parse().unwrap());
        }
        give_back(&mut response, None)?;
        let all = response.headers().get_all(CONTENT_LENGTH).iter();
        Ok(all.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    for same in [&["5"][..], &["5, 5"], &["5", "5"], &["5,5", "5"]] {
        assert_eq!(lengths(same).unwrap(), ["5"], "{same:?}");
    }
    for other in [&["5, 6"][..], &["5", "6"], &["5,"], &[",5"]] {
        assert_eq!(lengths(other), Err(Refused), "{other:?}");
    }
}

#[test]
fn an_expectation_goes_on_but_not_from_a_client_of_1_0() {
    let expected = |version| {
        let mut request = request(&[("host", "a"), ("expect", "100-continue")]);
        *request.version_mut() = version;
        forward(&mut request, &Peer::new([192, 0, 2, 7].into(), false)).unwrap();
        request.headers().contains_key(EXPECT)
    };
    assert!(expected(Version::HTTP_11));
    assert!(!expected(Version::HTTP_10));
}

#[test]
fn a_request_for_an_upgrade_and_trailers_asks_the_replica_for_both() {
    let (request, upgrade) = forwarded(&[
        ("host", "a"),
        ("connection", "te, upgrade"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
    ]);
    assert!(upgrade.is_some());
    let connection: Vec<_> = request.headers().get_all(CONNECTION).iter().collect();
    assert_eq!(connection, ["te", "upgrade"]);
    assert_eq!(request.headers()[TE], "trailers");
}

#[test]
fn a_target_without_a_path_asks_for_the_root() {
    for (target, asked) in [("http://a?x=1", "/?x=1"), ("http://a", "/"), ("http://a/?x", "/?x")] {
        let mut request = Request::builder().uri(target).header("host", "b").body(()).unwrap();
        forward(&mut request, &Peer::new([192, 0, 2, 7].into(), true)).unwrap();
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
