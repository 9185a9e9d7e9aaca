//! Requests that find no free replica.

mod stage;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flyball_proxy::{Activator, Proxy, ProxySettings, Rejection, Start};
use stage::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

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

/// What a browser says that it takes.
const BROWSER: &str = "accept: text/html,*/*;q=0.8\r\n";

/// Sends a request with this head, which is the last on its connection.
async fn ask(address: SocketAddr, head: &str) -> String {
    send(address, &format!("{head}connection: close\r\n\r\n")).await
}

#[tokio::test]
async fn a_browser_gets_a_page_while_nothing_is_ready_and_counts_as_one_that_waits() {
    let settings = ProxySettings { page: true, service: "<web>".into(), ..Default::default() };
    let proxy = proxy(settings).await;
    proxy.tell_start(Start { why: Some("exit 3: no licence".into()), usual_ms: Some(4_100) });
    let asked = |method: &str| format!("{method} / HTTP/1.1\r\nhost: a\r\n{BROWSER}");
    let page = ask(proxy.address(), &asked("GET")).await;
    assert_refused(&page, "503", "starting");
    for part in ["retry-after: 5\r\n", "no-store", "&#60;web&#62; is starting", "no licence"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    timeout(DEADLINE, proxy.changed()).await.expect("the loop hears of it at once");
    let report = proxy.observe();
    assert_eq!((report.waiting, report.errors, report.failures.by_balancer), (1, 0, 0));
    assert_eq!(proxy.held().unwrap().count, 1);
    let form = asked("POST") + "content-length: 0\r\n";
    let held = tokio::spawn({
        let address = proxy.address();
        async move { ask(address, &form).await }
    });
    observed(&proxy, |report| report.waiting == 2).await;
    let web = replica("web").await;
    web.route(&proxy);
    assert!(held.await.unwrap().starts_with("HTTP/1.1 200"), "what was sent is not lost");
    assert_eq!(body(&ask(proxy.address(), &asked("GET")).await), "web");
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.waiting, proxy.held()), (0, None));
}

#[tokio::test]
async fn who_waited_in_vain_for_a_first_replica_is_told_why() {
    let proxy = proxy(ProxySettings { wait_limit_ms: 60, ..Default::default() }).await;
    proxy.tell_start(Start { why: Some("exit 3:\nno licence".into()), usual_ms: Some(2_000) });
    let answer = get(proxy.address(), "/").await;
    assert_refused(&answer, "503", "wait-limit");
    assert!(answer.contains("retry-after: 2\r\n"), "{answer}");
    assert_eq!(
        body(&answer),
        "No replica of this service became ready in time: exit 3: no licence\n"
    );
}

#[tokio::test]
async fn one_address_serves_several_services_by_their_host_names() {
    let (web, api) = (proxy(Default::default()).await, proxy(Default::default()).await);
    let door = Activator::bind(ProxySettings::default(), clock).await.unwrap();
    let names = |name: &str| [name.to_owned()];
    let serves = door.serve(names("Web.example"), &web);
    let _serves_too = door.serve(names("api.example"), &api);
    let asked = |host: &str| format!("GET / HTTP/1.1\r\nhost: {host}\r\n");
    let address = door.address();
    let held = tokio::spawn({
        let head = asked("web.Example:80");
        async move { ask(address, &head).await }
    });
    observed(&web, |report| report.waiting == 1).await;
    assert_eq!(api.observe().waiting, 0, "it waits for its own service");
    let (first, second) = (replica("web").await, replica("api").await);
    first.route(&web);
    second.route(&api);
    assert_eq!(body(&held.await.unwrap()), "web");
    assert_eq!(body(&ask(address, &asked("api.example")).await), "api");
    let unknown = ask(address, &asked("other.example")).await;
    assert_refused(&unknown, "404", "unknown-host");
    assert!(unknown.contains("flyball.host"), "{unknown}");
    drop(serves);
    assert_refused(&ask(address, &asked("web.example")).await, "404", "unknown-host");
    door.shutdown().await;
}

#[tokio::test]
async fn a_proxy_that_stops_answers_those_that_wait_for_a_first_replica() {
    let proxy = proxy(ProxySettings::default()).await;
    let held = spawn_get(&proxy, "/");
    observed(&proxy, |report| report.waiting == 1).await;
    let began = Instant::now();
    proxy.shutdown(5_000).await;
    assert_refused(&held.await.unwrap(), "503", "wait-limit");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}
