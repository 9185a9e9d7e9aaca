//! A real HAProxy that takes servers out by itself, and what flyball reports about it.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use flyball_core::observation::{BalancerReport, Route, ServerHealth};
use flyball_haproxy::{Haproxy, HaproxySettings, ServerOptions, Socket};
use flyball_testkit::haproxy;
use flyball_testkit::haproxy::{Replica, Rig, clock, get, observed, routed};

const QUICK: Duration = Duration::from_millis(1);

fn why(report: &BalancerReport, replica: &Replica) -> Option<String> {
    match &report.servers.get(&replica.id)?.health {
        ServerHealth::Up => None,
        ServerHealth::Down { why } => Some(why.clone()),
    }
}

async fn four(haproxy: &Haproxy) -> Vec<Replica> {
    let mut replicas = Vec::new();
    for number in 1..=4 {
        let replica = Replica::start(&format!("web-{number}"), QUICK).await;
        replica.route(haproxy);
        routed(haproxy, &replica).await;
        replicas.push(replica);
    }
    replicas
}

#[tokio::test]
async fn a_replica_that_answers_errors_at_once_does_not_get_the_traffic() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let replicas = four(&haproxy).await;
    replicas[0].answer("500 Internal Server Error");
    let mut failed = 0;
    for _ in 0..400 {
        failed += u32::from(get(rig.front).await.is_err());
    }
    assert!((10..20).contains(&failed), "{failed} of 400 failed");
    let report = observed(&haproxy, |r| why(r, &replicas[0]).is_some()).await;
    let why_down = why(&report, &replicas[0]).unwrap();
    assert!(why_down.contains("10 consecutive errors"), "{why_down}");
    assert_eq!(report.servers[&replicas[0].id].route, Route::Routed, "it is not drained");
    assert!(replicas[1..].iter().all(|replica| why(&report, replica).is_none()), "{report:?}");
    assert_eq!(report.trouble, None);
}

/// Sends a request beside everything else.
fn sent_one(front: std::net::SocketAddr) -> bool {
    tokio::spawn(get(front));
    false
}

#[tokio::test]
async fn a_fault_that_all_replicas_share_takes_none_of_them_out() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = rig.connect().await;
    let replicas = four(&haproxy).await;
    for replica in &replicas {
        replica.answer("500 Internal Server Error");
    }
    let mut unavailable = 0;
    for _ in 0..300 {
        let error = get(rig.front).await.unwrap_err();
        unavailable += u32::from(error.starts_with("HTTP/1.1 503"));
        haproxy.observe().await;
    }
    assert!(unavailable < 60, "{unavailable} of 300 found no server");
    let report = observed(&haproxy, |r| r.trouble.is_some()).await;
    let trouble = report.trouble.clone().unwrap();
    assert!(trouble.ends_with("replicas answer errors, so HAProxy keeps using all"), "{trouble}");
    assert!(replicas.iter().all(|replica| why(&report, replica).is_none()), "{report:?}");
    for replica in &replicas {
        replica.answer("200 OK");
    }
    observed(&haproxy, |r| r.trouble.is_none() || sent_one(rig.front)).await;
}

