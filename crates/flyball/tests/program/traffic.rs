//! Requests never notice that replicas come and go.

/// Measurements under load.
mod alone {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{scope, sleep};
    use std::time::{Duration, Instant};

    use rustix::process::Signal;
    use serde_json::{Value, json};

    use crate::support::{DEADLINE, Daemon, Place, Steady, sample, signal, until, was_load};

    /// 1, 2, ... 8, 7, ... 2 and again.
    fn up_and_down() -> impl Iterator<Item = u64> {
        (2..=8).chain((1..8).rev()).cycle()
    }

    /// One request whose body takes `millis` to send, so that it lasts at least as long.
    fn long_request(target: SocketAddr, millis: u64) -> std::io::Result<String> {
        const PIECES: u64 = 10;
        let mut stream = TcpStream::connect(target)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        write!(stream, "POST / HTTP/1.1\r\nhost: {target}\r\ncontent-length: {PIECES}\r\n")?;
        stream.write_all(b"connection: close\r\n\r\n")?;
        for _ in 0..PIECES {
            sleep(Duration::from_millis(millis / PIECES));
            stream.write_all(b"x")?;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Long requests one after another until `over`; gives how many, and those that failed.
    fn long_requests(target: SocketAddr, over: &AtomicBool) -> (usize, Vec<String>) {
        let (mut sent, mut failed) = (0, Vec::new());
        for millis in [50, 200, 400, 800].into_iter().cycle() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            sent += 1;
            match long_request(target, millis) {
                Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {}
                other => failed.push(format!("{other:?}")),
            }
        }
        (sent, failed)
    }

    #[test]
    fn two_hundred_scale_actions_under_load_fail_no_request() {
        let more = "policy = \"external\"\nmin = 1\nmax = 8\ninterval = \"50ms\"";
        let place = Place::with(&sample("web", 1.0, 0.5, more));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 1);
        let target = daemon.address_of("web");
        let load = Steady::start(target, 100);
        let over = AtomicBool::new(false);
        let (sent, failed) = scope(|scope| {
            let long: Vec<_> =
                (0..4).map(|_| scope.spawn(|| long_requests(target, &over))).collect();
            for count in up_and_down().take(200) {
                daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
                until(&format!("{count} ready"), || {
                    (daemon.seen("web", "ready") == Some(count)).then_some(())
                });
            }
            over.store(true, Ordering::Relaxed);
            let done = long.into_iter().map(|thread| thread.join().unwrap());
            done.fold((0, Vec::new()), |(all, mut bad), (sent, failed)| {
                bad.extend(failed);
                (all + sent, bad)
            })
        });
        let report = load.finish();
        let started = daemon.log().matches("INFO web ").count();
        println!(
            "{started} changes; {} short requests, p99 {:?} ms; {sent} long ones",
            report.requests, report.p99_ms
        );
        assert_eq!((report.failed, failed), (0, Vec::new()), "{:?}", report.failures);
        assert!(was_load(&report, 100) && sent > 20, "{report:?}, {sent} long requests");
        assert!(started >= 200, "only {started} changes of the count");
    }

    /// Replicas that die young are taken for a crash loop, which is put off on purpose: these are
    /// older.
    const STEADY_MS: i64 = 10_500;

    #[test]
    fn the_floor_is_back_within_a_second_of_every_death_and_no_get_fails_meanwhile() {
        let place = Place::with(&sample("web", 1.0, 0.5, "policy = \"external\"\nmin = 3"));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 3);
        let load = Steady::start(daemon.address_of("web"), 200);
        until("steady replicas", || {
            let view = daemon.service("web");
            let now_ms = view["now_wall_ms"].as_i64()?;
            let asked_ms = |replica: &Value| replica["asked_wall_ms"].as_i64();
            let youngest_ms = view["replicas"].as_array()?.iter().filter_map(asked_ms).max()?;
            (now_ms - youngest_ms > STEADY_MS).then_some(())
        });
        let before = place.replicas();
        assert_eq!(before.len(), 3);
        let killed = Instant::now();
        for pid in &before {
            signal(*pid, Signal::KILL);
        }
        until("three new replicas", || {
            let now = place.replicas();
            (now.len() == 3 && now.iter().all(|pid| !before.contains(pid))).then_some(())
        });
        daemon.until_settled("web", 3);
        let took = killed.elapsed();
        until("requests after that", || (daemon.seen("web", "waiting") == Some(0)).then_some(()));
        let report = load.finish();
        println!("the floor was back {took:?} after all replicas were killed");
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, 200), "{report:?}");
    }
}
