//! Shared by tests with real processes: an engine, and waiting with a deadline.

#![allow(dead_code, reason = "every test binary uses its own part of it")]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use flyball_cgroup::Hierarchies;
use flyball_core::observation::{Exit, Phase, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_process::{Containment, Launcher, LauncherSettings, ProcessEngine, ProcessSettings};

pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Whether replicas get a cgroup each, where this machine allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Cgroup,
    Session,
}

pub(crate) fn clock() -> Timestamp {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Timestamp::from_ms(u64::try_from(ORIGIN.elapsed().as_millis()).unwrap())
}

/// A mark that no other test, and no other run of this one, has.
pub(crate) fn mark() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn launcher_settings(way: Way) -> LauncherSettings {
    let mark = mark();
    LauncherSettings {
        home_mark: format!("/home-of-{mark}"),
        run_mark: mark,
        watchdog: None,
        descriptors: None,
        replicas_max: 1_000,
        cgroup_mount: (way == Way::Cgroup).then(|| PathBuf::from(Hierarchies::USUAL_MOUNT)),
    }
}

/// A launcher that holds replicas together in the way asked for, or reports why it cannot.
pub(crate) fn launcher(way: Way) -> Arc<Launcher> {
    let launcher = Arc::new(Launcher::start(launcher_settings(way)).unwrap());
    match (way, launcher.containment()) {
        (Way::Cgroup, Containment::Session { why }) => {
            assert!(!cgroups_can_be_had(), "no cgroups, although there could be: {why}");
            assert!(!why.is_empty());
        }
        (Way::Session, containment) => {
            let off = Containment::Session { why: "cgroups are switched off".into() };
            assert_eq!(*containment, off);
        }
        (Way::Cgroup, Containment::Cgroup { directory }) => assert!(directory.is_dir()),
    }
    launcher
}

/// Whether this process can make groups where it stands, found out by making one.
fn cgroups_can_be_had() -> bool {
    let place = Hierarchies::at(Hierarchies::USUAL_MOUNT.as_ref())
        .and_then(|found| found.unified_place_of(std::process::id()));
    let Ok(Some(place)) = place else { return false };
    let probe = place.join(mark());
    fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)).is_ok()
        && fs::File::options().write(true).open(place.join("cgroup.procs")).is_ok()
}

pub(crate) fn engine(
    way: Way,
    script: &str,
    change: impl FnOnce(&mut ProcessSettings),
) -> ProcessEngine {
    engine_of(launcher(way), script, change)
}

pub(crate) fn engine_of(
    launcher: Arc<Launcher>,
    script: &str,
    change: impl FnOnce(&mut ProcessSettings),
) -> ProcessEngine {
    let command = ["sh", "-c", script].map(str::to_owned).into();
    let mut settings = ProcessSettings::new("web", command);
    change(&mut settings);
    ProcessEngine::new(launcher, settings, clock).unwrap()
}

pub(crate) fn id(number: u64) -> ReplicaId {
    ReplicaId::numbered("web", number)
}

pub(crate) fn report(engine: &ProcessEngine, number: u64) -> Option<ReplicaReport> {
    engine.observe().replicas.into_iter().find(|replica| replica.id == id(number))
}

/// Looks again after every change, and every 5 ms for what is no change of the engine's.
pub(crate) async fn until<T>(
    engine: &ProcessEngine,
    what: &str,
    mut condition: impl FnMut(&ProcessEngine) -> Option<T>,
) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition(engine) {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 10 s: {what}; {:#?}", engine.observe());
        let _ = tokio::time::timeout(Duration::from_millis(5), engine.changed()).await;
    }
}

pub(crate) async fn until_started(engine: &ProcessEngine, number: u64) -> ReplicaReport {
    until(engine, "a replica with an address", |engine| {
        report(engine, number).filter(|replica| replica.address.is_some())
    })
    .await
}

pub(crate) async fn until_exit(engine: &ProcessEngine) -> Exit {
    until(engine, "an exit", |engine| engine.observe().exits.first().cloned()).await
}

pub(crate) async fn until_gone(engine: &ProcessEngine) {
    until(engine, "no replica", |engine| engine.observe().replicas.is_empty().then_some(())).await;
}

pub(crate) fn phase(engine: &ProcessEngine, number: u64) -> Option<Phase> {
    report(engine, number).map(|replica| replica.phase)
}

/// The processes that carry `NAME=value` in their environment and have not ended.
pub(crate) fn carriers(variable: &str) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|bytes| bytes.split(|&b| b == 0).any(|v| v == variable.as_bytes()))
        })
        .collect()
}
