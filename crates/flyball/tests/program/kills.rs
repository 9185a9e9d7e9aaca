//! No death of flyball leaves anything behind, and the next start carries on.

/// Counts processes under load.
mod alone {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{scope, sleep};
    use std::time::{Duration, Instant};

    use crate::support::{Daemon, Place, Steady, carriers, free_port, sample, until};

    /// The living replicas, counted between two moments.
    struct Count {
        from: Instant,
        to: Instant,
        replicas: usize,
    }

    fn count(mark: &str, over: &AtomicBool) -> Vec<Count> {
        let mut counts = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let (from, replicas) = (Instant::now(), carriers(mark).len());
            counts.push(Count { from, to: Instant::now(), replicas });
            sleep(Duration::from_millis(5));
        }
        counts
    }

    /// Replicas that belong to another process than `daemon`.
    fn orphans(place: &Place, daemon: &Daemon) -> usize {
        let owner = format!("FLYBALL_OWNER={}:", daemon.pid());
        let orphaned = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            // One that ended between the two looks at it is no orphan.
            !environment.is_empty() && !variables.any(|v| v.starts_with(owner.as_bytes()))
        };
        place.replicas().into_iter().filter(orphaned).count()
    }

    /// Requests do fail while nothing listens, because the proxy is part of flyball; they are
    /// printed, not judged.
    #[test]
    fn after_twenty_sigkills_under_load_there_is_no_orphan_no_double_and_the_floor_stands() {
        let port = free_port();
        let more =
            format!("listen = \"127.0.0.1:{port}\"\npolicy = \"external\"\nmin = 2\nmax = 2");
        let place = Place::with(&sample("web", 1.0, 0.5, &more));
        let mut daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let load = Steady::start(daemon.address_of("web"), 50);
        let (mark, over) = (place.mark(), AtomicBool::new(false));
        let mut restarts = Vec::new();
        let counts = scope(|scope| {
            let counting = scope.spawn(|| count(&mark, &over));
            for _ in 0..20 {
                let killed = Instant::now();
                daemon.kill();
                daemon = Daemon::start(&place);
                daemon.until_settled("web", 2);
                restarts.push((killed, Instant::now()));
                assert_eq!(orphans(&place, &daemon), 0);
                // Some of the load is served before the next death.
                sleep(Duration::from_millis(200));
            }
            over.store(true, Ordering::Relaxed);
            counting.join().unwrap()
        });
        let report = load.finish();
        let mut took: Vec<_> = restarts.iter().map(|(from, to)| *to - *from).collect();
        took.sort();
        println!("restarts took {:?} (median) to {:?}", took[10], took[19]);
        println!("{} requests, {} failed while nothing listened", report.requests, report.failed);
        assert!(took[19] < Duration::from_secs(3), "{took:?}");
        assert!(report.served > 100, "{report:?}");
        for Count { from, to, replicas } in counts {
            let restarting = restarts.iter().any(|(death, back)| *death <= to && from <= *back);
            assert!(replicas <= 2, "{replicas} replicas at once");
            assert!(replicas == 2 || restarting, "{replicas} replicas outside of a restart");
        }
        daemon.kill();
        let dead = Instant::now();
        until("nothing left", || place.replicas().is_empty().then_some(()));
        println!("nothing was left {:?} after the last death", dead.elapsed());
        assert!(dead.elapsed() < Duration::from_secs(2), "{:?}", dead.elapsed());
    }
}
