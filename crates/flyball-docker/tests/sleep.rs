//! Containers that others started sleep where they are, on a real Docker daemon.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod rig;

mod alone {
    use std::time::Instant;

    use bollard::query_parameters::StartContainerOptions;
    use flyball_core::observation::Phase;
    use flyball_docker::{DockerEngine, SleepMode};
    use flyball_testkit::docker::Lab;

    use super::rig::*;

    const LABELS: [(&str, &str); 2] = [("flyball.service", "web"), ("flyball.port", "8080")];

    /// An engine whose service may sleep, and somebody else's container in it, serving.
    async fn sleeper(lab: &Lab, mode: SleepMode) -> DockerEngine {
        let engine = engine(lab, |settings| settings.sleep = Some(mode));
        until_listed(&engine).await;
        lab.run("theirs", &LABELS, published()).await;
        serve(&engine).await;
        engine
    }

    async fn serve(engine: &DockerEngine) {
        let address = until(engine, "their container", |e| named(e, "theirs")?.address).await;
        until_served(address).await;
        engine.set_ready(&"theirs".to_owned().into());
        let ready = |e: &_| (named(e, "theirs")?.phase == Phase::Ready).then_some(());
        until(engine, "readiness", ready).await;
    }

    async fn fall_asleep(engine: &DockerEngine) {
        let theirs = named(engine, "theirs").unwrap();
        assert!(theirs.protected && theirs.may_sleep, "{theirs:?}");
        engine.stop(&theirs.id);
        until(engine, "sleep", |e| replicas(e).is_empty().then_some(())).await;
    }

    async fn state(lab: &Lab) -> String {
        let seen = lab.client().await.inspect_container("theirs", None).await.unwrap();
        seen.state.unwrap().status.unwrap().to_string()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_is_stopped_or_paused_stays_and_is_woken_under_its_own_name() {
        let Some(lab) = Lab::up().await else { return };
        for (mode, word) in [(SleepMode::Stop, "exited"), (SleepMode::Pause, "paused")] {
            let engine = sleeper(&lab, mode).await;
            for number in 1..=3 {
                fall_asleep(&engine).await;
                assert_eq!(state(&lab).await, word);
                let asked = Instant::now();
                engine.start(&id(number), None);
                assert_eq!(named(&engine, "theirs").unwrap().phase, Phase::Starting);
                serve(&engine).await;
                println!("woken from {word} in {:?}", asked.elapsed());
            }
            assert_eq!(lab.names().await, ["theirs"]);
            assert!(value(&engine).exits.is_empty());
            // The next run knows it by what it finds, and wakes it.
            fall_asleep(&engine).await;
            engine.shutdown().await;
            drop(engine);
            let next = super::rig::engine(&lab, |settings| settings.sleep = Some(mode));
            until_listed(&next).await;
            assert!(replicas(&next).is_empty());
            next.start(&id(9), None);
            serve(&next).await;
            // And so may somebody else, who has it stopped by nobody.
            if mode == SleepMode::Stop {
                fall_asleep(&next).await;
                let docker = lab.client().await;
                docker.start_container("theirs", None::<StartContainerOptions>).await.unwrap();
                serve(&next).await;
            }
            assert_eq!(lab.names().await, ["theirs"]);
            next.shutdown().await;
            remove_theirs(&lab).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_container_that_crashes_when_woken_is_a_failed_start() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, |settings| settings.sleep = Some(SleepMode::Stop));
        until_listed(&engine).await;
        lab.run("theirs", &LABELS, published()).await;
        serve(&engine).await;
        fall_asleep(&engine).await;
        engine.start(&id(5), None);
        until(&engine, "its start", |e| named(e, "theirs")?.address).await;
        // Not by way of Docker: that would be somebody's wish.
        let seen = lab.client().await.inspect_container("theirs", None).await.unwrap();
        let pid = seen.state.unwrap().pid.unwrap();
        let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.unwrap().success());
        let exit = until_exit(&engine).await;
        assert_eq!(exit.replica, id(5));
        assert!(exit.reason.contains("137 (signal 9)"), "{}", exit.reason);
        assert_eq!(lab.names().await, ["theirs"]);
    }

    async fn remove_theirs(lab: &Lab) {
        let force = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true);
        lab.client().await.remove_container("theirs", Some(force.build())).await.unwrap();
    }

    /// The application's port at a free one of 127.0.0.1.
    fn published() -> bollard::models::HostConfig {
        let here = bollard::models::PortBinding {
            host_ip: Some("127.0.0.1".into()),
            host_port: Some("0".into()),
        };
        let bindings = [("8080/tcp".to_owned(), Some(vec![here]))].into();
        bollard::models::HostConfig { port_bindings: Some(bindings), ..Default::default() }
    }
}
