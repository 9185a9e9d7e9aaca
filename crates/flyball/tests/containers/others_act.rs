//! Containers are stopped externally, crash, or are put into networks of their own.

/// Loads the machine.
mod alone {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use bollard::models::{
        ContainerCreateBody, HostConfig, NetworkConnectRequest, RestartPolicy,
        RestartPolicyNameEnum,
    };
    use bollard::query_parameters::{CreateImageOptionsBuilder, StopContainerOptionsBuilder};
    use futures_util::StreamExt;
    use futures_util::future::join_all;

    use crate::load::get;
    use crate::stage::{Stage, published};
    use crate::support::{Daemon, Steady, run, until, was_load};
    use flyball_testkit::docker::IMAGE;

    /// From SIGTERM, when it stops listening, to its end.
    const LINGER: &str = "env = { LINGER_MS = \"6000\" }\n";
    const STEADY: &str = "policy = \"external\"\nmin = 3\nmax = 6\n";

    /// `docker stop -t 20` of `ids`, all at once; how long that took.
    fn stop_patiently(stage: &Stage, ids: &[String]) -> Duration {
        let began = Instant::now();
        stage.wait(async {
            let docker = stage.lab.client().await;
            let patient = || Some(StopContainerOptionsBuilder::new().t(20).build());
            let stops = ids.iter().map(|id| docker.stop_container(id, patient()));
            join_all(stops).await.into_iter().for_each(|done| done.unwrap());
        });
        began.elapsed()
    }

    #[test]
    fn replicas_stopped_externally_are_drained_at_the_signal_and_replaced() {
        let Some(stage) = Stage::set() else { return };
        for check in [false, true] {
            let table = format!("[services.web.haproxy]\ncheck = {check}\n");
            stage.place.configure(&stage.service("web", &format!("{STEADY}{LINGER}{table}")));
            let daemon = Daemon::start(&stage.place);
            daemon.until_settled("web", 3);
            stage.until_served();
            let load = Steady::start(stage.front(), 300);
            std::thread::sleep(Duration::from_secs(1));
            let two: Vec<String> = stage.containers("web").into_keys().take(2).collect();
            let took = stop_patiently(&stage, &two);
            daemon.until_settled("web", 3);
            let report = load.finish();
            println!(
                "check = {check}: stopped in {took:?}; {} of {} requests failed",
                report.failed,
                report.served + report.failed
            );
            assert!(took > Duration::from_secs(5), "they ran on for 6 s: {took:?}");
            // What the two had accepted and not read when they stopped listening is reset: no
            // balancer may send it again. Nothing that comes later fails.
            let late = report.failures.iter().filter(|failure| failure.due_s > 1.5).count();
            assert_eq!(late, 0, "check = {check}: {:?}", report.failures);
            assert!(report.failed <= 8, "check = {check}: {:?}", report.failures);
            assert!(was_load(&report, 300), "{report:?}");
            assert!(two.iter().all(|id| !stage.containers("web").contains_key(id)));
            daemon.stop();
            stage.kill(stage.containers("web").keys());
        }
    }

