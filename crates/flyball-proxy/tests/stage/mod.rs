//! Replicas that behave or misbehave, and clients controlled to the byte. Everything is on
//! 127.0.0.1 and ends with its test.
#![allow(dead_code, reason = "each test file uses its own part of the stage")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is all test code")]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flyball_core::observation::BalancerReport;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_proxy::{Proxy, ProxySettings};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Longer than anything here takes; reaching it is a failure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn clock() -> Timestamp {
    static START: OnceLock<Instant> = OnceLock::new();
    let ms = START.get_or_init(Instant::now).elapsed().as_millis();
    Timestamp::from_ms(1 + u64::try_from(ms).unwrap())
}

pub(crate) async fn proxy(settings: ProxySettings) -> Proxy {
    Proxy::bind(settings, clock).await.unwrap()
}

pub(crate) fn id(name: &str) -> ReplicaId {
    ReplicaId::new(name)
}

/// A replica whose connections end when it is dropped, as those of a killed process do.
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Replica {
    pub(crate) fn route(&self, proxy: &Proxy) {
        proxy.route(&self.id, self.address);
    }

    pub(crate) async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A replica that treats each connection as scripted.
pub(crate) async fn scripted<F, Fut>(name: &str, script: F) -> Replica
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    scripted_at(name, SocketAddr::from(([127, 0, 0, 1], 0)), script).await
}

pub(crate) async fn scripted_at<F, Fut>(name: &str, address: SocketAddr, script: F) -> Replica
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(script(stream));
            while connections.try_join_next().is_some() {}
        }
    });
    Replica { id: id(name), address, task }
}

/// A real HTTP/1.1 server. Answers its name; `/slow/MS` after a while; `/status/CODE` with that
/// status; `/head` with the head of the request; anything sent with POST by its length.
pub(crate) async fn replica(name: &str) -> Replica {
    let name = name.to_owned();
    scripted(&name.clone(), move |stream| serve_named(stream, name.clone())).await
}

pub(crate) async fn replica_at(name: &str, address: SocketAddr) -> Replica {
    let name = name.to_owned();
    scripted_at(&name.clone(), address, move |stream| serve_named(stream, name.clone())).await
}

async fn serve_named(stream: TcpStream, name: String) {
    let service = service_fn(move |request| answer(request, name.clone()));
    let http = hyper::server::conn::http1::Builder::new();
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    name: String,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut status = 200;
    let text = match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["slow", ms] => {
            tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await;
            name
        }
        ["status", code] => {
            status = code.parse().unwrap();
            name
        }
        ["head"] => format!("{} {:?}\n{:#?}", request.uri(), request.version(), request.headers()),
        _ if request.method() == "POST" => match request.into_body().collect().await {
            Ok(body) => format!("{name} got {}", body.to_bytes().len()),
            Err(_) => String::new(),
        },
        _ => name,
    };
    Ok(Response::builder().status(status).body(Full::from(text)).unwrap())
}

/// An address that refuses connections: it was free a moment ago.
pub(crate) async fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Sends `request` as it is on a connection of its own, and reads all that comes back.
pub(crate) async fn send(proxy: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    // A connection that is cut gives what came before.
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "no end within the deadline: {:?}", String::from_utf8_lossy(&all));
    String::from_utf8_lossy(&all).into_owned()
}

pub(crate) async fn get(proxy: SocketAddr, path: &str) -> String {
    send(proxy, &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await
}

pub(crate) async fn post(proxy: SocketAddr, body: &str) -> String {
    let length = body.len();
    let head =
        format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}");
    send(proxy, &format!("{head}\r\n\r\n{body}")).await
}

/// The three digits of the status.
pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// What follows the head.
pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

pub(crate) fn assert_refused(answer: &str, status_wanted: &str, reason: &str) {
    assert_eq!(status(answer), status_wanted, "{answer}");
    assert!(answer.contains(&format!("x-flyball-reason: {reason}\r\n")), "{answer}");
}

/// Reads up to and including `end`.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await;
        match byte.expect("silence until the deadline") {
            Ok(byte) => all.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(all).unwrap()
}

/// Waits until the proxy's report is as wanted, and returns it.
pub(crate) async fn observed(
    proxy: &Proxy,
    wanted: impl Fn(&BalancerReport) -> bool,
) -> BalancerReport {
    let began = Instant::now();
    loop {
        let report = proxy.observe();
        if wanted(&report) {
            return report;
        }
        assert!(began.elapsed() < DEADLINE, "never came: {report:#?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Requests in flight over all servers.
pub(crate) fn in_flight(report: &BalancerReport) -> u32 {
    report.servers.values().map(|server| server.in_flight).sum()
}
