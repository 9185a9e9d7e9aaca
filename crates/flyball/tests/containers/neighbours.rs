//! HAProxy and Docker come and go; flyball removes nothing on a guess and finds its way back.

/// Loads the machine.
mod alone {
    use std::fs;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use crate::load::get;
    use crate::stage::Stage;
    use crate::support::{Daemon, Steady, until, was_load};

    /// Two looks at the longest interval, and what the machine may be late.
    const TWO_LOOKS: Duration = Duration::from_secs(5);
    const STEADY: &str = "policy = \"external\"\nmin = 3\nmax = 6\n";

    #[test]
    fn reloads_of_haproxy_under_load_fail_no_request() {
        let Some(mut stage) = Stage::set_with_owned_file() else { return };
        let owned = stage.owned_file();
        stage.place.configure(&stage.service("web", &format!("{STEADY}{owned}")));
        let daemon = Daemon::start(&stage.place);
        until("the owned file", || stage.rig.path("flyball.cfg").exists().then_some(()));
        stage.launch();
        daemon.until_settled("web", 3);
        stage.until_served();
        let load = Steady::start(stage.front(), 300);
        for count in [4, 5, 3, 6, 3] {
            daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
            until("the count", || (daemon.seen("web", "ready") == Some(count)).then_some(()));
            stage.wait(stage.rig.reload());
        }
        until("three containers", || (stage.containers("web").len() == 3).then_some(()));
        let report = load.finish();
        println!("5 reloads; {} requests, p99 {:?} ms", report.served, report.p99_ms);
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, 300), "{report:?}");
    }

    #[test]
    fn a_haproxy_that_restarts_gets_its_servers_back_and_no_container_goes() {
        let Some(mut stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", STEADY));
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 3);
        stage.until_served();
        let before = stage.containers("web");
        stage.rig.stop();
        until("the loss", || (daemon.log_count("cannot reach HAProxy") > 0).then_some(()));
        sleep(Duration::from_secs(2));
        stage.launch();
        let back = Instant::now();
        stage.until_served();
        let took = back.elapsed();
        println!("HAProxy served {took:?} after it was back");
        assert!(took < TWO_LOOKS, "{took:?}");
        daemon.until_settled("web", 3);
        assert_eq!(stage.containers("web"), before);
    }

    #[test]
    fn while_haproxys_socket_is_gone_requests_are_served_and_nothing_is_removed() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", STEADY));
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 3);
        stage.until_served();
        let before = stage.containers("web");
        let load = Steady::start(stage.front(), 100);
        let (socket, aside) = (stage.rig.path("admin.sock"), stage.rig.path("aside.sock"));
        fs::rename(&socket, &aside).unwrap();
        sleep(Duration::from_secs(4));
        assert_eq!(stage.containers("web"), before);
        fs::rename(&aside, &socket).unwrap();
        let back = Instant::now();
        daemon.post("/api/v1/services/web/scale", &json!({ "to": 4 }));
        until("a server more", || {
            let servers = stage.wait(stage.rig.servers());
            (servers.len() == 4).then_some(())
        });
        let took = back.elapsed();
        let report = load.finish();
        println!("a fourth server {took:?} after the socket was back");
        assert!(took < TWO_LOOKS, "{took:?}");
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(before.keys().all(|id| stage.is_running(id)));
        assert_eq!(daemon.log_count("WARN"), 1, "{}", daemon.log());
    }

    #[test]
    fn the_floor_is_back_when_dockerd_is_back() {
        let Some(mut stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", STEADY));
        let foreign = stage.wait(stage.lab.run("foreign", &[], crate::stage::published()));
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 3);
        stage.until_served();
        // Without live-restore, its containers end with it.
        stage.lab.stop_daemon();
        sleep(Duration::from_secs(2));
        assert!(daemon.service("web")["decision"]["plan"].as_array().unwrap().is_empty());
        stage.start_docker();
        let back = Instant::now();
        until("the floor", || (stage.containers("web").len() >= 3).then_some(()));
        until("an answer", || get(stage.front(), "/").ok());
        let took = back.elapsed();
        println!("the floor served {took:?} after dockerd was back");
        assert!(took < TWO_LOOKS, "{took:?}");
        daemon.until_settled("web", 3);
        assert_eq!(stage.containers("web").len(), 3);
        assert!(stage.wait(stage.lab.names()).contains(&"foreign".to_owned()), "{foreign}");
    }
}
