//! What goes through unchanged, and what must not.

mod stage;

use flyball_proxy::ProxySettings;
use stage::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn hop_by_hop_fields_end_here_both_ways_and_the_rest_goes_on() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = scripted("web", |mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        let answer = "HTTP/1.1 200 OK\r\nconnection: x-private\r\nx-private: 1\r\nkeep-alive: timeout=5\r\n\
                      proxy-authenticate: x\r\nx-public: 2\r\n";
        let length = head.len();
        let answer = format!("{answer}content-length: {length}\r\n\r\n{head}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    web.route(&proxy);
    let answer = send(
        proxy.address(),
        "GET /p?q=1 HTTP/1.1\r\nhost: example\r\nconnection: close, x-secret, host\r\nx-secret: 1\r\n\
         keep-alive: 1\r\nproxy-authorization: b\r\nte: trailers, deflate\r\ntrailer: x\r\n\
         x-forwarded-for: 10.0.0.9\r\nx-kept: yes\r\n\r\n",
    )
    .await;
    let seen = body(&answer);
    assert!(seen.starts_with("GET /p?q=1 HTTP/1.1\r\n"), "{seen}");
    for kept in [
        "host: example",
        "x-kept: yes",
        "te: trailers\r\n",
        "x-forwarded-for: 10.0.0.9\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
        "x-forwarded-proto: http",
        "x-forwarded-host: example",
        "via: 1.1 flyball",
    ] {
        assert!(seen.contains(kept), "{kept} is missing in {seen}");
    }
    for gone in ["x-secret", "keep-alive", "proxy-authorization", "deflate"] {
        assert!(!seen.contains(gone), "{gone} went through in {seen}");
    }
    let head = answer.split_once("\r\n\r\n").unwrap().0;
    assert!(head.contains("x-public: 2"), "{head}");
    for gone in ["x-private", "keep-alive", "proxy-authenticate"] {
        assert!(!head.contains(gone), "{gone} went through in {head}");
    }
}

#[tokio::test]
async fn trailers_of_an_answer_arrive_and_its_connection_is_used_again() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = scripted("web", |mut stream| async move {
        for number in 1..=2 {
            read_until(&mut stream, "\r\n\r\n").await;
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
            let answer = format!("{head}3\r\nabc\r\n0\r\nx-sum: {number}\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        stream.read_u8().await.unwrap_err();
    })
    .await;
    web.route(&proxy);
    let ask = "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n";
    for number in 1..=2 {
        let answer = send(proxy.address(), ask).await;
        assert!(answer.contains("trailer: x-sum"), "{answer}");
        assert_eq!(body(&answer), format!("3\r\nabc\r\n0\r\nx-sum: {number}\r\n\r\n"));
    }
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!(report.latency.unwrap().count, 2);
}

#[tokio::test]
async fn a_web_socket_echoes_and_is_in_flight_as_long_as_it_is_open() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = scripted("web", |mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("connection: upgrade") && head.contains("upgrade: websocket"));
        let answer = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                      sec-websocket-accept: x\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    })
    .await;
    web.route(&proxy);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let ask = "GET /chat HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
               sec-websocket-key: x\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-accept: x"),
        "{head}"
    );
    assert_eq!(read_until(&mut stream, "hello").await, "hello");
    for word in ["one.", "two.", "three."] {
        stream.write_all(word.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut stream, ".").await, word);
    }
    assert_eq!(in_flight(&proxy.observe()), 1);
    proxy.drain(&id("web"));
    stream.write_all(b"still.").await.unwrap();
    assert_eq!(read_until(&mut stream, ".").await, "still.");
    drop(stream);
    let report = observed(&proxy, |report| report.servers.is_empty()).await;
    assert_eq!((report.arrivals, report.errors), (1, 0));
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let ask =
        "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n";
    assert_eq!(body(&send(proxy.address(), ask).await), "web");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_megabytes_go_up_whole() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let body_sent = "x".repeat(20 << 20);
    assert_eq!(body(&post(proxy.address(), &body_sent).await), "web got 20971520");
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body_sent}\r\n0\r\n\r\n",
        body_sent.len()
    );
    assert_eq!(body(&send(proxy.address(), &chunked).await), "web got 20971520");
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_only_when_a_replica_takes_the_body() {
    let proxy = proxy(ProxySettings::default()).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    observed(&proxy, |report| report.waiting == 1).await;
    assert!(stream.try_read(&mut [0; 9]).is_err(), "no replica is there to take the body");
    let web = replica("web").await;
    web.route(&proxy);
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    assert!(read_until(&mut stream, "web got 3").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn replicas_and_clients_that_speak_http_1_0_are_served() {
    let proxy = proxy(ProxySettings::default()).await;
    let old = scripted("old", |mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("host: "), "{head}");
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end").await.unwrap();
    })
    .await;
    old.route(&proxy);
    let answer = send(proxy.address(), ASK).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("D\r\nuntil the end\r\n0\r\n\r\n"), "{answer}");
    let answer = send(proxy.address(), "GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert_eq!(body(&answer), "until the end");
    assert_eq!(proxy.observe().errors, 0);
}

