//! Containers that other programs start: services without any file, and replicas started
//! externally.

/// Loads the machine.
mod alone {
    use std::net::SocketAddr;
    use std::thread::sleep;
    use std::time::Duration;

    use crate::load::get;
    use crate::stage::{Stage, published};
    use crate::support::{Daemon, Steady, until};

    const LABELS: [(&str, &str); 6] = [
        ("flyball.service", "web"),
        ("flyball.port", "8080"),
        ("flyball.min", "2"),
        ("flyball.max", "4"),
        ("flyball.balancer", "haproxy"),
        ("flyball.policy", "external"),
    ];

    #[test]
    fn a_labelled_container_is_all_that_a_service_needs() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.tables());
        let daemon = Daemon::start(&stage.place);
        let theirs = stage.wait(stage.lab.run("shop-web", &LABELS, published()));
        until("the service", || (daemon.log_count("web: found by its labels") > 0).then_some(()));
        daemon.until_settled("web", 2);
        stage.until_served();
        let all = stage.containers("web");
        assert!(all.len() == 2 && all.contains_key(&theirs), "{all:?}");
        let servers = stage.wait(stage.rig.servers());
        assert_eq!(servers.len(), 2, "{servers:?}");
    }

    #[test]
    fn a_service_ends_with_the_last_container_of_its_own_and_not_before() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.tables());
        let mut daemon = Daemon::start(&stage.place);
        let run = || stage.wait(stage.lab.run("shop-web", &LABELS, published()));
        let theirs = run();
        until("the service", || (daemon.log_count("web: found by its labels") > 0).then_some(()));
        daemon.until_settled("web", 2);
        stage.until_served();
        let load = Steady::start(stage.front(), 50);
        let copy: String = stage.containers("web").into_keys().find(|id| *id != theirs).unwrap();
        // Stopped, removed, recreated: it is still a service.
        stage.stop(&theirs);
        until("a copy more", || (stage.containers("web").len() == 2).then_some(()));
        stage.remove("shop-web");
        sleep(Duration::from_secs(3));
        run();
        daemon.until_settled("web", 2);
        assert!(stage.is_running(&copy) || stage.containers("web").len() == 2);
        assert_eq!(daemon.log_count("draining and removing"), 0, "{}", daemon.log());
        assert_eq!(load.finish().failed, 0);
        // Gone while flyball is away: the next one finds only copies.
        daemon.kill();
        stage.remove("shop-web");
        let daemon = Daemon::start(&stage.place);
        until("its end", || (daemon.log_count("draining and removing") > 0).then_some(()));
        until("no container", || stage.wait(stage.lab.names()).is_empty().then_some(()));
        let known = || daemon.get("/api/v1/services/web").status;
        until("it is forgotten", || (known() == 404).then_some(()));
        assert!(stage.wait(stage.rig.servers()).is_empty());
        assert_eq!(daemon.log_count("draining and removing"), 1, "{}", daemon.log());
    }

    #[test]
    fn a_container_started_externally_is_a_replica_until_it_is_stopped() {
        let Some(stage) = Stage::set() else { return };
        let more = "adopt = true\npolicy = \"external\"\nmin = 2\nmax = 4\n";
        stage.place.configure(&stage.service("web", more));
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 2);
        stage.until_served();
        let load = Steady::start(stage.front(), 50);
        let marks = [("flyball.service", "web"), ("flyball.port", "8080")];
        let theirs = stage.wait(stage.lab.run("by-hand", &marks, published()));
        let here = SocketAddr::from(([127, 0, 0, 1], stage.port_of(&theirs)));
        let has = |address| {
            let servers = stage.wait(stage.rig.servers());
            servers.iter().any(|server| server.ends_with(&format!(" {address}")))
        };
        until("its server", || has(here).then_some(()));
        // It counts: one that flyball started makes room for it.
        daemon.until_settled("web", 2);
        assert!(stage.is_running(&theirs), "an external container was stopped");
        stage.stop(&theirs);
        until("its server's end", || (!has(here)).then_some(()));
        daemon.until_settled("web", 2);
        assert!(get(stage.front(), "/").is_ok());
        assert!(stage.wait(stage.lab.names()).contains(&"by-hand".to_owned()));
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
    }
}
