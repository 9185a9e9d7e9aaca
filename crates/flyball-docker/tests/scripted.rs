//! The engine against a daemon that misbehaves on purpose.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use flyball_core::observation::{Phase, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_docker::{
    DockerEngine, DockerError, DockerHost, DockerSettings, HostSettings, Members, Publish, Signer,
};
use flyball_engine::Hint as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

const VERSION: &str = r#"{"ApiVersion":"1.41","Version":"20.10.24"}"#;

/// What the daemon does with a request.
#[derive(Clone, Debug)]
enum Answer {
    /// Takes it and stays silent.
    Nothing,
    /// A head, and then nothing.
    Stream,
    /// Ends within the head.
    Half,
    /// This status and body.
    Whole(u16, &'static str),
    /// The same after a while.
    Late(Duration, u16, &'static str),
}

/// Answers each request by its path until the test is over.
struct Daemon {
    _directory: tempfile::TempDir,
    host: Arc<DockerHost>,
}

impl Daemon {
    fn that(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = Arc::clone(&script);
                tokio::spawn(async move { answer(stream, |path| script(path)).await });
            }
        });
        Self { _directory: directory, host: open(&socket) }
    }

    fn engine(&self) -> DockerEngine {
        DockerEngine::new(Arc::clone(&self.host), DockerSettings::new("web", 80)).unwrap()
    }
}

async fn answer(mut stream: UnixStream, script: impl Fn(&str) -> Answer) -> Option<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&chunk[..length]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1)?;
    // Without the version in front of it.
    let path =
        path.strip_prefix("/v1.").and_then(|p| p.find('/').map(|at| &p[at..])).unwrap_or(path);
    let answer = script(path);
    if let Answer::Late(wait, ..) = answer {
        tokio::time::sleep(wait).await;
    }
    let text = match answer {
        Answer::Nothing => String::new(),
        Answer::Stream => {
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".into()
        }
        Answer::Half => "HTTP/1.1 200 O".into(),
        Answer::Whole(status, body) | Answer::Late(_, status, body) => format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    };
    stream.write_all(text.as_bytes()).await.ok()?;
    if matches!(answer, Answer::Nothing | Answer::Stream) {
        std::future::pending::<()>().await;
    }
    Some(())
}

fn clock() -> Timestamp {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Timestamp::from_ms(u64::try_from(ORIGIN.elapsed().as_millis()).unwrap())
}

fn open(socket: &Path) -> Arc<DockerHost> {
    let host = format!("unix://{}", socket.display());
    // The script's containers claim that flyball started them; they carry no signature.
    let signer = Arc::new(Signer::passing().unwrap().trusting_marks(true));
    let settings = HostSettings {
        host,
        cgroup_mount: None,
        clock,
        signer,
        labels_from_images: false,
        docker_config: None,
    };
    DockerHost::open(settings).unwrap()
}

