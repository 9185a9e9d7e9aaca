//! Tasks of a real Mesos behind HAProxy: they come and go, survive flyball, and come back.

/// Loads the machine.
pub(crate) mod alone {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use crate::load::Long;
    use crate::stage::Stage;
    use crate::support::{Daemon, Place, Steady, flyball, run, until, was_load};
    use flyball_testkit::docker::{IMAGE, not_run_here};
    use flyball_testkit::mesos::Mesos;

    /// What its containers carry that the executor starts.
    const LABEL: &str = "task.flyball.service=web";

    /// Docker, HAProxy and Mesos; `None` where one cannot be had, which has been noted then.
    pub(crate) fn set() -> Option<(Stage, Mesos)> {
        let stage = Stage::set()?;
        match Mesos::up(&stage.lab.socket()) {
            Ok(mesos) => Some((stage, mesos)),
            Err(reason) => {
                not_run_here("mesos", &reason);
                None
            }
        }
    }

    pub(crate) fn configure(stage: &Stage, place: &Place, mesos: &Mesos, more: &str) {
        let text = stage.tables();
        let master = format!("[mesos]\nmaster = \"http://{}\"\n", mesos.at);
        let task = format!("image = \"{IMAGE}\"\nport = 8080\nmemory = \"64MiB\"\ngrace = \"2s\"");
        let service =
            format!("[services.web]\nengine = \"mesos\"\nbalancer = \"haproxy\"\n{task}\n");
        place.configure(&format!("{text}{master}{service}{more}"));
    }

    pub(crate) fn tasks(stage: &Stage) -> BTreeMap<String, String> {
        stage.labelled(LABEL)
    }

    pub(crate) fn framework(place: &Place) -> String {
        std::fs::read_to_string(place.state().join("mesos-framework")).unwrap()
    }

    /// How many replicas each agent has, all of which are up and report CPU usage.
    fn by_agent(daemon: &Daemon) -> Vec<usize> {
        let view = daemon.service("web");
        let nodes = view["nodes"].as_array().unwrap();
        let well = |node: &Value| node["up"] == true && node["silence"].is_null();
        assert!(nodes.iter().all(well), "{nodes:#?}");
        nodes.iter().map(|node| node["replicas"].as_array().unwrap().len()).collect()
    }

    #[test]
    fn tasks_come_and_go_under_load_and_no_request_fails() {
        let Some((stage, mesos)) = set() else { return };
        configure(
            &stage,
            &stage.place,
            &mesos,
            "policy = \"external\"\nmin = 1\nmax = 6\ncpus = 0.5\n",
        );
        let checked = run(&mut flyball(["check", "-c", stage.place.config().to_str().unwrap()]));
        assert!(
            checked.stdout.contains("2 agents") && checked.stdout.contains("have room"),
            "{checked:?}"
        );
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 1);
        stage.until_served();
        let (short, long) = (Steady::start(stage.front(), 100), Long::start(stage.front(), 4));
        let began = Instant::now();
        for count in [2, 4, 6, 3, 5, 1] {
            daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
            until(&format!("{count} serving"), || {
                (daemon.seen("web", "ready") == Some(count)).then_some(())
            });
            if count == 6 {
                assert_eq!(by_agent(&daemon), [3, 3]);
            }
        }
        daemon.until_settled("web", 1);
        let took = began.elapsed();
        let (report, (sent, failed)) = (short.finish(), long.finish());
        println!("6 changes in {took:?}; p99 {:?} ms; {sent} long requests", report.p99_ms);
        assert_eq!((report.failed, failed), (0, Vec::new()), "{:?}", report.failures);
        assert!(was_load(&report, 100) && sent > 5, "{report:?}, {sent} long requests");
        until("the last container", || (tasks(&stage).len() == 1).then_some(()));
    }

    #[test]
    fn tasks_outlive_flyball_and_come_back_after_a_kill_and_after_a_master_that_forgot_them() {
        let Some((stage, mut mesos)) = set() else { return };
        configure(
            &stage,
            &stage.place,
            &mesos,
            "policy = \"external\"\nmin = 3\nmax = 3\ncpus = 0.5\n",
        );
        let mut daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 3);
        stage.until_served();
        let (before, id) = (tasks(&stage), framework(&stage.place));
        let load = Steady::start(stage.front(), 100);
        for _ in 0..3 {
            daemon.kill();
            daemon = Daemon::start(&stage.place);
            daemon.until_settled("web", 3);
        }
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert_eq!((tasks(&stage), framework(&stage.place)), (before.clone(), id.clone()));

        let killed = before.keys().next().unwrap().clone();
        stage.kill([&killed]);
        let at = Instant::now();
        until("another in its place", || {
            let now = tasks(&stage);
            (now.len() == 3 && !now.contains_key(&killed)).then_some(())
        });
        daemon.until_settled("web", 3);
        println!("a task killed externally was replaced after {:?}", at.elapsed());

        mesos.kill();
        until("a line about the loss", || (daemon.log_count("mesos master") > 0).then_some(()));
        mesos.start();
        let at = Instant::now();
        until("new tasks", || {
            let now = tasks(&stage);
            (now.len() == 3 && now.keys().all(|id| !before.contains_key(id))).then_some(())
        });
        daemon.until_settled("web", 3);
        stage.until_served();
        println!("served again {:?} after a new master was there", at.elapsed());
        assert!(at.elapsed() < Duration::from_secs(15), "{:?}", at.elapsed());
        assert_eq!(framework(&stage.place), id);
    }
}
