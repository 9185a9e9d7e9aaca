//! A service behind HAProxy that has no replica: requests wait at the activator, and wake it.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Daemon, Haproxy, Place, ask, flyball, free_port, run, sample, shell, until};

fn place(services: &str) -> Place {
    let place = Place::new();
    let socket = Haproxy::socket(&place);
    place.configure(&format!("[haproxy]\nsocket = {socket:?}\n{services}"));
    place
}

const ASLEEP: &str = "balancer = \"haproxy\"\nmin = 0\n";

/// Waits until HAProxy has the activator and the service has no replica.
fn until_asleep(place: &Place, daemon: &Daemon) {
    until("a sleeping service with its activator", || {
        let view = daemon.service("web");
        let none = view["replicas"].as_array()?.is_empty();
        let has = Haproxy::ask(place, "show servers state web").contains("fb-activator");
        (none && has).then_some(())
    });
}

/// One request from a thread of its own: its status, its body, and how long that took.
fn request(front: SocketAddr) -> JoinHandle<(u16, String, Duration)> {
    thread::spawn(move || {
        let began = Instant::now();
        let answer = ask(front, "GET", "/", None).unwrap();
        (answer.status, answer.body, began.elapsed())
    })
}

#[test]
fn a_service_that_this_run_never_saw_working_is_woken_by_requests_that_all_succeed() {
    let place = place(&sample("web", 0.1, 1.0, ASLEEP));
    let Some(haproxy) = Haproxy::start(&place, "  balance leastconn\n") else { return };
    let daemon = Daemon::start(&place);
    until_asleep(&place, &daemon);
    let requests: Vec<_> = (0..200).map(|_| request(haproxy.front)).collect();
    let answers: Vec<_> = requests.into_iter().map(|it| it.join().unwrap()).collect();
    let failed: Vec<_> = answers.iter().filter(|(status, ..)| *status != 200).collect();
    assert!(failed.is_empty(), "{} of 200: {:?}", failed.len(), failed.first());
    let row = until("a replica that answers behind HAProxy itself", || {
        assert_eq!(ask(haproxy.front, "GET", "/", None).unwrap().status, 200);
        let stat = Haproxy::ask(&place, "show stat");
        let row = stat.lines().find(|line| line.starts_with("web,fb-web"))?.to_owned();
        (row.split(',').nth(7)? != "0").then_some(row)
    });
    let view = daemon.service("web");
    let replicas = view["replicas"].as_array().unwrap();
    assert!(replicas.iter().all(|replica| replica["id"] != "activator"), "{view}");
    assert_eq!(view["held"], json!(null), "{row}");
}

#[test]
fn requests_for_a_replica_that_crashes_at_start_are_told_its_last_words_and_starts_back_off() {
    let more = format!("{ASLEEP}wait_limit = \"2s\"");
    let place = place(&shell("web", "echo no licence found >&2; exit 3", &more));
    let Some(haproxy) = Haproxy::start(&place, "  balance leastconn\n") else { return };
    let daemon = Daemon::start(&place);
    until_asleep(&place, &daemon);
    let held: Vec<_> = (0..3).map(|_| request(haproxy.front)).collect();
    until("held requests in the status", || {
        daemon.status().contains("3 waiting for a replica (for").then_some(())
    });
    let metrics = daemon.get("/metrics").body;
    assert!(metrics.contains("flyball_requests_held{service=\"web\"} 3"), "{metrics}");
    for (status, body, took) in held.into_iter().map(|it| it.join().unwrap()) {
        assert_eq!(status, 503);
        assert!(body.contains("no licence found"), "{body}");
        assert!((2..5).contains(&took.as_secs()), "{took:?}");
    }
    let ended = daemon.log_count("ended");
    assert!((1..10).contains(&ended), "{ended} starts in 2 s:\n{}", daemon.log());
    until("the metric of those that gave up", || {
        let metrics = daemon.get("/metrics").body;
        let line = metrics.lines().find(|line| line.contains("reason=\"wait-limit\""))?;
        line.ends_with(" 3.0").then_some(())
    });
}