/// A daemon that is well but for the answers that `script` gives for a path.
fn well_but(
    script: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
) -> impl Fn(&str) -> Answer + Send + Sync + 'static {
    move |path| {
        script(path).unwrap_or(match path.split('?').next().unwrap_or_default() {
            "/version" => Answer::Whole(200, VERSION),
            "/events" => Answer::Stream,
            "/_ping" => Answer::Whole(200, "OK"),
            "/containers/json" => Answer::Whole(200, "[]"),
            path if path.starts_with("/images/") && path.ends_with("/json") => {
                Answer::Whole(200, r#"{"Id":"sha256:1111"}"#)
            }
            _ => Answer::Whole(404, r#"{"message":"page not found"}"#),
        })
    }
}

async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn missing(engine: &DockerEngine) -> Option<String> {
    match engine.observe() {
        Reading::Missing { why, .. } => Some(why),
        Reading::Taken { .. } => None,
    }
}

#[tokio::test]
async fn each_way_to_answer_badly_is_an_error_of_its_own() {
    let check = |answer: Answer| async move {
        let host = Daemon::that(move |_| answer.clone());
        host.host.check().await.unwrap_err()
    };
    assert!(matches!(check(Answer::Half).await, DockerError::Broken { .. }));
    assert!(matches!(check(Answer::Whole(200, "<html>")).await, DockerError::Broken { .. }));
    assert!(matches!(check(Answer::Whole(200, "{}")).await, DockerError::Broken { .. }));
    let refused = check(Answer::Whole(500, r#"{"message":"out of order"}"#)).await;
    assert_eq!(
        refused.to_string(),
        "docker refused the request to agree on a version: out of order (status 500)"
    );
    let old = check(Answer::Whole(200, r#"{"ApiVersion":"1.12"}"#)).await;
    assert!(matches!(&old, DockerError::TooOld { found, .. } if found == "1.12"), "{old}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_stays_silent_is_given_up_at_the_deadline() {
    let daemon = Daemon::that(|_| Answer::Nothing);
    let error = daemon.host.check().await.unwrap_err();
    assert_eq!(error.to_string(), "docker did not answer within 5 s: agree on a version");
}

#[tokio::test]
async fn no_daemon_is_reported_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let host = open(&directory.path().join("docker.sock"));
    let error = host.check().await.unwrap_err();
    assert!(matches!(error, DockerError::NotRunning { .. }), "{error}");
    assert!(error.hint().unwrap().contains("systemctl start docker"));
    drop(UnixListener::bind(directory.path().join("docker.sock")).unwrap());
    let error = host.check().await.unwrap_err();
    assert!(matches!(error, DockerError::NotRunning { .. }), "{error}");
}

#[tokio::test]
async fn a_service_that_could_not_be_listed_is_missing_and_not_empty() {
    for bad in [Answer::Whole(200, "[{"), Answer::Whole(500, "{}"), Answer::Half] {
        let listed = bad.clone();
        let listing =
            move |path: &str| path.starts_with("/containers/json").then(|| listed.clone());
        let daemon = Daemon::that(well_but(listing));
        let engine = daemon.engine();
        until("a reason", || missing(&engine).filter(|why| why.contains("list containers"))).await;
        engine.start(&ReplicaId::numbered("web", 1), None);
        assert!(missing(&engine).is_some(), "{bad:?}");
    }
}

#[tokio::test]
async fn a_container_that_cannot_be_inspected_leaves_the_service_missing() {
    const STARTED: &str = r#"[{"Id":"4a","Names":["/x"],"State":"running","Status":"Up",
        "Labels":{"flyball.service":"web","flyball.managed":"true"}}]"#;
    const THEIRS: &str = r#"[{"Id":"4a","Names":["/x"],"State":"running","Status":"Up",
        "Labels":{"flyball.service":"web"}}]"#;
    for (list, members) in [(STARTED, Members::Started), (THEIRS, Members::Adopted)] {
        let daemon = Daemon::that(well_but(move |path| match path.split('?').next() {
            Some("/containers/json") => Some(Answer::Whole(200, list)),
            Some("/containers/4a/json") => Some(Answer::Whole(500, r#"{"message":"locked"}"#)),
            _ => None,
        }));
        let settings = DockerSettings { members, ..DockerSettings::new("web", 80) };
        let engine = DockerEngine::new(Arc::clone(&daemon.host), settings).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(missing(&engine).as_deref(), Some("containers are not listed yet"), "{list}");
    }
}

#[tokio::test]
async fn a_container_of_a_stranger_that_cannot_be_inspected_keeps_nothing_from_a_service() {
    const LIST: &str = r#"[{"Id":"4a","Names":["/x"],"State":"running","Status":"Up",
        "Labels":{"flyball.service":"web"}}]"#;
    let daemon = Daemon::that(well_but(|path| match path.split('?').next() {
        Some("/containers/json") => Some(Answer::Whole(200, LIST)),
        Some("/containers/4a/json") => Some(Answer::Whole(500, r#"{"message":"locked"}"#)),
        _ => None,
    }));
    let engine = daemon.engine();
    let report = until("a report", || engine.observe().value().cloned()).await;
    assert_eq!(report.replicas, []);
}

#[tokio::test]
async fn a_daemon_without_containers_is_an_empty_service() {
    let daemon = Daemon::that(well_but(|_| None));
    let engine = daemon.engine();
    let report = until("a report", || engine.observe().value().cloned()).await;
    assert_eq!(report.replicas, []);
}

#[tokio::test]
async fn an_event_stream_of_garbage_ends_the_session_and_the_next_one_begins() {
    let sessions = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let begun = Arc::clone(&sessions);
    let daemon = Daemon::that(well_but(move |path| {
        let first = path.starts_with("/events")
            && begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 4;
        first.then_some(Answer::Whole(200, "garbage\n{]\n"))
    }));
    let engine = daemon.engine();
    until("a report", || {
        let begun = sessions.load(std::sync::atomic::Ordering::Relaxed);
        engine.observe().value().filter(|_| begun > 4).map(|_| ())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(missing(&engine), None);
}

#[tokio::test]
async fn a_container_that_does_not_run_yet_has_no_address_to_be_probed_at() {
    const LIST: &str = r#"[{"Id":"4a","Names":["/web-1"],"Labels":{"flyball.service":"web"},
        "State":"created","Status":"Created"}]"#;
    const CREATED: &str = r#"{"Id":"4a","Name":"/web-1","State":{"Status":"created"},
        "HostConfig":{"NetworkMode":"host"},"Config":{"Labels":{"flyball.service":"web",
        "flyball.replica":"web-1","flyball.managed":"true","flyball.port":"4711"}}}"#;
    let (created, inspected) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (was_created, was_inspected) = (Arc::clone(&created), Arc::clone(&inspected));
    let daemon = Daemon::that(well_but(move |path| match path.split('?').next()? {
        "/containers/create" => {
            created.store(true, Relaxed);
            Some(Answer::Whole(201, r#"{"Id":"4a","Warnings":[]}"#))
        }
        // It takes its time to start.
        "/containers/4a/start" => Some(Answer::Nothing),
        "/containers/json" if created.load(Relaxed) => Some(Answer::Whole(200, LIST)),
        "/containers/4a/json" => {
            inspected.store(true, Relaxed);
            Some(Answer::Whole(200, CREATED))
        }
        _ => None,
    }));
    let settings = DockerSettings {
        image: Some("web:1".into()),
        publish: Publish::HostNetwork,
        ..DockerSettings::new("web", 80)
    };
    let engine = DockerEngine::new(Arc::clone(&daemon.host), settings).unwrap();
    until("a listing", || engine.observe().value().map(|_| ())).await;
    engine.start(&ReplicaId::numbered("web", 1), None);
    until("the creation", || was_created.load(Relaxed).then_some(())).await;
    // Another service makes the host list everything again.
    let other = DockerSettings::new("other", 80);
    let _other = DockerEngine::new(Arc::clone(&daemon.host), other).unwrap();
    until("an inspection", || was_inspected.load(Relaxed).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let report = engine.observe().value().cloned().unwrap();
    let [replica] = &report.replicas[..] else { panic!("{report:?}") };
    assert_eq!((replica.phase, replica.address), (Phase::Starting, None));
}

#[tokio::test]
async fn a_full_disk_and_used_up_ports_are_failed_starts_each_with_its_words() {
    const FULL: &str = r#"{"message":"write /var/lib/docker/x: no space left on device"}"#;
    const PORTS: &str = r#"{"message":"driver failed programming external connectivity on endpoint web-1: all ports are allocated"}"#;
    for (message, wanted) in [
        (FULL, "no space left on the docker host: create container web-1"),
        (PORTS, "no free port on the docker host"),
    ] {
        let daemon = Daemon::that(well_but(move |path| {
            path.starts_with("/containers/create").then_some(Answer::Whole(500, message))
        }));
        let mut settings = DockerSettings::new("web", 80);
        settings.image = Some("web:1".into());
        let engine = DockerEngine::new(Arc::clone(&daemon.host), settings).unwrap();
        until("a report", || engine.observe().value().cloned()).await;
        engine.start(&ReplicaId::numbered("web", 1), None);
        let report = until("an exit", || {
            engine.observe().value().filter(|report| !report.exits.is_empty()).cloned()
        })
        .await;
        assert!(report.exits[0].reason.contains(wanted), "{}", report.exits[0].reason);
        assert_eq!(report.pending.as_deref(), Some(report.exits[0].reason.as_str()));
        assert!(report.replicas.is_empty());
    }
}

/// What HAProxy in front of Docker's socket answers to what it does not let pass.
const FORBIDDEN: &str = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative \
                         rules.\n</body></html>\n";

#[tokio::test]
async fn a_disk_that_fills_up_during_a_pull_fails_the_deploy_and_the_old_image_stays() {
    const FULL: &str = "{\"status\":\"Downloading\"}\n{\"errorDetail\":{\"message\":\"write \
        /var/lib/docker/tmp/layer: no space left on device\"},\"error\":\"write \
        /var/lib/docker/tmp/layer: no space left on device\"}\n";
    let daemon = Daemon::that(well_but(|path| {
        path.starts_with("/images/create").then_some(Answer::Whole(200, FULL))
    }));
    let settings =
        DockerSettings { image: Some("shop:1".into()), ..DockerSettings::new("web", 80) };
    let engine = DockerEngine::new(Arc::clone(&daemon.host), settings).unwrap();
    let made = || engine.observe().value().and_then(|report| report.generation);
    let first = until("a generation", made).await;
    let full = engine.deploy(Some("shop:2".into())).await.unwrap_err();
    assert!(matches!(full, DockerError::NoSpace { .. }), "{full:?}");
    assert!(full.to_string().contains("pull image shop:2"), "{full}");
    assert_eq!(full.hint().unwrap(), "docker system df shows what uses it");
    assert_eq!(made(), Some(first));
    assert!(engine.generations()[0].what.starts_with("shop:1 ("));
}

#[tokio::test]
async fn a_socket_proxy_may_hide_the_machine_and_its_error_pages_are_shown_as_text() {
    let daemon = Daemon::that(well_but(|path| match path.split('?').next() {
        Some("/info" | "/containers/json") => Some(Answer::Whole(403, FORBIDDEN)),
        _ => None,
    }));
    let facts = daemon.host.check().await.unwrap();
    assert_eq!((facts.version.as_str(), facts.cores, facts.counts_cpu), ("20.10.24", None, None));
    let engine = daemon.engine();
    let why = until("a reason", || missing(&engine).filter(|why| why.contains("403"))).await;
    let wanted = "to list containers: 403 Forbidden Request forbidden by administrative rules.";
    assert!(why.ends_with(wanted), "{why}");
}

#[tokio::test]
async fn a_stream_of_events_that_is_cut_is_reopened_without_a_gap_in_what_is_known() {
    let (streams, sessions) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (cut, begun) = (Arc::clone(&streams), Arc::clone(&sessions));
    let daemon = Daemon::that(well_but(move |path| match path.split('?').next() {
        // Time enough to be listed once.
        Some("/events") if cut.fetch_add(1, Relaxed) < 2 => {
            Some(Answer::Late(Duration::from_millis(300), 200, ""))
        }
        Some("/version") => {
            begun.fetch_add(1, Relaxed);
            None
        }
        _ => None,
    }));
    let engine = daemon.engine();
    until("a report", || engine.observe().value().map(|_| ())).await;
    until("a third stream", || {
        assert_eq!(missing(&engine), None, "after {} streams", streams.load(Relaxed));
        (streams.load(Relaxed) >= 3).then_some(())
    })
    .await;
    assert_eq!(sessions.load(Relaxed), 1);
}

const LISTED: &str = r#"[{"Id":"4a","Names":["/web-1"],"Labels":{"flyball.service":"web","flyball.managed":"true"},
    "State":"running","Status":"Up"}]"#;
const RUNNING: &str = r#"{"Id":"4a","Name":"/web-1","State":{"Status":"running","Pid":7},
    "HostConfig":{"NetworkMode":"host"},"Config":{"Labels":{"flyball.service":"web",
    "flyball.replica":"web-1","flyball.managed":"true","flyball.port":"4711"}}}"#;

#[tokio::test]
async fn an_end_stops_no_replica_that_runs_although_its_start_is_not_over() {
    let (created, stops, looks) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
    let (is_created, stopped) = (Arc::clone(&created), Arc::clone(&stops));
    let daemon = Daemon::that(well_but(move |path| match path.split('?').next()? {
        "/containers/create" => {
            is_created.store(true, Relaxed);
            Some(Answer::Whole(201, r#"{"Id":"4a","Warnings":[]}"#))
        }
        "/containers/4a/start" => Some(Answer::Whole(204, "")),
        "/containers/json" if is_created.load(Relaxed) => Some(Answer::Whole(200, LISTED)),
        // The caller waits for this; the listing's own look comes after.
        "/containers/4a/json" if looks.fetch_add(1, Relaxed) == 0 => {
            Some(Answer::Late(Duration::from_secs(1), 200, RUNNING))
        }
        "/containers/4a/json" => Some(Answer::Whole(200, RUNNING)),
        "/containers/4a/stop" => {
            stopped.fetch_add(1, Relaxed);
            Some(Answer::Whole(204, ""))
        }
        _ => None,
    }));
    let settings = DockerSettings {
        image: Some("web:1".into()),
        publish: Publish::HostNetwork,
        ..DockerSettings::new("web", 80)
    };
    let engine = DockerEngine::new(Arc::clone(&daemon.host), settings).unwrap();
    until("a listing", || engine.observe().value().map(|_| ())).await;
    let id = ReplicaId::numbered("web", 1);
    engine.start(&id, None);
    until("the creation", || created.load(Relaxed).then_some(())).await;
    let _other = DockerEngine::new(Arc::clone(&daemon.host), DockerSettings::new("other", 80));
    let ready = || {
        engine.set_ready(&id);
        let report = engine.observe().value().cloned()?;
        (report.replicas.first()?.phase == Phase::Ready).then_some(())
    };
    until("a ready replica", ready).await;
    engine.shutdown().await;
    assert_eq!(stops.load(Relaxed), 0, "a replica that serves was stopped");
}

#[tokio::test]
async fn without_cgroups_cpu_time_is_unknown_and_never_the_machines() {
    const INFO: &str = r#"{"NCPU":8,"CgroupDriver":"none"}"#;
    const MACHINE: &str = r#"{"cpu_stats":{"cpu_usage":{"total_usage":987654321}}}"#;
    let asked = Arc::new(AtomicU32::new(0));
    let stats = Arc::clone(&asked);
    let daemon = Daemon::that(well_but(move |path| match path.split('?').next()? {
        "/info" => {
            stats.fetch_add(1, Relaxed);
            Some(Answer::Whole(200, INFO))
        }
        "/containers/json" => Some(Answer::Whole(200, LISTED)),
        "/containers/4a/json" => Some(Answer::Whole(200, RUNNING)),
        "/containers/4a/stats" => Some(Answer::Whole(200, MACHINE)),
        _ => None,
    }));
    assert_eq!(daemon.host.check().await.unwrap().counts_cpu, Some(false));
    let engine = daemon.engine();
    let notice = || {
        let report = engine.observe().value().cloned()?;
        (report.replicas.len() == 1 && !report.notices.is_empty()).then_some(report)
    };
    let report = until("a notice", notice).await;
    assert!(report.notices[0].contains("docker runs without cgroups"), "{:?}", report.notices);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(engine.observe().value().unwrap().replicas[0].cpu, None);
    assert_eq!(asked.load(Relaxed), 2, "once by the check, once by the engine");
}
