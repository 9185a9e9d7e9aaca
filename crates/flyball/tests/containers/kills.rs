//! Containers and HAProxy serve on without flyball, and the next one carries on.

/// Loads the machine.
mod alone {
    use std::thread::sleep;
    use std::time::Duration;

    use crate::load::Long;
    use crate::stage::{Stage, published};
    use crate::support::{Daemon, Steady};

    const KILLS: usize = 30;

    #[test]
    fn sigkills_under_load_lose_no_request_and_double_no_container() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", "policy = \"external\"\nmin = 3\nmax = 3"));
        let foreign = stage.wait(stage.lab.run("foreign", &[("team", "shop")], published()));
        let mut daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 3);
        stage.until_served();
        let before = stage.containers("web");
        let (short, long) = (Steady::start(stage.front(), 100), Long::start(stage.front(), 2));
        for kill in 0..KILLS {
            daemon.kill();
            sleep(Duration::from_millis(100));
            daemon = Daemon::start(&stage.place);
            // Now and then it dies before it is done with its first looks.
            sleep(Duration::from_millis(u64::try_from(kill).unwrap() * 20));
            if kill % 2 == 0 {
                daemon.until_settled("web", 3);
            }
        }
        daemon.until_settled("web", 3);
        let (report, (sent, failed)) = (short.finish(), long.finish());
        println!("{KILLS} deaths; {} short requests, {sent} long ones", report.served);
        assert_eq!((report.failed, failed), (0, Vec::new()), "{:?}", report.failures);
        assert_eq!(stage.containers("web"), before);
        assert!(stage.is_running(&foreign));
    }

    #[test]
    fn a_start_under_way_when_flyball_is_killed_leaves_no_container_too_many() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", "policy = \"external\"\nmin = 3\nmax = 3"));
        for pause_ms in [0, 40, 150, 400, 700] {
            let mut daemon = Daemon::start(&stage.place);
            sleep(Duration::from_millis(pause_ms));
            daemon.kill();
        }
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 3);
        stage.until_served();
        // None is left that was created and not started, either.
        let all = stage.wait(stage.lab.names());
        assert_eq!(all.len(), 3, "{all:?}");
        assert_eq!(stage.containers("web").len(), 3);
    }
}
