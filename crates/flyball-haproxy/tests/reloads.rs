//! A real HAProxy that is reloaded, restarted and gone for a while.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::time::Duration;

use flyball_core::observation::{Reading, Route};
use flyball_haproxy::{Haproxy, HaproxySettings, TemplateServers};
use flyball_testkit::haproxy;
use flyball_testkit::haproxy::{Load, Replica, Rig, clock, file_contains, get, observed, routed};

const QUICK: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_owned_file_five_reloads_under_load_lose_nothing() {
    let Some(mut rig) = Rig::with_owned_file() else { return };
    let haproxy = Haproxy::connect(rig.settings_with_file(), clock).await.unwrap();
    assert!(matches!(haproxy.observe().await, Reading::Missing { .. }), "it is not there yet");
    rig.launch().await;
    let stays = Replica::start("web-1", QUICK).await;
    stays.route(&haproxy);
    routed(&haproxy, &stays).await;
    let file = rig.path("flyball.cfg");
    file_contains(&file, |text| text.contains("server fb-web-1 ")).await;
    let load = Load::start(rig.front, 4);
    for number in 2..7 {
        let passes = Replica::start(&format!("web-{number}"), QUICK * 20).await;
        let line = format!("  server fb-web-{number} {} id ", passes.address);
        passes.route(&haproxy);
        file_contains(&file, |text| text.contains(&line)).await;
        let epoch = observed(&haproxy, |_| true).await.epoch;
        rig.reload().await;
        let report = observed(&haproxy, |r| r.epoch != epoch).await;
        assert!(haproxy::is_routed(&report, &passes.id), "the file had it: {report:?}");
        load.sends(10).await;
        // It is a static server now, and goes like any other.
        haproxy.drain(&passes.id);
        observed(&haproxy, |r| !r.servers.contains_key(&passes.id)).await;
        file_contains(&file, |text| !text.contains(&line)).await;
    }
    let (sent, failed) = load.end().await;
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
    assert_eq!(rig.servers().await, [format!("fb-web-1 {}", stays.address)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_owned_file_template_servers_keep_their_addresses() {
    let Some(mut rig) = Rig::with_owned_file() else { return };
    let template_servers = Some(TemplateServers { prefix: "dyn".to_owned(), count: 3 });
    let settings = HaproxySettings { template_servers, ..rig.settings_with_file() };
    let haproxy = Haproxy::connect(settings, clock).await.unwrap();
    rig.launch().await;
    let replica = Replica::start("web-1", QUICK).await;
    replica.route(&haproxy);
    let before = routed(&haproxy, &replica).await;
    let line = format!("server dyn1 {} weight 100 check ", replica.address);
    file_contains(&rig.path("flyball.cfg"), |text| text.contains(&line)).await;
    let load = Load::start(rig.front, 4);
    rig.reload().await;
    let report = observed(&haproxy, |r| r.epoch != before.epoch).await;
    assert!(haproxy::is_routed(&report, &replica.id), "{report:?}");
    load.sends(10).await;
    let (sent, failed) = load.end().await;
    assert!(failed.is_empty(), "{} of {sent}: {}", failed.len(), failed[0]);
}

#[tokio::test]
async fn without_the_file_a_reload_is_mended_on_the_next_look() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let mut replicas = Vec::new();
    for number in 1..=20 {
        let replica = Replica::start(&format!("web-{number}"), QUICK).await;
        replica.route(&haproxy);
        replicas.push(replica);
    }
    let all = |r: &flyball_core::observation::BalancerReport| r.servers.len() == 20;
    let before = observed(&haproxy, all).await.epoch;
    rig.reload().await;
    // A reload forgets what was made at run time. This one look is all that the adapter is asked.
    haproxy.observe().await;
    let began = std::time::Instant::now();
    while rig.servers().await.len() < 20 {
        assert!(began.elapsed() < haproxy::DEADLINE, "{:?}", rig.servers().await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let report = observed(&haproxy, all).await;
    assert_ne!(report.epoch, before, "the counters began again");
    assert!(report.servers.values().all(|s| s.route == Route::Routed));
    assert!(get(rig.front).await.is_ok());
}

#[tokio::test]
async fn a_replica_with_requests_in_the_replaced_process_is_not_idle() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let slow = Replica::held("web-1").await;
    slow.route(&haproxy);
    routed(&haproxy, &slow).await;
    let request = tokio::spawn(get(rig.front));
    let before = observed(&haproxy, |r| r.servers[&slow.id].in_flight == 1).await;
    rig.reload().await;
    observed(&haproxy, |r| r.epoch != before.epoch && haproxy::is_routed(r, &slow.id)).await;
    haproxy.drain(&slow.id);
    let report = observed(&haproxy, |r| r.servers[&slow.id].route == Route::Draining).await;
    assert_eq!(report.servers[&slow.id].in_flight, 1, "the replaced process still has it");
    slow.let_go(1);
    observed(&haproxy, |r| r.servers.is_empty()).await;
    assert_eq!(request.await.unwrap().unwrap(), "web-1");
}

#[tokio::test]
async fn a_restart_loses_nothing_that_was_ordered() {
    let Some(mut rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let replica = Replica::start("web-1", QUICK).await;
    replica.route(&haproxy);
    let before = routed(&haproxy, &replica).await;
    rig.stop();
    let gone = haproxy.observe().await;
    assert!(haproxy::is_routed(gone.value().unwrap(), &replica.id), "nothing is removed: {gone:?}");
    rig.launch().await;
    let report = observed(&haproxy, |r| r.epoch != before.epoch).await;
    assert_eq!(report.arrivals, 0);
    routed(&haproxy, &replica).await;
    assert_eq!(get(rig.front).await.unwrap(), "web-1");
}

#[tokio::test]
async fn a_socket_that_comes_back_is_used_on_the_next_look() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let replica = Replica::start("web-1", QUICK).await;
    replica.route(&haproxy);
    let seen = routed(&haproxy, &replica).await;
    let (here, away) = (rig.path("admin.sock"), rig.path("away.sock"));
    fs::rename(&here, &away).unwrap();
    let kept = haproxy.observe().await;
    assert_eq!(kept.value().unwrap().servers, seen.servers, "nothing is removed");
    let other = Replica::start("web-2", QUICK).await;
    other.route(&haproxy);
    haproxy.drain(&replica.id);
    assert_eq!(haproxy.observe().await, kept, "and it is as old as it is");
    fs::rename(&away, &here).unwrap();
    let Reading::Taken { value, .. } = haproxy.observe().await else { panic!("no reading") };
    assert!(value.servers.contains_key(&replica.id));
    routed(&haproxy, &other).await;
    observed(&haproxy, |r| r.servers.len() == 1).await;
    assert_eq!(get(rig.front).await.unwrap(), "web-2");
}
