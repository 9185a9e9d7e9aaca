//! A real HAProxy that lacks something, and what flyball reports about it.
#![allow(clippy::unwrap_used, reason = "a test may")]

use flyball_core::observation::Reading;
use flyball_engine::Hint as _;
use flyball_haproxy::{
    Finding, Haproxy, HaproxyError, HaproxySettings, Level, OwnedFile, Socket, TemplateServers,
};
use flyball_testkit::haproxy;
use flyball_testkit::haproxy::{Replica, Rig, clock, id};

fn refused(outcome: Result<Haproxy, HaproxyError>) -> (String, String) {
    let error = outcome.map(drop).unwrap_err();
    (error.to_string(), error.hint().unwrap_or_default())
}

/// The findings that are not well, each with its hint.
fn wrong(findings: &[Finding]) -> Vec<String> {
    let wrong = findings.iter().filter(|finding| finding.level == Level::Wrong);
    wrong.map(|f| format!("{} | {}", f.what, f.hint.clone().unwrap_or_default())).collect()
}

#[tokio::test]
async fn a_backend_that_is_not_there_is_named() {
    let Some(rig) = Rig::start("").await else { return };
    let settings = HaproxySettings { backend: "wbe".to_owned(), ..rig.settings() };
    let found = wrong(&Haproxy::check(&settings, &[]).await);
    assert_eq!(
        found,
        [
            "HAProxy has no backend `wbe` | add a section `backend wbe` with `balance leastconn`, or \
          name another with `backend`; it has: fixed, web"
        ]
    );
    let (error, hint) = refused(Haproxy::connect(settings, clock).await);
    assert_eq!(error, "HAProxy has no backend `wbe`");
    assert!(hint.contains("backend wbe"), "{hint}");
}

#[tokio::test]
async fn a_socket_that_may_only_look_is_named() {
    let Some(rig) = Rig::start("").await else { return };
    let socket = Socket::Unix(rig.path("user.sock"));
    let settings = HaproxySettings { socket, ..rig.settings() };
    let found = wrong(&Haproxy::check(&settings, &[]).await);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("level user") && found[0].ends_with("level admin"), "{found:?}");
    let (error, hint) = refused(Haproxy::connect(settings, clock).await);
    assert!(error.contains("does not have level admin"), "{error}");
    assert!(hint.contains("user.sock mode 660 level admin"), "{hint}");
}

#[tokio::test]
async fn an_algorithm_that_takes_no_servers_is_named() {
    let Some(rig) = Rig::start("").await else { return };
    let settings = HaproxySettings { backend: "fixed".to_owned(), ..rig.settings() };
    let found = wrong(&Haproxy::check(&settings, &[]).await);
    assert_eq!(
        found,
        ["backend `fixed` does not accept servers at run time with this algorithm | in `backend \
          fixed`, instead of `balance`: balance leastconn"]
    );
    let haproxy = Haproxy::connect(settings, clock).await.unwrap();
    haproxy.route(&id("web-1"), "127.0.0.1:1".parse().unwrap());
    let reading = haproxy.observe().await;
    assert!(reading.value().unwrap().servers.is_empty(), "{reading:?}");
}

#[tokio::test]
async fn template_servers_that_are_missing_are_counted() {
    let Some(rig) = Rig::start("server-template dyn 2 127.0.0.1:1 disabled").await else { return };
    let template_servers = Some(TemplateServers { prefix: "dyn".to_owned(), count: 5 });
    let settings = HaproxySettings { template_servers, ..rig.settings() };
    let found = wrong(&Haproxy::check(&settings, &[]).await);
    assert_eq!(found.len(), 1, "{found:?}");
    let (what, hint) = found[0].split_once(" | ").unwrap();
    assert_eq!(what, "the backend has 2 of the 5 template servers `dyn1`...");
    let start =
        "in `backend web`, instead of `server-template dyn`: server-template dyn 5 127.0.0.1:1 ";
    assert!(hint.starts_with(start) && hint.ends_with(" disabled"), "{hint}");
}

