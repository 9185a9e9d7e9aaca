//! What goes wrong on a real Docker host, and the daemon itself going away.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod rig;

mod alone {
    use std::process::Command;
    use std::time::Duration;

    use bollard::models::HostConfig;
    use flyball_core::observation::{Phase, Reading};
    use flyball_docker::{DockerEngine, DockerSettings, Publish};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::rig::*;
    use flyball_testkit::docker::Lab;

    /// Why the only start of an engine with these settings fails.
    async fn failure(lab: &Lab, change: impl FnOnce(&mut DockerSettings)) -> String {
        let engine = engine(lab, change);
        until_listed(&engine).await;
        engine.start(&id(1), None);
        let exit = until_exit(&engine).await;
        until_gone(&engine).await;
        assert_eq!((&exit.replica, exit.ready_ms), (&id(1), None));
        assert_eq!(value(&engine).pending.as_ref(), Some(&exit.reason));
        exit.reason
    }

    /// A registry on loopback that has no image.
    async fn empty_registry() -> String {
        registry("HTTP/1.1 404 Not Found\r\n").await
    }

    /// One that gives its images only to those who log in.
    async fn private_registry() -> String {
        registry("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"shop\"\r\n").await
    }

    /// A registry that answers `refusal` to every request for an image.
    async fn registry(refusal: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let length = stream.read(&mut request).await.unwrap_or(0);
                    let ping = request[..length].starts_with(b"GET /v2/ ");
                    let private = refusal.contains("401");
                    let status = if ping && !private { "HTTP/1.1 200 OK\r\n" } else { refusal };
                    let head = format!("{status}Content-Length: 2\r\n");
                    let rest = "Docker-Distribution-Api-Version: registry/2.0\r\n\
                                Connection: close\r\n\r\n{}";
                    let _ = stream.write_all(format!("{head}{rest}").as_bytes()).await;
                });
            }
        });
        address.to_string()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_cannot_be_started_reports_why_and_leaves_nothing() {
        let Some(lab) = Lab::up().await else { return };
        let registry = empty_registry().await;
        let name = format!("{registry}/none:1");
        let reason = failure(&lab, |s| s.image = Some(name.clone())).await;
        assert_eq!(reason, format!("cannot start: image not found: {name}"));

        let name = format!("{}/none:1", private_registry().await);
        let reason = failure(&lab, |s| s.image = Some(name.clone())).await;
        assert!(reason.contains("the registry refuses image"), "{reason}");
        assert!(reason.contains("no basic auth credentials"), "{reason}");

        let reason = failure(&lab, |s| s.image = Some("127.0.0.1:1/none".into())).await;
        assert!(reason.contains("its registry cannot be reached"), "{reason}");

        let reason = failure(&lab, |settings| {
            image(settings);
            settings.cpus = Some(1_000.0);
        });
        assert!(reason.await.contains("refuses the cpu limit: Range of CPUs"));

        let reason = failure(&lab, |settings| {
            image(settings);
            settings.networks = vec!["nowhere".into()];
        });
        assert_eq!(reason.await, "cannot start: docker network not found: nowhere");

        let reason = failure(&lab, |settings| {
            image(settings);
            settings.command = vec!["/not-there".into()];
        });
        assert!(reason.await.contains("command cannot be run"));

        let reason = failure(&lab, |settings| {
            image(settings);
            settings.publish = Publish::Address("203.0.113.9".parse().unwrap());
        });
        let reason = reason.await;
        assert!(reason.contains("203.0.113.9"), "{reason}");
        assert_eq!(lab.names().await, Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_name_that_another_container_has_is_a_failed_start_and_no_harm_to_that() {
        let Some(lab) = Lab::up().await else { return };
        lab.run("web-1", &[], HostConfig::default()).await;
        let reason = failure(&lab, image).await;
        assert_eq!(reason, "cannot start: container name web-1 is taken by another container");
        assert_eq!(lab.names().await, ["web-1"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_check_finds_what_would_fail_and_starts_nothing() {
        let Some(lab) = Lab::up().await else { return };
        let good = engine(&lab, image);
        assert_eq!(good.check(None).await.unwrap().findings, []);
        let bad = engine(&lab, |settings| {
            settings.image = Some("flyball-lab:none".into());
            settings.networks = vec!["nowhere".into()];
        });
        let texts: Vec<String> = bad
            .check(None)
            .await
            .unwrap()
            .findings
            .into_iter()
            .map(|finding| finding.text)
            .collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts[0].contains("network not found: nowhere"));
        assert!(texts[1].contains("not on the host"));
        assert!(texts[2].contains("no CPU limit"));
        let port = engine(&lab, |settings| {
            image(settings);
            settings.port = 9;
        });
        let finding = port.check(None).await.unwrap().findings.remove(0);
        assert!(!finding.fatal && finding.text.contains("exposes 8080/tcp"));
        let copied = engine(&lab, |_| {}).check(None).await.unwrap().findings.remove(0);
        assert!(copied.fatal && copied.hint.unwrap().contains("flyball.service=web"));
    }

    async fn until_missing(engine: &DockerEngine) -> String {
        until(engine, "a gap", |engine| match engine.observe() {
            Reading::Missing { why, .. } => Some(why),
            Reading::Taken { .. } => None,
        })
        .await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_the_daemon_is_away_nothing_is_reported_and_then_everything_afresh() {
        let Some(mut lab) = Lab::up().await else { return };
        let engine = engine(&lab, host_network);
        until_listed(&engine).await;
        engine.start(&id(1), None);
        until_ready(&engine, 1).await;
        lab.kill_daemon();
        let why = until_missing(&engine).await;
        assert!(!why.is_empty());
        engine.start(&id(2), None);
        lab.start_daemon().await;
        until_listed(&engine).await;
        // The new daemon ends what it cannot take over; that is news, and the rest goes on.
        let exit = until(&engine, "the end of the first", |engine| {
            let report = engine.observe().value()?.clone();
            report.exits.into_iter().find(|exit| exit.replica == id(1))
        })
        .await;
        assert!(exit.ready_ms.is_some(), "{exit:?}");
        until(&engine, "nothing", |e| replicas(e).is_empty().then_some(())).await;
        engine.start(&id(3), None);
        until_ready(&engine, 3).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_daemon_that_is_silent_is_not_believed_for_long() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, host_network);
        until_listed(&engine).await;
        engine.start(&id(1), None);
        until_ready(&engine, 1).await;
        let signal = |name: &str| {
            let pid = lab.pid().to_string();
            assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
        };
        signal("-STOP");
        let why = until_missing(&engine).await;
        signal("-CONT");
        assert!(why.contains("did not answer"), "{why}");
        until_listed(&engine).await;
        assert_eq!(phase(&engine, 1), Some(Phase::Ready));
        assert!(value(&engine).exits.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_engine_may_be_there_before_its_daemon() {
        let Some(mut lab) = Lab::up().await else { return };
        lab.stop_daemon();
        let engine = engine(&lab, image);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let why = until_missing(&engine).await;
        assert!(why.contains("not running"), "{why}");
        lab.start_daemon().await;
        until_listed(&engine).await;
        assert_eq!(replicas(&engine), []);
    }
}
