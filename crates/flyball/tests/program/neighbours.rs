//! One slow or dead service never delays another.

/// Measures time.
mod alone {
    use std::collections::BTreeMap;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use rustix::process::Signal;

    use crate::support::{Daemon, Place, Steady, carriers, sample, shell, signal};

    const LOOK_MS: u64 = 100;

    /// Times between looks at `service` over `span`, in milliseconds, the longest last.
    fn looks(daemon: &Daemon, service: &str, span: Duration) -> Vec<u64> {
        let mut at = BTreeMap::new();
        let end = Instant::now() + span;
        while Instant::now() < end {
            let decision = &daemon.service(service)["decision"];
            at.insert(decision["at"].as_u64().unwrap(), ());
            sleep(Duration::from_millis(5));
        }
        let at: Vec<u64> = at.into_keys().collect();
        let mut gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        gaps
    }

    #[test]
    fn looks_at_a_service_keep_their_pace_beside_one_that_hangs_and_one_that_never_starts() {
        let look = format!("interval = \"{LOOK_MS}ms\"\n");
        let never = "start_limit = \"1s\"\nready = { tcp = true }\nmin = 5";
        let place = Place::with(
            &[
                sample("web", 1.0, 0.5, &look),
                sample("hung", 1.0, 0.5, &format!("{look}min = 3\npolicy = \"external\"")),
                shell("never", "exec sleep 60", &format!("{look}{never}")),
            ]
            .concat(),
        );
        let daemon = Daemon::start(&place);
        daemon.until_settled("hung", 3);
        daemon.until_settled("web", 1);
        let hung: Vec<u32> = carriers("FLYBALL_SERVICE=hung")
            .into_iter()
            .filter(|pid| place.replicas().contains(pid))
            .collect();
        assert_eq!(hung.len(), 3);
        for pid in hung {
            signal(pid, Signal::STOP);
        }
        let load = Steady::start(daemon.address_of("hung"), 50);
        let served = Steady::start(daemon.address_of("web"), 20);
        let gaps = looks(&daemon, "web", Duration::from_secs(5));
        let report = served.finish();
        load.finish();
        let (median, longest) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
        println!("{} looks, {median} ms apart, at most {longest} ms", gaps.len());
        assert!(longest <= 2 * LOOK_MS, "{gaps:?}");
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(daemon.log_count("never") > 0, "{}", daemon.log());
    }
}
