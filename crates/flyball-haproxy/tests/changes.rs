//! A real HAProxy: servers come and go under load, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;
use std::time::Duration;

use flyball_core::observation::{Reading, Route};
use flyball_haproxy::{Checks, Haproxy, HaproxySettings, ServerOptions, TemplateServers};
use flyball_testkit::haproxy;
use flyball_testkit::haproxy::{Load, Replica, Rig, clock, get, get_path, id, observed, routed};

const QUICK: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_come_and_go_under_load_and_no_request_fails() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let stays = Replica::start("web-1", QUICK).await;
    stays.route(&haproxy);
    routed(&haproxy, &stays).await;
    let load = Load::start(rig.front, 8);
    for number in 2..22 {
        let passes = Replica::start(&format!("web-{number}"), QUICK * 20).await;
        passes.route(&haproxy);
        observed(&haproxy, |r| r.servers.get(&passes.id).is_some_and(|s| s.served > 0)).await;
        haproxy.drain(&passes.id);
        // It ends only when HAProxy has deleted its server.
        observed(&haproxy, |r| !r.servers.contains_key(&passes.id)).await;
    }
    let (sent, failed) = load.end().await;
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
    assert!(sent > 200, "{sent}");
    assert_eq!(rig.servers().await, [format!("fb-web-1 {}", stays.address)]);
    let report = observed(&haproxy, |r| r.servers[&stays.id].in_flight == 0).await;
    assert_eq!((report.arrivals, report.errors, report.waiting), (sent, 0, 0));
    assert!(report.servers[&stays.id].first_served_at.is_some());
}

#[tokio::test]
async fn a_draining_server_stays_visible_until_its_last_request_has_ended() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let slow = Replica::held("web-1").await;
    slow.route(&haproxy);
    routed(&haproxy, &slow).await;
    let request = tokio::spawn(get(rig.front));
    observed(&haproxy, |r| r.servers[&slow.id].in_flight == 1).await;
    let other = Replica::start("web-2", QUICK).await;
    other.route(&haproxy);
    routed(&haproxy, &other).await;
    haproxy.drain(&slow.id);
    let report = observed(&haproxy, |r| r.servers[&slow.id].route == Route::Draining).await;
    assert_eq!(report.servers[&slow.id].in_flight, 1);
    assert_eq!(get(rig.front).await.unwrap(), "web-2");
    slow.let_go(1);
    observed(&haproxy, |r| !r.servers.contains_key(&slow.id)).await;
    assert_eq!(request.await.unwrap().unwrap(), "web-1");
}

#[tokio::test]
async fn a_draining_server_can_be_taken_back() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let replica = Replica::held("web-1").await;
    replica.route(&haproxy);
    routed(&haproxy, &replica).await;
    let request = tokio::spawn(get(rig.front));
    observed(&haproxy, |r| r.servers[&replica.id].in_flight == 1).await;
    haproxy.drain(&replica.id);
    observed(&haproxy, |r| r.servers[&replica.id].route == Route::Draining).await;
    replica.route(&haproxy);
    routed(&haproxy, &replica).await;
    replica.let_go(2);
    assert_eq!(get(rig.front).await.unwrap(), "web-1");
    assert_eq!(request.await.unwrap().unwrap(), "web-1");
}

#[tokio::test]
async fn a_connection_that_outlives_the_drain_limit_by_far_is_cut() {
    let Some(rig) = Rig::start("").await else { return };
    // A clock that makes an hour of a second.
    let fast = || flyball_core::units::Timestamp::from_ms(clock().as_ms() * 3_600);
    let settings = HaproxySettings { drain_limit_ms: 60_000, ..rig.settings() };
    let haproxy = Haproxy::connect(settings, fast).await.unwrap();
    let endless = Replica::held("web-1").await;
    endless.route(&haproxy);
    routed(&haproxy, &endless).await;
    let request = tokio::spawn(get(rig.front));
    observed(&haproxy, |r| r.servers[&endless.id].in_flight == 1).await;
    haproxy.drain(&endless.id);
    observed(&haproxy, |r| r.servers.is_empty()).await;
    assert!(request.await.unwrap().is_err(), "its replica had been stopped long ago");
}