#[test]
fn after_a_sigkill_with_held_requests_and_after_a_restart_of_haproxy_it_wakes_again() {
    let slow = format!("sleep 1; exec {:?} sample-service --port $PORT", crate::support::FLYBALL);
    let place = place(&shell("web", &slow, ASLEEP));
    let port = free_port();
    let Some(haproxy) = Haproxy::start_at(&place, port, "  balance leastconn\n") else { return };
    let mut daemon = Daemon::start(&place);
    until_asleep(&place, &daemon);
    drop(haproxy);
    let Some(haproxy) = Haproxy::start_at(&place, port, "  balance leastconn\n") else { return };
    until_asleep(&place, &daemon);
    let held = request(haproxy.front);
    until("a replica on its way", || {
        (daemon.seen("web", "starting")? == 1 && daemon.seen("web", "waiting")? == 1).then_some(())
    });
    daemon.kill();
    let (status, ..) = held.join().unwrap();
    assert!(status >= 500, "{status}");
    until("the end of the killed flyball's replica", || place.replicas().is_empty().then_some(()));
    let daemon = Daemon::start(&place);
    until_asleep(&place, &daemon);
    let (status, body, _) = request(haproxy.front).join().unwrap();
    assert_eq!(status, 200, "{body}");
    assert_eq!(place.replicas().len(), 1);
    daemon.stop();
    let state = Haproxy::ask(&place, "show servers state web");
    assert!(!state.contains("fb-activator"), "nobody listens there any more: {state}");
}

#[test]
fn check_names_the_activator_and_what_would_end_requests_too_early() {
    let place = place(&sample("web", 0.1, 1.0, ASLEEP));
    let Some(_haproxy) = Haproxy::start(&place, "  balance leastconn\n") else { return };
    let file = place.path().join("haproxy.cfg");
    let config = place.config();
    let words = ["check", "-c", config.to_str().unwrap(), "--haproxy-config"];
    let output = run(flyball(words).arg(file));
    for line in [
        "ok    services.web.haproxy: without a replica, requests wait at the activator, 127.",
        "`timeout server 9s` ends requests before they may have waited for a replica",
    ] {
        assert!(output.stdout.contains(line), "{line}:\n{}", output.stdout);
    }
}

/// Measures time.
mod alone {
    use std::process::{Child, Stdio};

    use super::*;
    use crate::support::FLYBALL;

    struct Bare(Child);

    impl Drop for Bare {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// How long the same replica takes from its start to its first answer without flyball.
    fn bare_start() -> Duration {
        let port = free_port();
        let mut command = std::process::Command::new(FLYBALL);
        command.args(["sample-service", "--work-ms", "0.1", "--share", "1", "--port"]);
        let began = Instant::now();
        let child = command.arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let _child = Bare(child.spawn().unwrap());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        until("an answer", || ask(address, "GET", "/healthz", None).ok());
        began.elapsed()
    }

    fn median(mut times: Vec<Duration>) -> Duration {
        times.sort();
        times[times.len() / 2]
    }

    #[test]
    fn the_first_answer_comes_at_most_50_ms_after_what_the_start_itself_takes() {
        let place = place(&sample("web", 0.1, 1.0, ASLEEP));
        let Some(haproxy) = Haproxy::start(&place, "  balance leastconn\n") else { return };
        let daemon = Daemon::start(&place);
        let (mut woken, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            daemon.post("/api/v1/services/web/scale", &json!({ "to": 0, "for": "1s" }));
            until_asleep(&place, &daemon);
            bare.push(bare_start());
            until("the end of the override", || {
                daemon.service("web")["manual"].is_null().then_some(())
            });
            let (status, body, took) = request(haproxy.front).join().unwrap();
            assert_eq!(status, 200, "{body}");
            woken.push(took);
        }
        let (woken, bare) = (median(woken), median(bare));
        println!("first answer {woken:?}, of that the bare start {bare:?} (medians of 9)");
        assert!(woken <= bare + Duration::from_millis(50), "{woken:?}, bare {bare:?}");
    }
}
