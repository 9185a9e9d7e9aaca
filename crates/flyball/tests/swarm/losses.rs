//! Machines, networks and managers that are lost and come back.

/// Loads the machine.
mod alone {
    use crate::stage::{Stage, scale, want};
    use crate::support::{Steady, until, until_within};

    /// A daemon that was killed joins its Swarm again after a time-out of 20 s, and a bit.
    const REJOIN: std::time::Duration = std::time::Duration::from_secs(60);

    #[test]
    fn what_a_lost_node_ran_is_replaced_once_by_swarm_and_nothing_is_removed_for_it() {
        let Some(mut stage) = Stage::set(1) else { return };
        stage.create(6, &[]);
        let daemon = stage.fly(&[0], "policy = \"external\"\nmin = 1\nmax = 12");
        scale(&daemon, 6);
        let load = Steady::start(stage.front(), 50);
        let whole = |stage: &Stage, without: &str| {
            until("Swarm's replacements", || {
                let nodes = stage.swarm.nodes_of("web");
                let clear = nodes.iter().all(|node| node != without);
                (clear && nodes.len() == 6).then_some(())
            });
            until("six ready", || (daemon.seen("web", "ready") == Some(6)).then_some(()));
        };
        // No task there can be reached: HAProxy sends such requests to others.
        let (second, third) = (stage.swarm.nodes[1].name(), stage.swarm.nodes[2].name());
        stage.swarm.nodes[1].connect(false);
        whole(&stage, &second);
        stage.swarm.nodes[1].connect(true);
        daemon.until_settled("web", 6);
        let cut = load.finish();
        assert_eq!(cut.failed, 0, "{:?}", cut.failures);

        // Its containers live on and answer.
        let load = Steady::start(stage.front(), 50);
        stage.swarm.nodes[2].kill();
        whole(&stage, &third);
        let killed = load.finish();
        println!("cut: {cut:?}\nkilled: {killed:?}");
        assert_eq!(killed.failed, 0, "{:?}", killed.failures);

        // It comes back: what it still ran is ended by Swarm, and nothing is doubled.
        let load = Steady::start(stage.front(), 50);
        stage.swarm.nodes[2].start();
        let state = ["node", "inspect", "--format", "{{.Status.State}}", &third];
        until_within(REJOIN, "the node", || {
            stage.swarm.nodes[0].try_docker(&state).filter(|state| state.trim() == "ready")
        });
        daemon.until_settled("web", 6);
        let back = load.finish();
        assert_eq!(back.failed, 0, "{:?}", back.failures);
        assert_eq!(stage.swarm.spec("web")["Mode"]["Replicated"]["Replicas"], 6);
        assert_eq!(daemon.log_count("set externally"), 0, "{}", daemon.log());
    }

    #[test]
    fn a_lost_leader_is_followed_by_another_and_an_order_is_carried_out_once() {
        let Some(mut stage) = Stage::set(3) else { return };
        stage.create(3, &["--constraint", "node.hostname!=fbsw1"]);
        let daemon = stage.fly(&[0, 1, 2], "policy = \"external\"\nmin = 1\nmax = 12");
        daemon.until_settled("web", 3);
        let load = Steady::start(stage.front(), 50);
        stage.swarm.nodes[0].kill();
        want(&daemon, 5);
        until("the loss", || (daemon.log_count("docker") > 0).then_some(()));
        // The others elect a leader after ten ticks of a second.
        let begun = std::time::Instant::now();
        let settled = loop {
            let view = daemon.service("web");
            let ready = view["decision"]["signals"]["ready"].as_u64();
            if ready == Some(5) || begun.elapsed() > std::time::Duration::from_secs(50) {
                break ready;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        let report = load.finish();
        println!("five after {:?}", begun.elapsed());
        assert_eq!((settled, report.failed), (Some(5), 0), "{:?}", report.failures);
        let replicas =
            ["service", "inspect", "--format", "{{.Spec.Mode.Replicated.Replicas}}", "web"];
        assert_eq!(stage.swarm.nodes[1].docker(&replicas).trim(), "5");
    }
}
