//! Requests never notice that tasks come and go on three machines.

/// Loads the machine.
mod alone {
    use std::collections::BTreeSet;

    use crate::stage::{Stage, scale};
    use crate::support::{Daemon, Steady, until, was_load};

    #[test]
    fn a_service_grows_fivefold_over_all_nodes_and_back_without_a_failed_request() {
        let Some(stage) = Stage::set(1) else { return };
        stage.create(2, &[]);
        let daemon = stage.fly(&[0], "policy = \"external\"\nmin = 1\nmax = 12");
        daemon.until_settled("web", 2);
        let load = Steady::start(stage.front(), 100);
        scale(&daemon, 10);
        let nodes = stage.swarm.nodes_of("web");
        scale(&daemon, 3);
        scale(&daemon, 8);
        scale(&daemon, 2);
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, 100), "{report:?}");
        let names: BTreeSet<&String> = nodes.iter().collect();
        assert_eq!((nodes.len(), names.len()), (10, 3), "{nodes:?}");
        let most = names.iter().map(|name| nodes.iter().filter(|node| node == name).count()).max();
        assert!(most <= Some(4), "{nodes:?}");
        without_draining(&stage, daemon);
    }

    /// What the same costs without draining: printed, not judged, since flyball has no part in it.
    fn without_draining(stage: &Stage, mut daemon: Daemon) {
        scale(&daemon, 8);
        daemon.kill();
        let load = Steady::start(stage.front(), 100);
        stage.swarm.docker(&["service", "scale", "-d", "web=2"]);
        until("two tasks", || {
            let all =
                stage.swarm.docker(&["service", "ps", "web", "--format", "{{.CurrentState}}"]);
            (all.lines().filter(|state| state.starts_with("Running")).count() == 2).then_some(())
        });
        let report = load.finish();
        println!(
            "8 -> 2 without draining: {} of {} requests failed: {:?}",
            report.failed, report.requests, report.failures
        );
        assert!(was_load(&report, 100), "{report:?}");
    }
}
