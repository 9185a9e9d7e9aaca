//! The life of replicas on a real Docker daemon, which the lab starts and ends.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod rig;

mod alone {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use bollard::models::NetworkCreateRequest;
    use flyball_core::observation::{CpuCounter, Phase};
    use flyball_docker::Publish;

    use super::rig::*;
    use flyball_testkit::docker::Lab;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replica_starts_serves_and_is_removed_when_it_is_stopped() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, image);
        until_listed(&engine).await;
        engine.start(&id(1), None);
        engine.start(&id(1), None);
        assert_eq!(phase(&engine, 1), Some(Phase::Starting));
        assert_eq!(report(&engine, 1).unwrap().cpu, None);
        let address = until_started(&engine, 1).await.address.unwrap();
        assert!(address.ip().is_loopback());
        assert_eq!(until_served(address).await, "web-1");
        engine.set_ready(&id(1));
        let ready = report(&engine, 1).unwrap();
        assert_eq!(ready.phase, Phase::Ready);
        assert!(ready.cpu.is_some() && (ready.cpu_limit_cores - 0.5).abs() < 1e-9);
        assert_eq!(engine.unlimited(), BTreeSet::new());
        engine.stop(&id(1));
        engine.stop(&id(1));
        assert_eq!(phase(&engine, 1), Some(Phase::Stopping));
        until_gone(&engine).await;
        assert_eq!(lab.names().await, Vec::<String>::new());
        assert!(value(&engine).exits.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_killed_container_is_seen_within_100_ms_and_reported_as_an_exit() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, host_network);
        until_listed(&engine).await;
        engine.start(&id(1), None);
        until_ready(&engine, 1).await;
        let docker = lab.client().await;
        docker
            .kill_container("web-1", None::<bollard::query_parameters::KillContainerOptions>)
            .await
            .unwrap();
        let killed = Instant::now();
        until(&engine, "the end", |e| (phase(e, 1) != Some(Phase::Ready)).then_some(())).await;
        let seen = killed.elapsed();
        assert!(seen < Duration::from_millis(100), "seen after {seen:?}");
        let exit = until_exit(&engine).await;
        assert!(exit.reason.contains("137 (signal 9)"), "{}", exit.reason);
        assert!(exit.ready_ms.is_some());
        until_gone(&engine).await;
        assert_eq!(lab.names().await, Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_cpu_of_a_burning_container_is_within_a_tenth_of_the_truth() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, |settings| {
            host_network(settings);
            settings.env.insert("BURN".into(), "1".into());
        });
        until_listed(&engine).await;
        engine.start(&id(1), None);
        until_ready(&engine, 1).await;
        let container = lab.client().await.inspect_container("web-1", None).await.unwrap();
        let pid = container.state.unwrap().pid.unwrap();
        let measure = || (report(&engine, 1).unwrap().cpu.unwrap(), ticks_of(pid));
        let (before, ticks_before) = measure();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (after, ticks_after) = measure();
        let counted = used_s(after) - used_s(before);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred ticks")]
        let truth = (ticks_after - ticks_before) as f64 / 100.0;
        assert!(truth > 0.3, "burned only {truth} s");
        assert!((counted / truth - 1.0).abs() < 0.1, "{counted} s counted, {truth} s used");
        assert!(report(&engine, 1).unwrap().throttled.unwrap().held_ns > 0);
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    fn used_s(counter: CpuCounter) -> f64 {
        counter.used_ns as f64 / 1e9
    }

    /// User and system time of a process, in hundredths of a second.
    fn ticks_of(pid: i64) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_cgroup_files_the_daemon_is_asked_for_cpu_time() {
        let Some(lab) = Lab::up().await else { return };
        let host = host_without_files(lab.host());
        let engine = engine_at(host, |settings| {
            host_network(settings);
            settings.env.insert("BURN".into(), "1".into());
        });
        until_listed(&engine).await;
        engine.start(&id(1), None);
        until_started(&engine, 1).await;
        assert_eq!(report(&engine, 1).unwrap().cpu, None);
        let first = until(&engine, "a counter", |e| report(e, 1)?.cpu).await;
        assert!(first.used_ns > 0);
        assert!(report(&engine, 1).unwrap().throttled.is_some(), "its limit holds it back");
        until(&engine, "a higher one", |e| {
            report(e, 1)?.cpu.filter(|next| next.used_ns > first.used_ns)
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn replicas_in_the_hosts_network_are_given_a_port_each() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, host_network);
        until_listed(&engine).await;
        engine.start(&id(1), None);
        engine.start(&id(2), None);
        let first = until_ready(&engine, 1).await;
        let second = until_ready(&engine, 2).await;
        assert_ne!(first.port(), second.port());
        assert_eq!(until_served(second).await, "web-2");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replica_is_reached_at_its_own_address_in_a_network() {
        let Some(lab) = Lab::up().await else { return };
        lab.network("blue").await;
        lab.network("green").await;
        let engine = engine(&lab, |settings| {
            image(settings);
            settings.networks = vec!["green".into()];
            settings.publish = Publish::ContainerAddress { network: Some("blue".into()) };
        });
        until_listed(&engine).await;
        engine.start(&id(1), None);
        let address = until_ready(&engine, 1).await;
        assert_eq!(address.port(), 8080);
        assert!(!address.ip().is_loopback());
        let container = lab.client().await.inspect_container("web-1", None).await.unwrap();
        let networks = container.network_settings.unwrap().networks.unwrap();
        assert_eq!(networks.keys().collect::<BTreeSet<_>>().len(), 2);
        assert_eq!(networks["blue"].ip_address.as_deref().unwrap(), address.ip().to_string());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lab_that_ends_leaves_the_addresses_of_its_networks_to_the_next() {
        let Some(lab) = Lab::up().await else { return };
        let docker = lab.client().await;
        for number in 0..16 {
            let name = format!("as_compose_makes_it_{number}");
            let request = NetworkCreateRequest { name, ..Default::default() };
            docker.create_network(request).await.unwrap();
        }
        drop(lab);
        let Some(lab) = Lab::up().await else { return };
        let request = NetworkCreateRequest { name: "the_next".into(), ..Default::default() };
        lab.client().await.create_network(request).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_container_that_exits_at_once_is_reported_with_its_log_tail_and_removed() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, |settings| {
            image(settings);
            settings.env.insert("EXIT".into(), "3".into());
        });
        until_listed(&engine).await;
        engine.start(&id(1), None);
        let exit = until_exit(&engine).await;
        assert_eq!(exit.reason, "exit status 3: cannot open the shop");
        assert_eq!((exit.replica, exit.ready_ms), (id(1), None));
        until_gone(&engine).await;
        assert_eq!(value(&engine).exits.len(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replica_that_is_stopped_while_it_starts_leaves_nothing() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, image);
        until_listed(&engine).await;
        engine.start(&id(1), None);
        until(&engine, "a container", |_| {
            std::thread::sleep(Duration::from_millis(10));
            Some(())
        })
        .await;
        engine.stop(&id(1));
        assert_eq!(phase(&engine, 1), Some(Phase::Stopping));
        until_gone(&engine).await;
        assert_eq!(lab.names().await, Vec::<String>::new());
        assert!(value(&engine).exits.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn twenty_starts_at_once_come_a_few_at_a_time() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, host_network);
        until_listed(&engine).await;
        (1..=20).for_each(|number| engine.start(&id(number), None));
        assert_eq!(replicas(&engine).len(), 20);
        let docker = lab.client().await;
        let mut most = 0;
        loop {
            let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true);
            let all = docker.list_containers(Some(options.build())).await.unwrap();
            let created = bollard::models::ContainerSummaryStateEnum::CREATED;
            most = most.max(all.iter().filter(|c| c.state == Some(created)).count());
            if replicas(&engine).iter().all(|replica| replica.address.is_some()) {
                break;
            }
        }
        let cores = std::thread::available_parallelism().unwrap().get();
        assert!((1..=cores).contains(&most), "{most} at once on {cores} cores");
        let report = value(&engine);
        assert_eq!((report.replicas.len(), report.exits.len()), (20, 0));
        let ports: BTreeSet<_> = report.replicas.iter().map(|r| r.address).collect();
        assert_eq!(ports.len(), 20);
    }
}