#[tokio::test]
async fn a_server_whose_check_fails_is_down_and_what_the_check_got_is_reported() {
    let Some(rig) = Rig::start("option httpchk").await else { return };
    let haproxy = rig.connect().await;
    let replica = Replica::start("web-1", QUICK).await;
    replica.answer("501 Not Implemented");
    replica.route(&haproxy);
    let report = observed(&haproxy, |r| why(r, &replica).is_some()).await;
    let why_down = why(&report, &replica).unwrap();
    assert_eq!(
        why_down,
        "HAProxy's check failed: L7STS (layer7 wrong status, 501, Not Implemented)"
    );
    assert!(get(rig.front).await.unwrap_err().starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn options_reach_servers_made_at_run_time_and_those_of_the_file_alike() {
    let Some(mut rig) = Rig::with_owned_file() else { return };
    let words = "send-proxy slowstart 1s".to_owned();
    let server_options = ServerOptions { words, ..ServerOptions::default() };
    let settings = HaproxySettings { server_options, ..rig.settings_with_file() };
    let haproxy = Haproxy::connect(settings, clock).await.unwrap();
    rig.launch().await;
    let replica = Replica::start("web-1", QUICK).await;
    replica.route(&haproxy);
    routed(&haproxy, &replica).await;
    get(rig.front).await.unwrap();
    assert!(replica.last_head().starts_with("PROXY TCP4 "), "{}", replica.last_head());
    let line = " on-error mark-down send-proxy slowstart 1s\n";
    haproxy::file_contains(&rig.path("flyball.cfg"), |text| text.contains(line)).await;
    rig.reload().await;
    let path = "/after";
    haproxy::get_path(rig.front, path).await.unwrap();
    let head = replica.last_head();
    assert!(head.starts_with("PROXY TCP4 ") && head.contains(path), "{head}");
}

#[tokio::test]
async fn a_backend_that_takes_no_servers_is_in_the_report() {
    let Some(rig) = Rig::start("balance source").await else { return };
    let haproxy = rig.connect().await;
    let replica = Replica::start("web-1", QUICK).await;
    replica.route(&haproxy);
    let report = observed(&haproxy, |r| r.trouble.is_some()).await;
    let trouble = report.trouble.unwrap();
    assert!(
        trouble.contains("does not accept servers at run time") && trouble.contains("balance"),
        "{trouble}"
    );
    rig.configure("");
    rig.reload().await;
    observed(&haproxy, |r| r.trouble.is_none() && haproxy::is_routed(r, &replica.id)).await;
}

#[tokio::test]
async fn through_the_masters_socket_servers_come_and_go_as_well() {
    let Some(rig) = Rig::start("").await else { return };
    let socket = Socket::Unix(rig.path("master.sock"));
    let settings = HaproxySettings { socket, ..rig.settings() };
    let haproxy = Haproxy::connect(settings, clock).await.unwrap();
    let replica = Replica::start("web-1", QUICK).await;
    replica.route(&haproxy);
    let before = routed(&haproxy, &replica).await;
    assert_eq!(get(rig.front).await.unwrap(), "web-1");
    rig.reload().await;
    observed(&haproxy, |r| r.epoch != before.epoch && haproxy::is_routed(r, &replica.id)).await;
    haproxy.drain(&replica.id);
    observed(&haproxy, |r| r.servers.is_empty()).await;
    assert_eq!(rig.servers().await, [""; 0]);
}

/// Measures, so that it has the machine to itself.
mod alone {
    use super::*;

    const PER_S: u64 = 200;
    const SECONDS: u64 = 12;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_black_hole_takes_no_more_than_with_handwritten_observe_layer7() {
        let Some(rig) = Rig::start("").await else { return };
        let mut hand_written = String::new();
        let mut hand = Vec::new();
        for number in 1..=4 {
            let replica = Replica::start(&format!("hand-{number}"), QUICK).await;
            let options = "check observe layer7 error-limit 10 on-error mark-down";
            hand_written += &format!("server s{number} {} {options}\n", replica.address);
            hand.push(replica);
        }
        let Some(other) = Rig::start(&hand_written).await else { return };
        let haproxy = rig.connect().await;
        let ours = four(&haproxy).await;
        for replica in [&hand[0], &ours[0]] {
            replica.answer("500 Internal Server Error");
        }
        let looks = async {
            loop {
                haproxy.observe().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let loads = async { tokio::join!(load(rig.front), load(other.front)) };
        let (failed, hand_written) = tokio::select! {
            failed = loads => failed,
            () = looks => unreachable!("it never ends"),
        };
        let share = |failed: u64| 100.0 * failed as f64 / (PER_S * SECONDS) as f64;
        println!(
            "{failed} failed ({:.2} %), handwritten {hand_written} ({:.2} %)",
            share(failed),
            share(hand_written)
        );
        assert!(
            failed <= hand_written && failed > 0,
            "{failed} failed, handwritten {hand_written}"
        );
    }

    /// How many of the requests fail that are sent one after another at their times.
    async fn load(front: std::net::SocketAddr) -> u64 {
        let mut requests = tokio::task::JoinSet::new();
        let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / PER_S));
        for _ in 0..PER_S * SECONDS {
            pace.tick().await;
            requests.spawn(get(front));
        }
        let all = requests.join_all().await;
        all.iter().filter(|answer| answer.is_err()).count() as u64
    }
}
