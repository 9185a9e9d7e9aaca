//! More clients than allowed, and clients that never complete a request.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod stage;

use std::sync::Arc;
use std::time::Duration;

use flyball_proxy::{Budget, ProxySettings, Rejection};
use stage::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// This many connections that send nothing.
async fn idle(proxy: std::net::SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(TcpStream::connect(proxy).await.unwrap());
    }
    open
}

async fn turned_away(proxy: &flyball_proxy::Proxy, count: u64) {
    while proxy.refusals()[&Rejection::TooManyConnections] < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_client_beyond_the_bound_is_refused_with_that_reason_and_the_others_are_served() {
    let settings = ProxySettings { connections_max: 20, ..Default::default() };
    let proxy = proxy(settings).await;
    let web = replica("web").await;
    web.route(&proxy);
    let mut kept = TcpStream::connect(proxy.address()).await.unwrap();
    let open = idle(proxy.address(), 24).await;
    turned_away(&proxy, 5).await;
    assert_refused(&get(proxy.address(), "/").await, "503", "too-many-connections");
    kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read_until(&mut kept, "web").await.starts_with("HTTP/1.1 200"));
    let reason = proxy.crowded().unwrap();
    assert!(reason.ends_with("all 20 allowed connections are open"), "{reason}");
    let report = proxy.observe();
    assert_eq!((report.arrivals, report.errors), (1, 0), "a connection is no request");
    drop(open);
    // Their places are free again once the proxy has noticed.
    while status(&get(proxy.address(), "/").await) != "200" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn one_client_cannot_take_the_places_of_all() {
    let settings =
        ProxySettings { connections_per_client: 3, trusted: Vec::new(), ..Default::default() };
    let proxy = proxy(settings).await;
    let _open = idle(proxy.address(), 3).await;
    assert_refused(&get(proxy.address(), "/").await, "503", "too-many-connections");
    let reason = proxy.crowded().unwrap();
    assert!(reason.ends_with("one client has all of its 3 allowed connections open"), "{reason}");
    // Another client, from another address of this machine.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(proxy.address()).await.unwrap();
    let web = replica("web").await;
    web.route(&proxy);
    other.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read_until(&mut other, "web").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_crowd_at_one_service_leaves_room_at_another() {
    let budget = Budget::new(40);
    let settings =
        |budget: &Arc<Budget>| ProxySettings { budget: Arc::clone(budget), ..Default::default() };
    let (crowded, calm) = (proxy(settings(&budget)).await, proxy(settings(&budget)).await);
    let web = replica("web").await;
    web.route(&calm);
    let _open = idle(crowded.address(), 60).await;
    turned_away(&crowded, 30).await;
    for _ in 0..20 {
        assert_eq!(status(&get(calm.address(), "/").await), "200");
    }
}

#[tokio::test]
async fn requests_whose_bodies_never_come_are_no_load() {
    let proxy = proxy(ProxySettings { slots: Some(2), ..Default::default() }).await;
    let web = replica("web").await;
    web.route(&proxy);
    let mut open = idle(proxy.address(), 50).await;
    for stream in &mut open {
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo";
        stream.write_all(head).await.unwrap();
    }
    let report = observed(&proxy, |report| in_flight(report) == 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((report.arrivals, proxy.observe().arrivals), (0, 0));
    assert_eq!(proxy.observe().waiting, 0, "48 wait, and none of them counts");
    // One whose body comes counts while it waits, and is served in its turn.
    let waiting = open.last_mut().unwrap();
    waiting.write_all(b"dy").await.unwrap();
    let report = observed(&proxy, |report| report.waiting == 1).await;
    assert_eq!(report.arrivals, 1);
    let rest = open.split_off(49);
    drop(open);
    let mut last = rest.into_iter().next().unwrap();
    assert!(read_until(&mut last, "got 4").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_long_body_counts_while_it_waits_and_arrives_whole() {
    let proxy = proxy(ProxySettings::default()).await;
    let body = "x".repeat(1_000_000);
    let address = proxy.address();
    let sent = tokio::spawn(async move { post(address, &body).await });
    observed(&proxy, |report| report.waiting == 1).await;
    let web = replica("web").await;
    web.route(&proxy);
    assert!(sent.await.unwrap().ends_with("web got 1000000"));
    assert_eq!(proxy.observe().arrivals, 1);
}
