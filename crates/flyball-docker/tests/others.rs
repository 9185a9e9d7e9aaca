//! Containers that this run did not start: external ones, copies of them, and those of earlier
//! runs.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod rig;

mod alone {
    use std::collections::{BTreeMap, HashMap};
    use std::time::{Duration, Instant};

    use bollard::models::{ContainerCreateBody, HealthConfig, HostConfig, PortBinding};
    use bollard::query_parameters::{
        CreateContainerOptionsBuilder, StartContainerOptions, StopContainerOptions,
    };
    use flyball_core::observation::Phase;
    use flyball_core::units::ReplicaId;
    use flyball_docker::labels::{MANAGED, PROTECT, REPLICA, SERVICE, SIGNATURE};

    use super::rig::*;
    use flyball_testkit::docker::{IMAGE, Lab};

    const COMPOSE: [(&str, &str); 4] = [
        (SERVICE, "web"),
        ("com.docker.compose.project", "shop"),
        ("com.docker.compose.service", "web"),
        ("com.docker.compose.container-number", "1"),
    ];

    fn published() -> HostConfig {
        let binding =
            PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) };
        HostConfig {
            port_bindings: Some(HashMap::from([("8080/tcp".to_owned(), Some(vec![binding]))])),
            nano_cpus: Some(250_000_000),
            ..Default::default()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_service_without_an_image_is_copied_from_its_newest_container() {
        let Some(lab) = Lab::up().await else { return };
        lab.network("shop_default").await;
        let mut host = published();
        host.network_mode = Some("shop_default".into());
        lab.run("shop_web_1", &COMPOSE, host).await;
        let engine = engine(&lab, |_| {});
        until_listed(&engine).await;
        let template = named(&engine, "shop_web_1").unwrap();
        assert!(template.protected);
        engine.start(&id(2), None);
        let address = until_ready(&engine, 2).await;
        assert_ne!(Some(address), template.address);
        assert!(address.ip().is_loopback());
        assert!((report(&engine, 2).unwrap().cpu_limit_cores - 0.25).abs() < 1e-9);
        assert_eq!(lab.names().await, ["shop-web-fb-2", "shop_web_1"]);
        let copy = lab.client().await.inspect_container("shop-web-fb-2", None).await.unwrap();
        let labels = copy.config.unwrap().labels.unwrap();
        assert_eq!(labels["com.docker.compose.project"], "shop");
        assert_eq!(labels["com.docker.compose.container-number"], "2");
        let networks = copy.network_settings.unwrap().networks.unwrap();
        assert_eq!(networks.keys().collect::<Vec<_>>(), ["shop_default"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_service_comes_back_after_every_container_of_it_was_killed() {
        let Some(lab) = Lab::up().await else { return };
        lab.run("shop_web_1", &COMPOSE, published()).await;
        let engine = engine(&lab, |_| {});
        until_listed(&engine).await;
        let docker = lab.client().await;
        docker.kill_container("shop_web_1", None).await.unwrap();
        until_gone(&engine).await;
        assert!(value(&engine).exits.is_empty(), "the end of external containers is no failure");
        engine.start(&id(2), None);
        until_ready(&engine, 2).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_replacement_starts_while_a_user_stops_every_container() {
        let Some(lab) = Lab::up().await else { return };
        lab.run("shop_web_1", &COMPOSE, published()).await;
        let engine = engine(&lab, |_| {});
        until_listed(&engine).await;
        engine.start(&id(2), None);
        until_ready(&engine, 2).await;
        let docker = lab.client().await;
        let busy = |engine: &_| value(engine).busy;
        let stop = |name| docker.stop_container(name, None::<StopContainerOptions>);
        stop("shop_web_1").await.unwrap();
        until(&engine, "a hold", |e| busy(e).filter(|why| why.contains("are being"))).await;
        until(&engine, "no hold", |e| busy(e).is_none().then_some(())).await;
        stop("shop-web-fb-2").await.unwrap();
        until(&engine, "a hold", |e| busy(e).filter(|why| why.contains("all its"))).await;
        until_gone(&engine).await;
        let start = None::<StartContainerOptions>;
        docker.start_container("shop_web_1", start).await.unwrap();
        until(&engine, "no hold", |e| busy(e).is_none().then_some(())).await;
        assert_eq!(lab.names().await.len(), replicas(&engine).len());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_anything_to_copy_a_start_fails_with_that_reason() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, |_| {});
        until_listed(&engine).await;
        engine.start(&id(1), None);
        let exit = until_exit(&engine).await;
        assert_eq!(exit.reason, "cannot start: service web: there is no container to copy");
        assert_eq!(value(&engine).pending, Some(exit.reason));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_next_run_adopts_the_containers_of_the_last_one() {
        let Some(lab) = Lab::up().await else { return };
        let first = engine(&lab, host_network);
        until_listed(&first).await;
        first.start(&id(1), None);
        first.start(&id(2), None);
        let address = until_ready(&first, 1).await;
        until_ready(&first, 2).await;
        let asked_at = report(&first, 1).unwrap().asked_at;
        first.shutdown().await;
        drop(first);

        let second = engine(&lab, host_network);
        // The very first report: what it lacks would be started again.
        let report = until(&second, "a report", |e| e.observe().value().cloned()).await;
        let names: Vec<&str> = report.replicas.iter().map(|r| r.id.as_str()).collect();
        assert_eq!(names, ["web-1", "web-2"]);
        let adopted = report.replicas[0].clone();
        assert_eq!((adopted.phase, adopted.address), (Phase::Starting, Some(address)));
        let apart = adopted.asked_at.as_ms().abs_diff(asked_at.as_ms());
        assert!(apart < 1_000, "asked for {apart} ms apart");
        second.start(&id(1), None);
        until_ready(&second, 1).await;
        second.stop(&id(2));
        until(&second, "one replica", |e| (replicas(e).len() == 1).then_some(())).await;
        assert_eq!(lab.names().await, ["web-1"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_dead_run_left_half_made_is_cleared_away() {
        let Some(lab) = Lab::up().await else { return };
        let signature = signer().sign("web", "web-1", None);
        let marks =
            [(SERVICE, "web"), (MANAGED, "true"), (REPLICA, "web-1"), (SIGNATURE, &*signature)];
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            labels: Some(marks.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name("web-1").build();
        lab.client().await.create_container(Some(options), body).await.unwrap();
        let engine = engine(&lab, image);
        until_listed(&engine).await;
        until_gone(&engine).await;
        assert_eq!(lab.names().await, Vec::<String>::new());
        assert!(value(&engine).exits.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn others_containers_are_replicas_that_are_never_stopped_without_leave() {
        let Some(lab) = Lab::up().await else { return };
        lab.run("theirs", &[(SERVICE, "web")], published()).await;
        lab.run("given", &[(SERVICE, "web"), (PROTECT, "false")], published()).await;
        lab.run("unrelated", &[], HostConfig::default()).await;
        let engine = engine(&lab, |settings| {
            image(settings);
            settings.labels = BTreeMap::from([(PROTECT.to_owned(), "true".to_owned())]);
        });
        until_listed(&engine).await;
        engine.start(&id(1), None);
        until_ready(&engine, 1).await;
        let protected: Vec<(String, bool)> =
            replicas(&engine).into_iter().map(|r| (r.id.to_string(), r.protected)).collect();
        let wanted = [("given", false), ("theirs", true), ("web-1", true)];
        assert_eq!(protected, wanted.map(|(name, protected)| (name.to_owned(), protected)));
        for name in ["given", "theirs", "web-1"] {
            engine.stop(&ReplicaId::new(name));
        }
        until(&engine, "two replicas", |e| (replicas(e).len() == 2).then_some(())).await;
        engine.shutdown().await;
        assert_eq!(lab.names().await, ["theirs", "unrelated", "web-1"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_container_started_or_stopped_externally_comes_and_goes_as_a_replica() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, |_| {});
        until_listed(&engine).await;
        lab.run("theirs", &[(SERVICE, "web")], published()).await;
        let address = until(&engine, "their container", |e| named(e, "theirs")?.address).await;
        until_served(address).await;
        engine.set_ready(&ReplicaId::new("theirs"));
        assert_eq!(named(&engine, "theirs").unwrap().phase, Phase::Ready);
        let docker = lab.client().await;
        docker.pause_container("theirs").await.unwrap();
        let away = |e: &_| (named(e, "theirs")?.phase == Phase::Stopping).then_some(());
        until(&engine, "the pause", away).await;
        docker.unpause_container("theirs").await.unwrap();
        let back = |e: &_| (named(e, "theirs")?.phase == Phase::Ready).then_some(());
        until(&engine, "its end", back).await;
        docker.stop_container("theirs", None::<StopContainerOptions>).await.unwrap();
        until_gone(&engine).await;
        assert_eq!(lab.names().await, ["theirs"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_health_check_decides_alone_when_a_container_is_ready() {
        let Some(lab) = Lab::up().await else { return };
        let check = HealthConfig {
            test: Some(vec!["CMD".into(), "/app".into(), "probe".into()]),
            interval: Some(200_000_000),
            timeout: Some(5_000_000_000),
            retries: Some(2),
            ..Default::default()
        };
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            env: Some(vec!["SICK=1".into()]),
            labels: Some(HashMap::from([(SERVICE.to_owned(), "web".to_owned())])),
            healthcheck: Some(check),
            host_config: Some(published()),
            ..Default::default()
        };
        lab.run_body("theirs", body).await;
        let engine = engine(&lab, |_| {});
        until_listed(&engine).await;
        engine.start(&id(2), None);
        let address = until_started(&engine, 2).await.address.unwrap();
        engine.set_ready(&id(2));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(phase(&engine, 2), Some(Phase::Starting));
        until_served(address).await;
        until(&engine, "health", |e| (phase(e, 2) == Some(Phase::Ready)).then_some(())).await;
        assert!(report(&engine, 2).unwrap().ready_at.is_some());
        for (path, phase_then) in [("/ill", Phase::Unhealthy), ("/well", Phase::Ready)] {
            get(address, path).await.unwrap();
            until(&engine, path, |e| (phase(e, 2) == Some(phase_then)).then_some(())).await;
        }
        assert_eq!(named(&engine, "theirs").unwrap().phase, Phase::Starting);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn services_are_discovered_by_their_labels() {
        let Some(lab) = Lab::up().await else { return };
        let host = host_at(lab.host());
        assert_eq!(host.discover().await.unwrap().services, []);
        let labels = [(SERVICE, "web"), ("flyball.min", "2"), ("flyball.prot", "8080")];
        lab.run("theirs", &labels, HostConfig::default()).await;
        let discovery = host.discover().await.unwrap();
        let found = &discovery.services;
        assert_eq!((found.len(), found[0].running), (1, 1));
        let begun = Instant::now();
        while host.discovered().await.unwrap() != discovery {
            assert!(begun.elapsed() < Duration::from_secs(20), "the watcher's own listing");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!((found[0].service.as_str(), found[0].container.as_str()), ("web", "theirs"));
        assert_eq!(found[0].labels["flyball.prot"], "8080");
        assert!(host.check().await.unwrap().cores.is_some());
    }
}
