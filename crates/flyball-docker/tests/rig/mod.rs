//! What tests with a real daemon have in common: an engine, and waiting with a deadline.

#![allow(dead_code, reason = "every test binary uses its own part of it")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use flyball_core::observation::{EngineReport, Exit, Phase, Reading, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_docker::{
    DockerEngine, DockerHost, DockerSettings, HostSettings, Members, Publish, Signer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use flyball_testkit::docker::{IMAGE, Lab};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn clock() -> Timestamp {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // An hour in: what is older than the test has a time, too.
    let ms = u64::try_from(ORIGIN.elapsed().as_millis()).unwrap();
    Timestamp::from_ms(3_600_000 + ms)
}

/// What all engines of a test sign with, as runs of one flyball do.
pub(crate) fn signer() -> Arc<Signer> {
    static SIGNER: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::passing().unwrap()));
    Arc::clone(&SIGNER)
}

pub(crate) fn host_at(address: String) -> Arc<DockerHost> {
    DockerHost::open(host_settings(address)).unwrap()
}

pub(crate) fn host_settings(host: String) -> HostSettings {
    let cgroup_mount = Some(PathBuf::from("/sys/fs/cgroup"));
    HostSettings {
        host,
        cgroup_mount,
        clock,
        signer: signer(),
        labels_from_images: false,
        docker_config: None,
    }
}

pub(crate) fn host_without_files(address: String) -> Arc<DockerHost> {
    let settings = HostSettings { cgroup_mount: None, ..host_settings(address) };
    DockerHost::open(settings).unwrap()
}

/// An engine for service `web`, on a connection of its own, which others' containers may join.
pub(crate) fn engine(lab: &Lab, change: impl FnOnce(&mut DockerSettings)) -> DockerEngine {
    engine_at(host_at(lab.host()), change)
}

pub(crate) fn engine_at(
    host: Arc<DockerHost>,
    change: impl FnOnce(&mut DockerSettings),
) -> DockerEngine {
    let mut settings = DockerSettings::new("web", 8080);
    settings.grace_ms = Some(2_000);
    settings.members = Members::Adopted;
    change(&mut settings);
    DockerEngine::new(host, settings).unwrap()
}

/// Half a core of the lab's image.
pub(crate) fn image(settings: &mut DockerSettings) {
    settings.image = Some(IMAGE.into());
    settings.cpus = Some(0.5);
}

/// The same in the host's network, which is quicker.
pub(crate) fn host_network(settings: &mut DockerSettings) {
    image(settings);
    settings.publish = Publish::HostNetwork;
}

pub(crate) fn id(number: u64) -> ReplicaId {
    ReplicaId::numbered("web", number)
}

pub(crate) fn value(engine: &DockerEngine) -> EngineReport {
    match engine.observe() {
        Reading::Taken { value, .. } => value,
        missing @ Reading::Missing { .. } => panic!("{missing:?}"),
    }
}

pub(crate) fn replicas(engine: &DockerEngine) -> Vec<ReplicaReport> {
    engine.observe().value().map(|report| report.replicas.clone()).unwrap_or_default()
}

pub(crate) fn named(engine: &DockerEngine, name: &str) -> Option<ReplicaReport> {
    replicas(engine).into_iter().find(|replica| replica.id.as_str() == name)
}

pub(crate) fn report(engine: &DockerEngine, number: u64) -> Option<ReplicaReport> {
    named(engine, id(number).as_str())
}

pub(crate) fn phase(engine: &DockerEngine, number: u64) -> Option<Phase> {
    report(engine, number).map(|replica| replica.phase)
}

/// Looks again after every change, and every 2 ms for what is no change of the engine's.
pub(crate) async fn until<T>(
    engine: &DockerEngine,
    what: &str,
    mut condition: impl FnMut(&DockerEngine) -> Option<T>,
) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition(engine) {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 20 s: {what}; {:#?}", engine.observe());
        let _ = tokio::time::timeout(Duration::from_millis(2), engine.changed()).await;
    }
}

pub(crate) async fn until_listed(engine: &DockerEngine) {
    until(engine, "a listing", |engine| engine.observe().value().map(|_| ())).await;
}

pub(crate) async fn until_started(engine: &DockerEngine, number: u64) -> ReplicaReport {
    until(engine, "a replica with an address", |engine| {
        report(engine, number).filter(|replica| replica.address.is_some())
    })
    .await
}

/// Started, answering, and marked ready.
pub(crate) async fn until_ready(engine: &DockerEngine, number: u64) -> SocketAddr {
    let address = until_started(engine, number).await.address.unwrap();
    until_served(address).await;
    engine.set_ready(&id(number));
    assert_eq!(phase(engine, number), Some(Phase::Ready));
    address
}

pub(crate) async fn until_exit(engine: &DockerEngine) -> Exit {
    until(engine, "an exit", |engine| engine.observe().value()?.exits.first().cloned()).await
}

pub(crate) async fn until_gone(engine: &DockerEngine) {
    until(engine, "no replica", |engine| {
        engine.observe().value().filter(|report| report.replicas.is_empty()).map(|_| ())
    })
    .await;
}

/// The body of the first answer over HTTP.
pub(crate) async fn until_served(address: SocketAddr) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(body) = get(address, "/").await {
            return body;
        }
        assert!(Instant::now() < deadline, "no answer at {address}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned())
}
