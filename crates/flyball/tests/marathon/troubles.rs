//! Requests never notice what happens to Marathon.

/// Loads the machine.
mod alone {
    use std::time::{Duration, Instant};

    use crate::stage::{APP, Stage};
    use crate::support::{Daemon, Steady, until, was_load};

    /// What one task can just bear, so that nearly each one that leaves has a request under way.
    const PER_S: u32 = 20;

    /// How long another client's rollout holds the app; a minute shows nothing that this does not.
    fn lock_s() -> u64 {
        std::env::var("FLYBALL_LOCK_S").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
    }

    fn finish(load: Steady) {
        let report = load.finish();
        println!("{} requests, p99 {:?} ms", report.served, report.p99_ms);
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, PER_S), "{report:?}");
    }

    /// How many of the agents that replicas are on are unreachable.
    fn away(stage: &Stage) -> usize {
        let view = stage.daemon.service("web");
        let nodes = view["nodes"].as_array().unwrap();
        nodes.iter().filter(|node| node["up"] == false).count()
    }

    #[test]
    fn tasks_come_and_go_under_load_and_no_request_fails() {
        let Some(stage) = Stage::set(2) else { return };
        stage.settled(2);
        let load = Steady::start(stage.rig.front, PER_S);
        for count in [4, 6, 3, 5, 1, 2, 5, 1, 6, 2, 4, 1] {
            stage.scale(count);
        }
        finish(load);
        let asked = stage.lab.asked();
        assert!(asked.iter().any(|asked| asked.contains("tasks/delete?scale=true")), "{asked:?}");
    }

    #[test]
    fn a_rollout_of_another_client_is_waited_for_and_a_count_set_externally_is_put_right() {
        let Some(stage) = Stage::set(2) else { return };
        stage.settled(2);
        let load = Steady::start(stage.rig.front, PER_S);
        let theirs = stage.lab.lock(APP);
        until("a sign of the lock", || stage.busy().then_some(()));
        stage.ask_for(4);
        let (began, lock) = (Instant::now(), Duration::from_secs(lock_s()));
        while began.elapsed() < lock {
            assert_eq!(stage.lab.instances(APP), 2, "after {:?}", began.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(stage.lab.asked().iter().all(|asked| !asked.contains("force")));
        stage.lab.unlock(&theirs);
        let at = Instant::now();
        stage.settled(4);
        println!("4 serve {:?} after a lock of {lock:?}", at.elapsed());
        until("an external change", || stage.lab.scale_by_hand(APP, 6).then_some(()));
        until("no deployment", || (!stage.lab.deploys()).then_some(()));
        stage.settled(4);
        finish(load);
    }

    #[test]
    fn storms_lost_events_another_leader_and_a_lost_task_are_survived() {
        let Some(mut stage) = Stage::set(3) else { return };
        stage.ask_for(3);
        stage.settled(3);
        let load = Steady::start(stage.rig.front, PER_S);
        stage.lab.set(|knobs| knobs.status = Some(503));
        until("a line about the storm", || (stage.daemon.log_count("503") > 0).then_some(()));
        stage.ask_for(4);
        stage.lab.set(|knobs| (knobs.status, knobs.mute) = (None, true));
        stage.settled(4);
        stage.lab.set(|knobs| knobs.electing = true);
        until("a line about the election", || (stage.daemon.log_count("502") > 0).then_some(()));
        stage.lab.set(|knobs| (knobs.electing, knobs.leader, knobs.mute) = (false, 1, false));
        stage.scale(3);
        let lost = stage.lab.tasks(APP).remove(0).id;
        stage.lab.lose(&lost, true);
        until("the loss", || (stage.daemon.seen("web", "ready") == Some(2)).then_some(()));
        assert_eq!(away(&stage), 1, "an unreachable agent is shown as such");
        stage.lab.lose(&lost, false);
        stage.settled(3);
        assert_eq!(away(&stage), 0);
        // Killed in the middle of a change: the next run finishes it.
        stage.ask_for(5);
        stage.daemon.kill();
        stage.daemon = Daemon::start(&stage.place);
        stage.scale(2);
        finish(load);
    }
}
