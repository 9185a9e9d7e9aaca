//! Requests that find no free replica.

mod stage;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flyball_proxy::{Proxy, ProxySettings, Rejection};
use stage::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

fn spawn_get(proxy: &Proxy, path: &'static str) -> JoinHandle<String> {
    let address = proxy.address();
    tokio::spawn(async move { get(address, path).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_wait_for_the_first_replica_and_get_it_at_once() {
    let proxy = proxy(ProxySettings::default()).await;
    let held: Vec<_> = (0..50).map(|_| spawn_get(&proxy, "/")).collect();
    let report = observed(&proxy, |report| report.waiting == 50).await;
    assert_eq!((report.arrivals, report.errors, report.latency), (50, 0, None));
    let web = replica("web").await;
    let routed = Instant::now();
    web.route(&proxy);
    for answer in held {
        assert_eq!(body(&answer.await.unwrap()), "web");
    }
    assert!(routed.elapsed() < Duration::from_millis(500), "{:?}", routed.elapsed());
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    let server = &report.servers[&id("web")];
    assert_eq!((report.waiting, report.errors, server.served), (0, 0, 50));
    assert!(server.first_served_at.is_some());
    assert_eq!(report.latency.unwrap().count, 50);
}

#[tokio::test]
async fn waiting_ends_at_its_limit_with_a_503_and_its_reason() {
    let settings = ProxySettings { wait_limit_ms: 60, ..Default::default() };
    let proxy = proxy(settings).await;
    let began = Instant::now();
    let answer = get(proxy.address(), "/").await;
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_refused(&answer, "503", "wait-limit");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    let report = proxy.observe();
    assert_eq!((report.arrivals, report.errors, report.waiting), (1, 1, 0));
    assert_eq!(proxy.refusals()[&Rejection::WaitLimit], 1);
}

#[tokio::test]
async fn one_more_than_may_wait_is_refused_at_once() {
    let proxy = proxy(ProxySettings { waiting_max: 2, ..Default::default() }).await;
    let held = [spawn_get(&proxy, "/"), spawn_get(&proxy, "/")];
    observed(&proxy, |report| report.waiting == 2).await;
    assert_refused(&get(proxy.address(), "/").await, "503", "queue-full");
    let web = replica("web").await;
    web.route(&proxy);
    for answer in held {
        assert_eq!(status(&answer.await.unwrap()), "200");
    }
    assert_eq!(proxy.refusals()[&Rejection::QueueFull], 1);
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_place() {
    let proxy = proxy(ProxySettings { waiting_max: 1, ..Default::default() }).await;
    for request in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), unfinished_post(90_000, 20_000)]
    {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        observed(&proxy, |report| report.waiting == 1).await;
        drop(stream);
        observed(&proxy, |report| report.waiting == 0).await;
    }
    assert_eq!(proxy.observe().errors, 0, "a client that leaves is no error");
}

#[tokio::test]
async fn a_client_that_leaves_its_body_behind_frees_its_place_although_it_never_counted() {
    let proxy = proxy(ProxySettings { waiting_max: 1, ..Default::default() }).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(unfinished_post(9_000, 800).as_bytes()).await.unwrap();
    while status(&get(proxy.address(), "/").await) != "503" {}
    drop(stream);
    let began = Instant::now();
    let mut asked = spawn_get(&proxy, "/");
    while proxy.observe().waiting == 0 {
        if asked.is_finished() {
            asked = spawn_get(&proxy, "/");
        }
        assert!(began.elapsed() < DEADLINE, "its place is still taken");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    asked.abort();
}

/// A POST of which a part of the body is still to come.
fn unfinished_post(length: usize, sent: usize) -> String {
    let body = "x".repeat(sent);
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_never_has_more_requests_than_slots_and_all_get_through() {
    let proxy = proxy(ProxySettings { slots: Some(3), ..Default::default() }).await;
    let replicas = [replica("a").await, replica("b").await];
    replicas.iter().for_each(|replica| replica.route(&proxy));
    let asked: Vec<_> = (0..60).map(|_| spawn_get(&proxy, "/slow/5")).collect();
    let mut most = 0;
    while asked.iter().any(|asked| !asked.is_finished()) {
        let report = proxy.observe();
        for server in report.servers.values() {
            assert!(server.in_flight <= 3, "{report:?}");
            most = most.max(server.in_flight);
        }
        tokio::task::yield_now().await;
    }
    for answer in asked {
        assert_eq!(status(&answer.await.unwrap()), "200");
    }
    assert_eq!(most, 3);
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!(report.servers.values().map(|server| server.served).sum::<u64>(), 60);
}

#[tokio::test]
async fn who_came_first_is_served_first() {
    let proxy = proxy(ProxySettings { slots: Some(1), ..Default::default() }).await;
    let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..8_u32 {
        let (address, order): (SocketAddr, _) = (proxy.address(), order.clone());
        tokio::spawn(async move {
            assert_eq!(status(&get(address, "/slow/2").await), "200");
            order.send(number).unwrap();
        });
        observed(&proxy, |report| report.waiting == number + 1).await;
    }
    let web = replica("web").await;
    web.route(&proxy);
    for number in 0..8 {
        assert_eq!(served.recv().await, Some(number));
    }
}

#[tokio::test]
async fn the_loop_is_woken_when_a_request_begins_to_wait() {
    let proxy = proxy(ProxySettings::default()).await;
    let asked = spawn_get(&proxy, "/");
    tokio::time::timeout(DEADLINE, proxy.changed()).await.unwrap();
    assert_eq!(proxy.observe().waiting, 1);
    asked.abort();
}