    #[test]
    fn a_container_that_docker_restarts_again_and_again_does_not_raise_the_count_and_is_reported() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.tables());
        let daemon = Daemon::start(&stage.place);
        let labels = [
            ("flyball.service", "web"),
            ("flyball.port", "8080"),
            ("flyball.min", "2"),
            ("flyball.max", "8"),
            ("flyball.balancer", "haproxy"),
        ];
        let always =
            RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None };
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            env: Some(vec!["EXIT=3".into()]),
            labels: Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            host_config: Some(HostConfig { restart_policy: Some(always), ..published() }),
            ..Default::default()
        };
        stage.wait(stage.lab.run_body("shop-web", body));
        until("the service", || (daemon.log_count("web: found by its labels") > 0).then_some(()));
        let began = Instant::now();
        let mut highest = 0;
        while began.elapsed() < Duration::from_secs(20) {
            let desired = daemon.service("web")["decision"]["desired"].as_u64().unwrap_or(0);
            highest = highest.max(desired);
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(highest, 2, "{}", daemon.log());
        let notices = daemon.service("web")["notices"].to_string();
        assert!(notices.contains("shop-web keeps ending soon after its start"), "{notices}");
        assert!(notices.contains("exit status 3: cannot open the shop"), "{notices}");
        let warnings = daemon.log_count("WARN");
        assert!(warnings <= 12, "{warnings} warnings in 20 s: {}", daemon.log());
    }

    /// An image with nothing but HAProxy and its libraries, from this machine.
    fn import_haproxy(stage: &Stage) {
        let program = flyball_testkit::haproxy::program::haproxy().unwrap();
        let linked = Command::new("ldd").arg(program).output().unwrap();
        let linked = String::from_utf8(linked.stdout).unwrap();
        let words = linked.split_whitespace().filter(|word| word.starts_with('/'));
        let mut files: Vec<&str> = words.collect();
        files.push(program.to_str().unwrap());
        let tar = Command::new("tar").args(["-C", "/", "-chP"]).args(&files).output().unwrap();
        assert!(tar.status.success());
        let options =
            CreateImageOptionsBuilder::new().from_src("-").repo("haproxy").tag("1").build();
        stage.wait(async {
            let body = bollard::body_full(tar.stdout.into());
            let docker = stage.lab.client().await;
            let steps: Vec<_> =
                docker.create_image(Some(options), Some(body), None).collect().await;
            steps.into_iter().for_each(|step| drop(step.unwrap()));
        });
    }

    /// HAProxy in a container of its own in network `shop_front`, with its socket in the stage's folder.
    fn run_haproxy(stage: &Stage) {
        let folder = stage.rig.folder.path().display().to_string();
        let file = format!("{folder}/contained.cfg");
        let text = format!(
            "global\n  stats socket {folder}/contained.sock mode 600 level admin\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 9s\n  timeout server 9s\n\
             frontend web\n  bind :80\n  default_backend web\nbackend web\n  balance leastconn\n"
        );
        std::fs::write(&file, text).unwrap();
        let body = ContainerCreateBody {
            image: Some("haproxy:1".into()),
            cmd: Some(vec!["/usr/sbin/haproxy".into(), "-db".into(), "-f".into(), file]),
            host_config: Some(HostConfig {
                binds: Some(vec![format!("{folder}:{folder}")]),
                network_mode: Some("shop_front".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        stage.wait(stage.lab.run_body("lb", body));
    }

    fn address_in(stage: &Stage, container: &str, network: &str) -> std::net::IpAddr {
        let seen =
            stage.wait(async { stage.lab.client().await.inspect_container(container, None).await });
        let networks = seen.unwrap().network_settings.unwrap().networks.unwrap();
        networks[network].ip_address.as_ref().unwrap().parse().unwrap()
    }

    #[test]
    fn a_haproxy_in_a_container_is_sent_to_the_network_that_it_shares() {
        let Some(stage) = Stage::set() else { return };
        import_haproxy(&stage);
        stage.wait(stage.lab.network("shop_back"));
        stage.wait(stage.lab.network("shop_front"));
        run_haproxy(&stage);
        let socket = stage.rig.path("contained.sock");
        until("its socket", || socket.exists().then_some(()));
        let labels = [
            ("flyball.service", "web"),
            ("flyball.port", "8080"),
            ("flyball.min", "2"),
            ("flyball.max", "2"),
            ("flyball.reach", "container"),
            ("flyball.balancer", "haproxy"),
            ("flyball.policy", "external"),
        ];
        let back = HostConfig { network_mode: Some("shop_back".into()), ..Default::default() };
        stage.wait(stage.lab.run("shop-web", &labels, back));
        stage.wait(async {
            let request =
                NetworkConnectRequest { container: "shop-web".into(), endpoint_config: None };
            stage.lab.client().await.connect_network("shop_front", request).await.unwrap();
        });
        let docker = stage.lab.host();
        let tables = format!(
            "[docker]\nhost = {docker:?}\nlabels_may = [\"reach\"]\n[haproxy]\nbackends = [\"web\"]\nsocket = {socket:?}\n"
        );
        stage.place.configure(&tables);
        let config = stage.place.config();
        let mut check = crate::support::flyball(["check", "-c", config.to_str().unwrap()]);
        let output = run(&mut check);
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
        let daemon = Daemon::start(&stage.place);
        until("the service", || (daemon.log_count("web: found by its labels") > 0).then_some(()));
        daemon.until_settled("web", 2);
        let front = (address_in(&stage, "lb", "shop_front"), 80).into();
        until("an answer", || get(front, "/").ok());
        let answers: Vec<_> = (0..10).map(|_| get(front, "/")).collect();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let own = address_in(&stage, "shop-web", "shop_front").to_string();
        let view = daemon.service("web").to_string();
        assert!(view.contains(&format!("{own}:8080")), "{view}");
    }
}