#[tokio::test]
async fn one_client_connection_carries_many_requests_and_heads_keep_their_length() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("content-length: 3\r\n"), "{head}");
        stream.write_all(b"GET /status/304 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 304"));
    }
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.arrivals, report.latency.unwrap().count), (6, 6));
}

#[tokio::test]
async fn an_absolute_target_goes_on_in_origin_form_with_its_host() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let ask =
        "GET http://real.example:81/head?x HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n";
    let answer = send(proxy.address(), ask).await;
    assert!(body(&answer).starts_with("/head?x HTTP/1.1"), "{answer}");
    assert!(answer.contains("\"host\": \"real.example:81\""), "{answer}");
}

#[tokio::test]
async fn what_has_two_meanings_is_refused() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    for ask in [
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ] {
        assert_refused(&send(proxy.address(), ask).await, "400", "bad-request");
    }
    let lengths = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    assert_eq!(status(&send(proxy.address(), lengths).await), "400");
    // Chunked overrules the length, and the connection is not trusted any further.
    let both = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    assert_eq!(body(&send(proxy.address(), both).await), "web got 2");
    assert_eq!(proxy.observe().errors, 0, "the service is not to blame");
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_at_its_limit() {
    let proxy = proxy(ProxySettings { header_limit_ms: 60, ..Default::default() }).await;
    assert_eq!(send(proxy.address(), "GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await, "");
    assert_eq!(proxy.observe().arrivals, 0);
}

#[tokio::test]
async fn a_body_that_is_not_framed_as_announced_is_a_bad_request() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for chunks in ["zz\r\nhello\r\n", "5\r\nhelloXX0\r\n\r\n", "-1\r\n\r\n"] {
        let answer = send(proxy.address(), &format!("{head}{chunks}")).await;
        assert_refused(&answer, "400", "bad-request");
    }
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.arrivals, report.errors), (0, 0), "no fault and no load of the service");
}

#[tokio::test]
async fn a_stranger_cannot_say_where_its_request_comes_from() {
    let proxy = proxy(ProxySettings { trusted: Vec::new(), ..Default::default() }).await;
    let web = replica("web").await;
    web.route(&proxy);
    let ask = "GET /head HTTP/1.1\r\nhost: inner\r\nconnection: close\r\nx-forwarded-for: 10.0.0.9\r\n\
               x-forwarded-proto: https\r\nforwarded: for=10.0.0.9\r\n\r\n";
    let seen = send(proxy.address(), ask).await;
    assert!(!seen.contains("10.0.0.9") && !seen.contains("https"), "{seen}");
    assert!(seen.contains("\"x-forwarded-for\": \"127.0.0.1\""), "{seen}");
}

#[tokio::test]
async fn a_length_that_a_replica_sends_twice_reaches_the_client_once() {
    for length in ["content-length: 5, 5", "content-length: 5\r\ncontent-length: 5"] {
        let proxy = proxy(ProxySettings::default()).await;
        let web = scripted("web", move |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            let answer = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\nhello");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        web.route(&proxy);
        let answer = get(proxy.address(), "/").await;
        assert_eq!(answer.matches("content-length: 5\r\n").count(), 1, "{answer}");
        assert_eq!((answer.matches("content-length").count(), body(&answer)), (1, "hello"));
    }
}
