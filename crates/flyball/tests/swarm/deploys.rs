//! What people do to a service while flyball looks after it.

/// Loads the machine.
mod alone {
    use serde_json::{Value, json};

    use crate::stage::{Stage, scale, until_ready, want};
    use crate::support::{Steady, until};

    fn replicas(spec: &Value) -> u64 {
        spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap()
    }

    /// The spec with the count taken out.
    fn rest(mut spec: Value) -> Value {
        spec["Mode"]["Replicated"]["Replicas"] = json!(null);
        spec
    }

    #[test]
    fn counts_that_others_set_are_put_back_updates_are_waited_for_and_nothing_else_changes() {
        let Some(stage) = Stage::set(1) else { return };
        let env = ["--env", "A=1", "--label", "team=shop", "--stop-grace-period", "3s"];
        let update = [
            "--update-order",
            "start-first",
            "--update-monitor",
            "500ms",
            "--update-parallelism",
            "4",
        ];
        stage.create(2, &[&env[..], &update].concat());
        let daemon = stage.fly(&[0], "policy = \"external\"\nmin = 1\nmax = 12");
        scale(&daemon, 4);
        let before = rest(stage.swarm.spec("web"));
        let load = Steady::start(stage.front(), 50);

        // As `docker stack deploy` does: the count of the file, in the middle of a scale-out.
        want(&daemon, 7);
        stage.swarm.docker(&["service", "update", "-d", "--replicas", "2", "web"]);
        daemon.until_settled("web", 7);
        assert!(daemon.said("somebody else set 2 replicas") <= 1, "{}", daemon.log());
        assert_eq!(rest(stage.swarm.spec("web")), before);

        // An update in the middle of another: waited for, then the count is what is wanted.
        stage.swarm.docker(&["service", "update", "-d", "--force", "--env-add", "B=2", "web"]);
        want(&daemon, 5);
        until("the wait for the update", || {
            daemon.service("web").to_string().contains("its update goes on").then_some(())
        });
        let during = stage.swarm.spec("web");
        assert_eq!(replicas(&during), 7, "nothing is told while an update goes on");
        daemon.until_settled("web", 5);
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        let after = stage.swarm.spec("web");
        assert_eq!((replicas(&after), rest(after)), (5, rest(during)));
    }

    #[test]
    fn a_paused_update_is_left_as_it_is_until_somebody_mends_it() {
        let Some(stage) = Stage::set(1) else { return };
        // Without the delay Swarm may replace a second task before it sees that the first has ended.
        let pause = ["--update-failure-action", "pause", "--update-delay", "3s"];
        stage.create(3, &[&pause[..], &["--update-monitor", "1s"]].concat());
        let daemon = stage.fly(&[0], "policy = \"external\"\nmin = 1\nmax = 12");
        daemon.until_settled("web", 3);
        // The new tasks end at once.
        stage.swarm.docker(&["service", "update", "-d", "--env-add", "EXIT=3", "web"]);
        until("the pause", || {
            let state = "{{.UpdateStatus.State}}";
            let said = stage.swarm.docker(&["service", "inspect", "--format", state, "web"]);
            (said.trim() == "paused").then_some(())
        });
        let version =
            || stage.swarm.docker(&["service", "inspect", "--format", "{{.Version.Index}}", "web"]);
        let before = version();
        want(&daemon, 6);
        until("what holds", || {
            daemon.service("web").to_string().contains("update is paused").then_some(())
        });
        // Some looks pass, at most two seconds apart.
        std::thread::sleep(std::time::Duration::from_secs(4));
        assert_eq!(version(), before);
        until_ready(&daemon, 2);
        let mend = ["service", "update", "-d", "--env-rm", "EXIT", "--update-delay", "0s", "web"];
        stage.swarm.docker(&mend);
        // The next starts wait until one has lasted for ten seconds.
        until_ready(&daemon, 3);
        daemon.until_settled("web", 6);
    }
}
