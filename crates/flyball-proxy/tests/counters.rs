//! Counters after requests of every kind.

mod stage;

use flyball_proxy::{ProxySettings, Rejection};
use stage::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_exact_after_everything() {
    let proxy = proxy(ProxySettings { answer_limit_ms: 2_000, ..Default::default() }).await;
    let before = proxy.observe();
    assert_eq!((before.arrivals, before.errors, before.latency), (0, 0, None));
    let web = replica("web").await;
    web.route(&proxy);
    let address = proxy.address();
    let plain: Vec<_> = (0..100)
        .map(|number| {
            let path = ["/", "/slow/3", "/status/500", "/status/404"][number % 4];
            tokio::spawn(async move { get(address, path).await })
        })
        .collect();
    for answer in plain {
        answer.await.unwrap();
    }
    for _ in 0..10 {
        // Gives up in the middle.
        let mut stream = TcpStream::connect(address).await.unwrap();
        let arrivals = proxy.observe().arrivals;
        stream.write_all(b"GET /slow/1000 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        observed(&proxy, |report| report.arrivals > arrivals && in_flight(report) == 1).await;
        drop(stream);
        observed(&proxy, |report| in_flight(report) == 0).await;
    }
    send(address, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    let server = &report.servers[&web.id];
    // The last one, which is no request that could be served, is no load.
    assert_eq!((report.arrivals, report.errors, report.waiting), (110, 25, 0));
    assert_eq!((server.served, server.in_flight), (100, 0));
    assert!(server.first_served_at.unwrap() <= clock());
    assert_eq!(report.epoch, before.epoch);
    let latency = report.latency.unwrap();
    assert_eq!(latency.count, 100);
    assert!(latency.p50_ms <= latency.p99_ms && latency.p99_ms < 2_000.0, "{latency:?}");
    let refusals = proxy.refusals();
    assert_eq!(refusals.len(), Rejection::ALL.len());
    assert_eq!(refusals.values().sum::<u64>(), 1);
    assert_eq!(refusals[&Rejection::BadRequest], 1);
}