#[tokio::test]
async fn a_replica_that_moves_keeps_its_server() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let (old, new) = (Replica::start("old", QUICK).await, Replica::start("new", QUICK).await);
    haproxy.route(&id("web-1"), old.address);
    observed(&haproxy, |r| haproxy::is_routed(r, &id("web-1"))).await;
    assert_eq!(get(rig.front).await.unwrap(), "old");
    haproxy.route(&id("web-1"), new.address);
    let began = std::time::Instant::now();
    while get(rig.front).await.as_deref() != Ok("new") {
        assert!(began.elapsed() < haproxy::DEADLINE, "still served by the old one");
    }
    assert_eq!(rig.servers().await, [format!("fb-web-1 {}", new.address)]);
}

#[tokio::test]
async fn options_reach_the_server_and_a_full_one_makes_requests_wait() {
    let Some(rig) = Rig::start("").await else { return };
    let server_options = ServerOptions {
        slots: Some(1),
        checks: Checks::Always,
        weight: 7,
        words: "slowstart 1s".to_owned(),
    };
    let settings = HaproxySettings { server_options, ..rig.settings() };
    let haproxy = Haproxy::connect(settings, clock).await.unwrap();
    let replica = Replica::held("web-1").await;
    replica.route(&haproxy);
    routed(&haproxy, &replica).await;
    assert!(rig.ask("get weight web/fb-web-1").await.starts_with("7 "));
    let requests: Vec<_> = (0..3).map(|_| tokio::spawn(get(rig.front))).collect();
    let report = observed(&haproxy, |r| r.waiting == 2).await;
    assert_eq!((report.arrivals, report.servers[&replica.id].in_flight), (3, 1));
    replica.let_go(3);
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap(), "web-1");
    }
}

#[tokio::test]
async fn every_added_server_gets_requests_whatever_the_algorithm() {
    for lines in [
        "balance random",
        "balance uri\nhash-type consistent",
        "balance hdr(x-key)\nhash-type consistent",
        "balance leastconn",
        "balance roundrobin",
    ] {
        let Some(rig) = Rig::start(lines).await else { return };
        let haproxy = rig.connect().await;
        let mut replicas = Vec::new();
        for number in 1..=5 {
            let replica = Replica::start(&format!("web-{number}"), Duration::ZERO).await;
            replica.route(&haproxy);
            routed(&haproxy, &replica).await;
            replicas.push(replica);
        }
        let mut answered = BTreeSet::new();
        for key in 0..300 {
            answered.insert(get_path(rig.front, &format!("/{key}")).await.unwrap());
        }
        assert_eq!(answered.len(), 5, "{lines}: only {answered:?}");
    }
}

#[tokio::test]
async fn foreign_servers_are_neither_touched_nor_counted_as_replicas() {
    let foreign = Replica::start("foreign", QUICK).await;
    let line = format!("server legacy {}", foreign.address);
    let Some(rig) = Rig::start(&line).await else { return };
    let haproxy = rig.connect().await;
    let report = observed(&haproxy, |_| true).await;
    assert!(report.servers.is_empty(), "{report:?}");
    haproxy.drain(&id("legacy"));
    let ours = Replica::start("web-1", QUICK).await;
    ours.route(&haproxy);
    routed(&haproxy, &ours).await;
    haproxy.drain(&ours.id);
    observed(&haproxy, |r| r.servers.is_empty()).await;
    assert_eq!(rig.servers().await, [format!("legacy {}", foreign.address)]);
    assert_eq!(get(rig.front).await.unwrap(), "foreign");
    let report = observed(&haproxy, |r| r.arrivals == 1).await;
    assert_eq!(report.errors, 0);
}

