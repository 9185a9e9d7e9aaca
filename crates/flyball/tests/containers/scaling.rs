//! Requests never notice that containers come and go.

/// Loads the machine.
mod alone {
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use crate::load::{Long, get};
    use crate::stage::Stage;
    use crate::support::{Daemon, Steady, until, was_load};

    /// 2, 4, 6, 3, 5, 1 and again: ups and downs of one to four at once.
    const COUNTS: [u64; 6] = [2, 4, 6, 3, 5, 1];

    #[test]
    fn forty_scale_actions_under_load_fail_no_request() {
        let Some(stage) = Stage::set() else { return };
        let more = "policy = \"external\"\nmin = 1\nmax = 6\ncpus = 0.5\n";
        stage.place.configure(&stage.service("web", more));
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 1);
        stage.until_served();
        let (short, long) = (Steady::start(stage.front(), 100), Long::start(stage.front(), 4));
        let began = Instant::now();
        for count in COUNTS.into_iter().cycle().take(42) {
            daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
            until(&format!("{count} serving"), || {
                (daemon.seen("web", "ready") == Some(count)).then_some(())
            });
        }
        // The last of those that drain have their longest request under way.
        daemon.until_settled("web", 1);
        let took = began.elapsed();
        let (report, (sent, failed)) = (short.finish(), long.finish());
        println!("42 changes in {took:?}; p99 {:?} ms; {sent} long requests", report.p99_ms);
        assert_eq!((report.failed, failed), (0, Vec::new()), "{:?}", report.failures);
        assert!(was_load(&report, 100) && sent > 20, "{report:?}, {sent} long requests");
        until("the last container", || (stage.containers("web").len() == 1).then_some(()));
    }

    #[test]
    fn the_floor_serves_again_within_two_seconds_of_the_death_of_every_container() {
        let Some(stage) = Stage::set() else { return };
        let more = "policy = \"external\"\nmin = 3\n";
        stage.place.configure(&stage.service("web", more));
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 3);
        stage.until_served();
        let bare = stage.bare_start(3);
        let load = Steady::start(stage.front(), 100);
        let before = stage.containers("web");
        let killed = Instant::now();
        stage.kill(before.keys());
        let serving = until("an answer", || {
            let fresh = stage.containers("web").keys().any(|id| !before.contains_key(id));
            (fresh && get(stage.front(), "/").is_ok()).then(|| killed.elapsed())
        });
        until("three serving", || {
            let fresh = stage.containers("web").keys().all(|id| !before.contains_key(id));
            (fresh && daemon.seen("web", "ready") == Some(3)).then_some(())
        });
        let whole = killed.elapsed();
        // What was sent during the gap has its answer or its refusal by now, or it hangs.
        sleep(Duration::from_millis(500));
        let report = load.finish();
        println!(
            "served again after {serving:?}, whole after {whole:?}, {} of {} refused meanwhile; \
             Docker alone starts three in {bare:?}",
            report.failed, report.requests
        );
        assert!(serving < Duration::from_secs(2), "{serving:?}");
        assert!(whole < Duration::from_secs(2) + bare, "{whole:?} where Docker takes {bare:?}");
        assert!(report.unfinished < 10, "{report:?}");
        assert!(report.max_ms < Some(2_000.0), "{report:?}");
    }
}
