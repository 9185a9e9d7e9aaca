//! Users change a service while flyball scales it.

/// Loads the machine.
mod alone {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread;

    use serde_json::{Value, json};

    use crate::stage::{Stage, scale, until_ready, want};
    use crate::support::{Daemon, Steady, until};

    fn replicas(spec: &Value) -> u64 {
        spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap()
    }

    /// The spec with the count taken out.
    fn rest(mut spec: Value) -> Value {
        spec["Mode"]["Replicated"]["Replicas"] = json!(null);
        spec
    }

    /// A service as people write it, with a count.
    const STACK: &str = r#"
version: "3.8"
services:
  web:
    image: flyball-lab:1
    environment: { A: "1" }
    ports: [{ target: 8080, mode: host }]
    stop_grace_period: 3s
    deploy:
      replicas: 2
      labels: { team: shop }
      resources: { limits: { cpus: "0.5" } }
      restart_policy: { delay: 200ms }
      update_config: { order: start-first, monitor: 500ms, parallelism: 4 }
"#;

    #[test]
    fn counts_that_others_set_are_put_back_updates_are_waited_for_and_nothing_else_changes() {
        let Some(stage) = Stage::set(1) else { return };
        let file = stage.place.write("stack.yml", STACK);
        let file = file.to_str().unwrap();
        let deploy = || {
            stage.swarm.docker(&["stack", "deploy", "-c", file, "--resolve-image", "never", "shop"])
        };
        deploy();
        let lines = "swarm_service = \"shop_web\"\npolicy = \"external\"\nmin = 1\nmax = 12";
        let daemon = stage.fly(&[0], lines);
        scale(&daemon, 4);
        let before = rest(stage.swarm.spec("shop_web"));
        let load = Steady::start(stage.front(), 50);

        // The count of the file, in the middle of a scale-out.
        want(&daemon, 7);
        deploy();
        daemon.until_settled("web", 7);
        assert_eq!(daemon.log_count("replicas were set externally to 2"), 1, "{}", daemon.log());
        assert_eq!(rest(stage.swarm.spec("shop_web")), before);

        // An update in the middle of another: waited for, then the count is what is wanted.
        let update = ["service", "update", "-d", "--force", "--env-add", "B=2", "shop_web"];
        stage.swarm.docker(&update);
        want(&daemon, 5);
        until("the wait for the update", || {
            daemon.service("web").to_string().contains("its update is in progress").then_some(())
        });
        let during = stage.swarm.spec("shop_web");
        assert_eq!(replicas(&during), 7, "no count is set while an update goes on");
        daemon.until_settled("web", 5);
        let after = stage.swarm.spec("shop_web");
        assert_eq!((replicas(&after), rest(after)), (5, rest(during)));

        changes_at_the_same_time_are_both_kept(&stage, &daemon);
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
    }

    /// Another client changes labels as fast as it can while the count changes.
    fn changes_at_the_same_time_are_both_kept(stage: &Stage, daemon: &Daemon) {
        let done = AtomicBool::new(false);
        let (kept, refused) = thread::scope(|scope| {
            let labels = scope.spawn(|| {
                let (mut kept, mut refused) = (Vec::new(), 0);
                while !done.load(Relaxed) {
                    let label = format!("n{}", kept.len());
                    let add = ["service", "update", "-d", "--label-add", &label, "shop_web"];
                    match stage.swarm.nodes[0].try_docker(&add) {
                        Some(_) => kept.push(label),
                        None => refused += 1,
                    }
                }
                (kept, refused)
            });
            for count in [6, 5, 7, 4, 8, 5, 6, 4] {
                want(daemon, count);
                until("the count", || {
                    (replicas(&stage.swarm.spec("shop_web")) == count).then_some(())
                });
            }
            done.store(true, Relaxed);
            labels.join().unwrap()
        });
        daemon.until_settled("web", 4);
        let spec = stage.swarm.spec("shop_web");
        let lost: Vec<_> =
            kept.iter().filter(|label| spec["Labels"].get(label.as_str()).is_none()).collect();
        println!("{} external changes beside eight of flyball's, {refused} refused", kept.len());
        assert!(lost.is_empty() && !kept.is_empty(), "{lost:?} of {kept:?}");
        assert_eq!(replicas(&spec), 4);
    }

    #[test]
    fn a_paused_update_is_left_as_it_is_until_it_is_repaired() {
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
            let update = stage.swarm.docker(&["service", "inspect", "--format", state, "web"]);
            (update.trim() == "paused").then_some(())
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
