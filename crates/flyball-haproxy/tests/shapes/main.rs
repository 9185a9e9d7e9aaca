//! `check` on configurations of HAProxy as people have them, beside real HAProxys of three
//! releases.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod collection;
mod edit;
mod stage;
mod versions;

use collection::{Shape, shapes};
use flyball_haproxy::{Finding, Haproxy, Level, TemplateServers};
use flyball_testkit::haproxy;
use stage::Stage;
use versions::Version;

/// Rounds of advice until nothing is left: what one line brings in another may concern.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_for_haproxy_2_2_is_taken_by_it_and_a_replica_serves() {
    all_shapes(versions::old()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_for_haproxy_2_6_is_taken_by_it_and_a_replica_serves() {
    all_shapes(versions::installed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_for_haproxy_3_0_is_taken_by_it_and_a_replica_serves() {
    all_shapes(versions::new()).await;
}

/// The file that flyball makes is taken by each release, without servers and with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_haproxy_starts_with_the_owned_file() {
    for version in [versions::old(), versions::installed(), versions::new()].into_iter().flatten() {
        let case = format!("{:?}", version.release);
        let mut stage = Stage::prepare(&collection::OWNED, &version).await;
        if version.release < (2, 6) {
            stage.settings.template_servers =
                Some(TemplateServers { prefix: "fb".to_owned(), count: 2 });
        }
        let haproxy = Haproxy::connect(stage.settings.clone(), haproxy::clock).await.unwrap();
        stage.start(&case).await;
        let found = stage.check().await;
        assert!(worst(&found) < Level::Wrong, "{case}: {found:#?}");
        serves(&stage, &case).await;
        let file = stage.settings.file.as_ref().unwrap().path.clone();
        let replica = format!(" {} ", stage.replica);
        haproxy::file_contains(&file, |text| text.contains(&replica) && text.contains("observe"))
            .await;
        stage.stop();
        stage.start(&format!("{case}, with servers")).await;
        assert!(stage.ask().await.is_ok(), "{case}: the file had the server");
        haproxy.shutdown().await;
    }
}

/// Requests go to the activator exactly while there is no server, and it is no replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_haproxy_has_the_activator_for_as_long_as_there_is_no_server() {
    for version in [versions::old(), versions::installed(), versions::new()].into_iter().flatten() {
        let case = format!("{:?}", version.release);
        let mut stage = Stage::prepare(shapes().next().unwrap(), &version).await;
        stage.settings.activator = Some(stage.replica);
        stage.start(&case).await;
        let by_hand = stage.check().await;
        let line = format!("server fb-activator {} backup no-check", stage.replica);
        let hinted = by_hand.iter().any(|finding| format!("{:?}", finding.edits).contains(&line));
        assert_eq!(hinted, version.release < (2, 6), "{case}: {by_hand:#?}");
        stage.stop();
        for finding in by_hand {
            stage.change(&finding.edits);
        }
        stage.start(&case).await;
        let adapter = Haproxy::connect(stage.settings.clone(), haproxy::clock).await.unwrap();
        until_served(&stage, &adapter, &case).await;
        let report = haproxy::observed(&adapter, |report| report.arrivals > 0).await;
        assert!(report.servers.is_empty() && report.trouble.is_none(), "{case}: {report:?}");
        let replica = haproxy::id("activator");
        adapter.route(&replica, stage.replica);
        haproxy::observed(&adapter, |r| haproxy::is_routed(r, &replica)).await;
        stage.ask().await.unwrap();
        haproxy::observed(&adapter, |r| r.servers[&replica].served == 1).await;
        adapter.drain(&replica);
        haproxy::observed(&adapter, |r| r.servers.is_empty()).await;
        stage.stop();
        stage.start(&format!("{case}, again")).await;
        until_served(&stage, &adapter, &case).await;
        adapter.shutdown().await;
        let refused = stage.ask().await.unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 503"), "{case}: {refused}");
    }
}

/// Looks as the control loop does, until a request is answered.
async fn until_served(stage: &Stage, adapter: &Haproxy, case: &str) {
    let began = std::time::Instant::now();
    while let Err(answer) = stage.ask().await {
        adapter.observe().await;
        assert!(began.elapsed() < haproxy::DEADLINE, "{case}: {answer}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn all_shapes(version: Option<Version>) {
    let Some(version) = version else { return };
    assert!(shapes().count() >= 30, "{}", shapes().count());
    let mut failed = Vec::new();
    for shape in shapes().filter(|shape| shape.since <= version.release) {
        let version = version.clone();
        let one = tokio::spawn(async move { one_shape(shape, &version).await });
        failed.extend(one.await.err().map(|_| shape.name));
    }
    assert!(failed.is_empty(), "with {:?}: {failed:#?}", version.release);
}

async fn one_shape(shape: &Shape, version: &Version) {
    let case = format!("{} with {:?}", shape.name, version.release);
    let mut stage = Stage::prepare(shape, version).await;
    stage.start(&case).await;
    let mut found = stage.check().await;
    as_expected(shape, version, &found, &case);
    for _ in 0..ROUNDS {
        let edits: Vec<_> = found.iter().flat_map(|finding| finding.edits.clone()).collect();
        if edits.is_empty() {
            break;
        }
        stage.stop();
        stage.change(&edits);
        stage.start(&format!("{case}, after {edits:#?}")).await;
        found = stage.check().await;
    }
    let left: Vec<_> = found.iter().filter(|finding| !finding.edits.is_empty()).collect();
    assert!(left.is_empty(), "{case}: advice that mends nothing: {left:#?}");
    if worst(&found) < Level::Wrong {
        serves(&stage, &case).await;
    }
    stage.stop();
}

fn worst(found: &[Finding]) -> Level {
    found.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

/// Each configuration is started, checked, changed as the hints say until nothing is left to change,
/// and started again. Once nothing is wrong, a replica is put behind it and has to serve.
///
/// Every finding is expected, and every expected one is reported.
fn as_expected(shape: &Shape, version: &Version, found: &[Finding], case: &str) {
    let expected: Vec<(Level, &str)> = shape.expected(version.release);
    for finding in found.iter().filter(|finding| finding.level > Level::Ok) {
        assert!(finding.hint.is_some(), "{case}: no word on what to do: {finding:#?}");
        let is =
            |(level, part): &(Level, &str)| *level == finding.level && finding.what.contains(part);
        assert!(expected.iter().any(is), "{case}: not expected: {finding:#?}");
    }
    for (level, part) in expected {
        let is = |finding: &Finding| finding.level == level && finding.what.contains(part);
        assert!(found.iter().any(is), "{case}: {part:?} is missing: {found:#?}");
    }
}

/// A replica behind what was called well gets a request through the front, and answers it.
async fn serves(stage: &Stage, case: &str) {
    let haproxy = Haproxy::connect(stage.settings.clone(), haproxy::clock).await.unwrap();
    let replica = haproxy::id("web-1");
    haproxy.route(&replica, stage.replica);
    let report = haproxy::observed(&haproxy, |r| haproxy::is_routed(r, &replica)).await;
    assert_eq!(report.trouble, None, "{case}");
    let answer = stage.ask().await;
    assert!(answer.as_ref().is_ok_and(|body| body.ends_with("replica")), "{case}: {answer:?}");
    haproxy.shutdown().await;
}
