//! Replicas that misbehave: given up, put off, made to end, and logged once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::support::{Daemon, Place, flyball, run, shell, until};

/// What the log holds about a service: each kind of line once, without times and numbers.
fn warnings(log: &str) -> String {
    let lines = log.lines().filter_map(|line| line.split_once("  ").map(|(_, rest)| rest.trim()));
    let of_web = |line: &&str| line.contains("web") && !line.contains("http://");
    let plain = lines.filter(of_web).map(|line| {
        let words = line.split(' ');
        let plain = words.map(|word| if word.starts_with("web-") { "web-N" } else { word });
        plain.collect::<Vec<_>>().join(" ")
    });
    let mut plain: Vec<String> = plain.collect();
    plain.dedup();
    plain.join("\n")
}

/// Lets `daemon` run for a while and gives its log.
fn log_after(daemon: &Daemon, span: Duration) -> String {
    sleep(span);
    daemon.log()
}

#[test]
fn one_that_never_becomes_ready_is_given_up_and_then_put_off_and_that_is_logged_once() {
    let more = "ready = { tcp = true }\nstart_limit = \"1s\"\nmin = 2";
    let place = Place::with(&shell("web", "exec sleep 60", more));
    let daemon = Daemon::start(&place);
    until("delayed starts", || (daemon.log_count("is delayed") > 0).then_some(()));
    let view = daemon.service("web");
    let held = &view["decision"]["held_starts"];
    assert!(held["why"].as_str().unwrap().contains("was not ready after 1 s"), "{held}");
    let notices = view["notices"].to_string();
    assert!(notices.contains("is delayed") && notices.contains("was not ready"), "{notices}");
    let log = log_after(&daemon, Duration::from_secs(10));
    assert!(log.lines().count() < 25, "a flood in the log:\n{log}");
    assert!(log.contains("was not ready after 1 s"), "{log}");
    let explained = run(&mut flyball(["explain", "web", "--daemon", &daemon.api.to_string()]));
    assert!(explained.stdout.contains("back-off"), "{explained:?}");
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(place.replicas().is_empty());
}

#[test]
fn one_that_exits_at_once_is_put_off_with_its_log_tail_and_without_a_flood() {
    let script = "echo 'no database' >&2; exit 3";
    let place = Place::with(&shell("web", script, "ready = { tcp = true }"));
    let daemon = Daemon::start(&place);
    until("delayed starts", || (daemon.log_count("is delayed") > 0).then_some(()));
    let log = log_after(&daemon, Duration::from_secs(10));
    let first = warnings(&log).lines().take(3).collect::<Vec<_>>().join("\n");
    assert_snapshot!(first, @r"
    INFO web 0 -> 1 (+1): bounds: 1..10, 0 asked for
    WARN web-N ended: exit status 3: no database
    WARN web: 3 starts failed one after another, the last: web-N exit status 3: no database; the next start is delayed
    ");
    assert!(log.lines().count() < 20, "a flood in the log:\n{log}");
    daemon.stop();
}

#[test]
fn one_that_ignores_sigterm_is_killed_after_its_grace_when_flyball_stops() {
    let place = Place::new();
    let deaf = place.path().join("deaf");
    let script = format!("trap '' TERM; touch {}; while :; do sleep 0.02; done", deaf.display());
    place.configure(&shell("web", &script, "ready = { tcp = true }\ngrace = \"500ms\""));
    let daemon = Daemon::start(&place);
    until("its being deaf", || deaf.exists().then_some(()));
    let asked = Instant::now();
    let (status, log) = daemon.stop();
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(place.replicas().is_empty());
}