#[tokio::test]
async fn a_sound_backend_passes_and_is_left_as_it_was() {
    let Some(rig) = Rig::start("server legacy 127.0.0.1:1").await else { return };
    let before = rig.servers().await;
    let findings = Haproxy::check(&rig.settings(), &[]).await;
    assert_eq!(wrong(&findings), [""; 0]);
    let reported = |part: &str| findings.iter().any(|finding| finding.what.contains(part));
    assert!(
        reported("level admin") && reported("leastconn") && reported("legacy"),
        "{findings:#?}"
    );
    assert_eq!(rig.servers().await, before);
    // Everything was looked at, the configuration of the running HAProxy included.
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:#?}");
    assert!(
        reported("accepts servers with: weight 100 check")
            && reported("`backend web` retries requests")
    );
}

#[tokio::test]
async fn what_the_owned_file_lacks_is_suggested_line_by_line() {
    let Some(rig) = Rig::start("").await else { return };
    let config = rig.path("defaults.cfg");
    std::fs::write(&config, "defaults\n  mode http\n").unwrap();
    let advised = |lines: &str| {
        let (path, directory) = (rig.path("flyball.cfg"), rig.folder.path().to_owned());
        let file = OwnedFile { path, directory, lines: lines.to_owned() };
        let settings = HaproxySettings { file: Some(file), ..rig.settings() };
        let config = config.clone();
        async move {
            let findings = Haproxy::check(&settings, &[config]).await;
            let advice = findings.into_iter().filter_map(|f| f.hint).rfind(|h| h.contains("lines"));
            advice.unwrap_or_default()
        }
    };
    assert_eq!(advised(haproxy::LINES).await, "");
    let without = haproxy::LINES.replace("option redispatch 1", "");
    assert_eq!(advised(&without).await, "in `lines`: option redispatch 1");
}

#[tokio::test]
async fn haproxy_is_started_with_the_owned_file_only_once_that_is_there() {
    let Some(rig) = Rig::start("").await else { return };
    let path = rig.path("owned.cfg");
    let directory = rig.folder.path().to_owned();
    let file = OwnedFile { path: path.clone(), directory, lines: haproxy::LINES.to_owned() };
    let settings = HaproxySettings { backend: "pool".into(), file: Some(file), ..rig.settings() };
    let texts = |findings: Vec<Finding>| {
        let mut about = findings.into_iter().filter(|f| f.what.contains("no backend `pool`"));
        about.next().unwrap()
    };
    let before = texts(Haproxy::check(&settings, &[]).await);
    assert_eq!(before.level, Level::Advice);
    let hint = before.hint.unwrap();
    assert!(hint.starts_with("start flyball first (`flyball run`); then start HAProxy"), "{hint}");
    assert!(!path.exists(), "a check makes nothing");
    let haproxy = Haproxy::connect(settings.clone(), clock).await.unwrap();
    let after = texts(Haproxy::check(&settings, &[]).await);
    assert_eq!(after.level, Level::Wrong);
    let hint = format!("start HAProxy with `-f {}` behind its own file", path.display());
    assert_eq!(after.hint, Some(hint));
    haproxy.shutdown().await;
}

#[tokio::test]
async fn no_listener_at_the_socket_is_no_reason_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let socket = Socket::Unix(folder.path().join("admin.sock"));
    let settings = HaproxySettings::new(socket, "web");
    let found = wrong(&Haproxy::check(&settings, &[]).await);
    assert!(found[0].contains("cannot reach HAProxy at"), "{found:?}");
    assert!(found[0].contains("stats socket"), "{found:?}");
    let haproxy = Haproxy::connect(settings, clock).await.unwrap();
    let Reading::Missing { why, .. } = haproxy.observe().await else { panic!("a reading") };
    assert!(why.contains("No such file"), "{why}");
    let replica = Replica::start("web-1", std::time::Duration::ZERO).await;
    replica.route(&haproxy);
    assert!(matches!(haproxy.observe().await, Reading::Missing { .. }));
    haproxy.shutdown().await;
}