#[tokio::test]
async fn flyball_ends_and_comes_again_and_haproxy_serves_on() {
    let Some(rig) = Rig::start("").await else { return };
    let replica = Replica::start("web-1", QUICK).await;
    let load = {
        let haproxy = rig.connect().await;
        replica.route(&haproxy);
        routed(&haproxy, &replica).await;
        let load = Load::start(rig.front, 4);
        load.sends(20).await;
        haproxy.shutdown().await;
        load
    };
    load.sends(20).await;
    let haproxy = rig.connect().await;
    let reading = haproxy.observe().await;
    assert!(haproxy::is_routed(reading.value().unwrap(), &replica.id), "{reading:?}");
    load.sends(20).await;
    let (sent, failed) = load.end().await;
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
    haproxy.drain(&replica.id);
    observed(&haproxy, |r| r.servers.is_empty()).await;
    assert_eq!(rig.servers().await, [""; 0]);
}

#[tokio::test]
async fn errors_are_counted_once_each() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    for _ in 0..3 {
        assert!(get(rig.front).await.unwrap_err().starts_with("HTTP/1.1 503"));
    }
    let report = observed(&haproxy, |r| r.errors >= 3).await;
    assert_eq!((report.arrivals, report.errors), (3, 3), "no server to send them to");
    // Three retries and a redispatch later it is still one request that failed.
    haproxy.route(&id("web-1"), refusing());
    observed(&haproxy, |r| haproxy::is_routed(r, &id("web-1"))).await;
    assert!(get(rig.front).await.unwrap_err().starts_with("HTTP/1.1 503"));
    let report = observed(&haproxy, |r| r.errors >= 4).await;
    assert_eq!((report.arrivals, report.errors), (4, 4));
    assert_eq!(report.servers[&id("web-1")].served, 0, "it has answered nothing");
}

/// An address that refuses connections: it was free a moment ago.
fn refusing() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn template_servers_do_the_same_where_servers_cannot_be_made() {
    let Some(rig) = Rig::start("server-template dyn 3 127.0.0.1:1 disabled").await else { return };
    let template_servers = Some(TemplateServers { prefix: "dyn".to_owned(), count: 3 });
    let settings = HaproxySettings { template_servers, ..rig.settings() };
    let haproxy = Haproxy::connect(settings.clone(), clock).await.unwrap();
    let stays = Replica::start("web-1", QUICK).await;
    stays.route(&haproxy);
    routed(&haproxy, &stays).await;
    let load = Load::start(rig.front, 4);
    for number in 2..8 {
        let passes = Replica::start(&format!("web-{number}"), QUICK * 20).await;
        passes.route(&haproxy);
        observed(&haproxy, |r| r.servers.get(&passes.id).is_some_and(|s| s.served > 0)).await;
        haproxy.drain(&passes.id);
        observed(&haproxy, |r| !r.servers.contains_key(&passes.id)).await;
    }
    haproxy.shutdown().await;
    let again = Haproxy::connect(settings, clock).await.unwrap();
    let report = observed(&again, |_| true).await;
    assert!(report.servers.is_empty(), "a template server does not show whose it is: {report:?}");
    stays.route(&again);
    routed(&again, &stays).await;
    load.sends(20).await;
    let (sent, failed) = load.end().await;
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
    assert_eq!(rig.servers().await.len(), 3);
    let used: Vec<_> = rig.servers().await;
    let count = used.iter().filter(|s| s.ends_with(&stays.address.to_string())).count();
    assert_eq!(count, 1, "the replica found its template server again: {used:?}");
}

#[tokio::test]
async fn a_reading_has_the_time_of_its_look() {
    let Some(mut rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let before = clock();
    let Reading::Taken { at, .. } = haproxy.observe().await else { panic!("no reading") };
    assert!(at >= before && at <= clock());
    rig.stop();
    let Reading::Taken { at: later, .. } = haproxy.observe().await else { panic!("forgotten") };
    assert_eq!(later, at, "the last good one, as old as it is");
}
