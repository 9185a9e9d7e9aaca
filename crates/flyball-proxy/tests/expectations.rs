//! Interim answers: what a replica sends before its answer, and bodies that wait for it.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod stage;

use std::time::{Duration, Instant};

use flyball_proxy::ProxySettings;
use stage::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const HINTS: &str =
    "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-own\r\nx-own: 1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Far below the second after which a body comes anyway.
const SOON: Duration = Duration::from_millis(600);

async fn connected(proxy: std::net::SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn early_hints_reach_the_client_before_the_answer_does() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = scripted("web", |mut stream| async move {
        for _ in 0..2 {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(HINTS.as_bytes()).await.unwrap();
            sleep(Duration::from_millis(200)).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    web.route(&proxy);
    let mut stream = connected(proxy.address(), "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let began = Instant::now();
    let hints = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(hints, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
    assert!(began.elapsed() < Duration::from_millis(190), "{:?}", began.elapsed());
    assert!(read_until(&mut stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200 OK\r\n"));
    // The connection serves on, to a client of 1.0 without what that knows nothing of.
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\nok").await.starts_with("HTTP/1.0 200 OK\r\n"));
}

#[tokio::test]
async fn hints_never_come_between_the_bytes_of_another_answer() {
    let proxy = proxy(ProxySettings::default()).await;
    let body = "x".repeat(4_000_000);
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let web = scripted("web", move |mut stream| {
        let long = long.clone();
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(long.as_bytes()).await.unwrap();
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(format!("{HINTS}{OK}").as_bytes()).await.unwrap();
        }
    })
    .await;
    web.route(&proxy);
    let ask =
        "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut stream = connected(proxy.address(), ask).await;
    // It reads late, so that the second answer is ready while the first is still being sent.
    sleep(Duration::from_millis(300)).await;
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    let (_, rest) = all.split_once("\r\n\r\n").unwrap();
    assert!(rest.starts_with(&body), "the body came whole");
    let after = &rest[body.len()..];
    assert!(after.ends_with("\r\n\r\nok"), "{after}");
}

#[tokio::test]
async fn an_upload_can_be_refused_before_it_is_sent() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = scripted("web", |mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("expect: 100-continue"), "{head}");
        let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!";
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Not a byte of the body comes, and the connection is not kept half-way through a request.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    })
    .await;
    web.route(&proxy);
    let began = Instant::now();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n";
    let answer = send(proxy.address(), head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "the client was asked for the body: {answer}");
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("no!"), "{answer}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.arrivals, report.errors), (1, 0));
}

#[tokio::test]
async fn a_body_is_asked_for_when_the_replica_asks_for_it() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = scripted("web", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        sleep(Duration::from_millis(150)).await;
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        assert_eq!(read_until(&mut stream, "body").await, "body");
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    web.route(&proxy);
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    let mut stream = connected(proxy.address(), head).await;
    let early = timeout(Duration::from_millis(100), stream.read_u8()).await;
    assert!(early.is_err(), "the proxy did not ask by itself");
    let asked = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(asked, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn a_replica_that_knows_no_expectations_gets_the_body_after_a_second() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = scripted("web", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\nbody").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    web.route(&proxy);
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    let mut stream = connected(proxy.address(), head).await;
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200 OK\r\n"));
}
