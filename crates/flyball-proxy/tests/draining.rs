//! Servers and the whole proxy leaving without losing a request.

mod stage;

use std::time::{Duration, Instant};

use flyball_core::observation::Route;
use flyball_proxy::{Proxy, ProxyError, ProxySettings};
use stage::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

fn spawn_get(proxy: &Proxy, path: &'static str) -> JoinHandle<String> {
    let address = proxy.address();
    tokio::spawn(async move { get(address, path).await })
}

#[tokio::test]
async fn a_draining_replica_finishes_what_it_has_and_is_forgotten() {
    let proxy = proxy(ProxySettings::default()).await;
    let (old, new) = (replica("old").await, replica("new").await);
    old.route(&proxy);
    let running = spawn_get(&proxy, "/slow/150");
    observed(&proxy, |report| in_flight(report) == 1).await;
    proxy.drain(&old.id);
    proxy.drain(&old.id);
    let report = proxy.observe();
    assert_eq!((report.servers[&old.id].route, in_flight(&report)), (Route::Draining, 1));
    new.route(&proxy);
    for _ in 0..5 {
        assert_eq!(body(&get(proxy.address(), "/").await), "new");
    }
    assert_eq!(body(&running.await.unwrap()), "old");
    tokio::time::timeout(DEADLINE, proxy.changed()).await.expect("the loop hears of it");
    let report = observed(&proxy, |report| !report.servers.contains_key(&old.id)).await;
    assert_eq!((report.errors, report.servers[&new.id].served), (0, 5));
}

#[tokio::test]
async fn a_draining_replica_can_be_put_back() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let running = spawn_get(&proxy, "/slow/50");
    observed(&proxy, |report| in_flight(report) == 1).await;
    proxy.drain(&web.id);
    web.route(&proxy);
    web.route(&proxy);
    assert_eq!(body(&get(proxy.address(), "/").await), "web");
    running.await.unwrap();
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.servers[&web.id].route, report.servers[&web.id].served), (Route::Routed, 2));
}

#[tokio::test]
async fn a_replica_at_a_new_address_is_a_new_server_and_the_old_one_drains() {
    let proxy = proxy(ProxySettings::default()).await;
    let (here, there) = (replica("here").await, replica("there").await);
    proxy.route(&id("web"), here.address);
    let running = spawn_get(&proxy, "/slow/80");
    observed(&proxy, |report| in_flight(report) == 1).await;
    proxy.route(&id("web"), there.address);
    assert_eq!(body(&get(proxy.address(), "/").await), "there");
    let report = proxy.observe();
    let server = &report.servers[&id("web")];
    assert_eq!((server.route, server.served), (Route::Routed, 1));
    assert_eq!(body(&running.await.unwrap()), "here");
    proxy.drain(&id("web"));
    observed(&proxy, |report| report.servers.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_routes_and_drains_under_load_lose_nothing() {
    let proxy = proxy(ProxySettings::default()).await;
    let replicas = [replica("a").await, replica("b").await, replica("c").await];
    replicas[0].route(&proxy);
    let address = proxy.address();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let mut answered = 0;
                while !*stopped.borrow() {
                    let answer = match number % 3 {
                        0 => post(address, "abc").await,
                        1 => get(address, "/slow/2").await,
                        _ => get(address, "/").await,
                    };
                    assert_eq!(status(&answer), "200", "{answer}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for cycle in 0..200 {
        let (next, last) = (&replicas[(cycle + 1) % 3], &replicas[cycle % 3]);
        next.route(&proxy);
        proxy.drain(&last.id);
        let arrivals = proxy.observe().arrivals;
        observed(&proxy, |report| report.arrivals > arrivals + 5).await;
        observed(&proxy, |report| !report.servers.contains_key(&last.id)).await;
    }
    stop.send(true).unwrap();
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.arrivals, report.errors, report.waiting), (answered, 0, 0));
    assert!(answered > 1000, "{answered} requests are no load");
}

#[tokio::test]
async fn shutting_down_finishes_what_runs_and_asks_clients_to_close() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let address = proxy.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "web").await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /slow/100 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    observed(&proxy, |report| in_flight(report) == 1).await;
    let began = Instant::now();
    let (answer, ()) = tokio::join!(read_until(&mut busy, "web"), proxy.shutdown(5_000));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close"));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(read_until(&mut idle, "nothing more").await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutting_down_cuts_what_outlasts_the_limit() {
    let proxy = proxy(ProxySettings::default()).await;
    let web = replica("web").await;
    web.route(&proxy);
    let endless = spawn_get(&proxy, "/slow/60000");
    observed(&proxy, |report| in_flight(report) == 1).await;
    let began = Instant::now();
    proxy.shutdown(50).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(endless.await.unwrap(), "");
}

#[tokio::test]
async fn a_taken_port_and_a_useless_setting_are_refused_with_a_hint() {
    let first = proxy(ProxySettings::default()).await;
    let taken = ProxySettings { listen: first.address(), ..Default::default() };
    let error = Proxy::bind(taken, clock).await.err().unwrap();
    assert!(matches!(error, ProxyError::Listen { .. }), "{error}");
    assert!(error.hint().unwrap().contains(&first.address().port().to_string()));
    let useless = ProxySettings { slots: Some(0), ..Default::default() };
    let error = Proxy::bind(useless, clock).await.err().unwrap();
    assert_eq!(error.to_string(), "slots is 0, which would let no request through");
}
