//! A real HAProxy with servers and sections of other programs: what flyball reads from them.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use flyball_engine::Hint as _;
use flyball_haproxy::{Haproxy, HaproxyError, HaproxySettings, Level, OwnedFile};
use flyball_testkit::haproxy;
use flyball_testkit::haproxy::{Replica, Rig, clock, get, observed, routed};

const QUICK: Duration = Duration::from_millis(1);
const MARKER: &str = "server flyball 127.0.0.1:1 disabled";

fn by_label(rig: &Rig) -> HaproxySettings {
    HaproxySettings { must_ask: true, ..rig.settings() }
}

async fn weights(rig: &Rig) -> BTreeMap<String, String> {
    let table = rig.ask("show servers state web").await;
    let rows = table.lines().skip(2).map(|row| row.split(' ').collect::<Vec<_>>());
    rows.filter(|r| r.len() > 18).map(|r| (r[3].to_owned(), r[7].to_owned())).collect()
}

#[tokio::test]
async fn a_backend_that_only_a_label_names_must_ask_for_flyball() {
    let Some(rig) = Rig::start("server theirs 127.0.0.1:1").await else { return };
    let refused = Haproxy::connect(by_label(&rig), clock).await.map(drop).unwrap_err();
    assert!(matches!(refused, HaproxyError::NotAsked { .. }), "{refused}");
    let hint = refused.hint().unwrap();
    assert!(hint.contains(MARKER) && hint.contains("backends = [\"web\"]"), "{hint}");
    let findings = Haproxy::check(&by_label(&rig), &[]).await;
    assert!(
        findings.iter().any(|f| f.level == Level::Wrong && f.what.contains("does not opt in")),
        "{findings:#?}"
    );
    // The operator's own word needs no marker.
    assert!(
        Haproxy::check(&rig.settings(), &[])
            .await
            .iter()
            .all(|finding| finding.level != Level::Wrong)
    );
    // A server of that name that serves is just a server.
    rig.configure("server flyball 127.0.0.1:1");
    rig.reload().await;
    assert!(Haproxy::connect(by_label(&rig), clock).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_asks_no_more_is_left_as_it_is() {
    let Some(rig) = Rig::start(MARKER).await else { return };
    let haproxy = Haproxy::connect(by_label(&rig), clock).await.unwrap();
    let replica = Replica::start("web-1", QUICK).await;
    replica.route(&haproxy);
    routed(&haproxy, &replica).await;
    assert_eq!(get(rig.front).await.as_deref(), Ok("web-1"));
    let epoch = observed(&haproxy, |_| true).await.epoch;
    rig.configure("server theirs 127.0.0.1:1");
    rig.reload().await;
    let report = observed(&haproxy, |report| report.epoch != epoch).await;
    assert!(!haproxy::is_routed(&report, &replica.id), "{report:?}");
    // Each look would have it added again.
    for _ in 0..20 {
        observed(&haproxy, |_| true).await;
        tokio::time::sleep(QUICK * 10).await;
    }
    assert_eq!(rig.servers().await, ["theirs 127.0.0.1:1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_written_server_keeps_its_share_beside_flyballs() {
    let theirs = Replica::start("theirs", QUICK).await;
    let line = format!("balance roundrobin\nserver theirs {} weight 3", theirs.address);
    let Some(rig) = Rig::start(&line).await else { return };
    let haproxy = Haproxy::connect(rig.settings(), clock).await.unwrap();
    let ours = [Replica::start("web-1", QUICK).await, Replica::start("web-2", QUICK).await];
    for replica in &ours {
        replica.route(&haproxy);
        routed(&haproxy, replica).await;
    }
    let found = weights(&rig).await;
    let all = ["fb-web-1", "fb-web-2", "theirs"].map(|name| found[name].as_str());
    assert_eq!(all, ["3", "3", "3"]);
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..90 {
        *answers.entry(get(rig.front).await.unwrap()).or_default() += 1;
    }
    assert!(answers["theirs"] >= 25, "{answers:?}");
    // It is gone with the next reload: flyball's are alone, and have room below their weight again.
    rig.configure("");
    let epoch = observed(&haproxy, |_| true).await.epoch;
    rig.reload().await;
    observed(&haproxy, |r| r.epoch != epoch && r.servers.len() == 2).await;
    let weights = async || weights(&rig).await.into_values().collect::<Vec<_>>();
    let mut found = weights().await;
    for _ in 0..200 {
        if found == ["100", "100"] {
            break;
        }
        tokio::time::sleep(QUICK * 10).await;
        found = weights().await;
    }
    assert_eq!(found, ["100", "100"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_later_is_not_outbid_by_those_that_are_there() {
    let Some(rig) = Rig::start("").await else { return };
    let haproxy = Haproxy::connect(rig.settings(), clock).await.unwrap();
    let ours = Replica::start("web-1", QUICK).await;
    ours.route(&haproxy);
    routed(&haproxy, &ours).await;
    assert_eq!(weights(&rig).await["fb-web-1"], "100");
    rig.ask("add server web/blue 127.0.0.1:1 weight 2; set server web/blue state ready").await;
    let mut found = weights(&rig).await;
    for _ in 0..200 {
        observed(&haproxy, |_| true).await;
        found = weights(&rig).await;
        if found["fb-web-1"] == "2" {
            break;
        }
        tokio::time::sleep(QUICK * 10).await;
    }
    assert_eq!(found["fb-web-1"], "2", "{found:?}");
}

#[tokio::test]
async fn lines_that_read_or_run_something_are_refused_before_anything_is_written() {
    let Some(rig) = Rig::start("").await else { return };
    let path = rig.path("kept.cfg");
    let settings = |lines: &str| {
        let (path, directory) = (path.clone(), rig.folder.path().to_owned());
        let file = OwnedFile { path, directory, lines: lines.to_owned() };
        HaproxySettings { file: Some(file), ..rig.settings() }
    };
    let hostile = "\"program\" x\ncommand touch /tmp/x";
    let refused = Haproxy::connect(settings(hostile), clock).await.map(drop).unwrap_err();
    assert!(matches!(refused, HaproxyError::Line { .. }), "{refused}");
    assert!(!path.exists());
    let found = Haproxy::check(&settings(hostile), &[]).await;
    assert!(
        found.iter().any(|f| f.level == Level::Wrong && f.what.contains("is not allowed")),
        "{found:?}"
    );
    // What passes is what HAProxy itself takes.
    let sound = Haproxy::connect(settings(haproxy::LINES), clock).await.unwrap();
    sound.shutdown().await;
    assert!(fs::read_to_string(&path).unwrap().contains("balance leastconn"));
}

#[tokio::test]
async fn whatever_is_on_the_list_is_taken_by_haproxy() {
    let Some(program) = haproxy::program::haproxy() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("haproxy.cfg");
    let lines = [
        "balance hash req.hdr(host),lower",
        "hash-type consistent",
        "option httpchk GET /healthz",
        "http-check send meth GET uri /healthz ver HTTP/1.1 hdr host a",
        "http-check expect status 200",
        "http-request set-var(txn.host) req.hdr(host),lower",
        "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        "http-request deny deny_status 429 if { src 10.0.0.0/8 } { path_beg -i /admin }",
        "http-request return status 200 content-type text/plain string \"a b\" if { path /up }",
        "acl admin path_beg /admin",
        "cookie SRV insert indirect nocache",
        "stick-table type ip size 1m expire 10m",
        "stick on src",
        "default-server inter 2s maxconn 20 ssl verify none",
        "server activator 127.0.0.1:9000 backup",
        "compression algo gzip",
        "redirect scheme https code 301 if !{ ssl_fc }",
        "no log",
    ];
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    let head =
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n";
    let front = "frontend web\n  bind 127.0.0.1:1\n  default_backend web\n";
    fs::write(&config, format!("{head}{front}backend web\n{body}")).unwrap();
    let checked = std::process::Command::new(program).arg("-c").arg("-f").arg(&config).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let path = folder.path().join("kept.cfg");
    let (directory, lines) = (folder.path().to_owned(), lines.join("\n"));
    let socket = flyball_haproxy::Socket::Unix(folder.path().join("none.sock"));
    let file = Some(OwnedFile { path: path.clone(), directory, lines });
    let settings = HaproxySettings { file, ..HaproxySettings::new(socket, "web") };
    Haproxy::connect(settings, clock).await.unwrap().shutdown().await;
    assert!(path.exists());
}
