//! Descriptors: the soft limit is raised, a hard one is shared out, and what does not fit is
//! reported.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Daemon, FLYBALL, Place, ask, clean, run, sample, until, until_within};

/// `flyball ARGS` with bounds of descriptors as `ulimit` sets them.
fn bounded(ulimit: &str, args: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{ulimit}; exec {FLYBALL} {args}")]);
    clean(&mut command);
    command
}

fn run_of(place: &Place) -> String {
    format!("run -c {}", place.config().display())
}

/// The replicas of `web` that answer at their own addresses.
fn answering(daemon: &Daemon) -> usize {
    let view = daemon.service("web");
    let replicas = view["replicas"].as_array().unwrap();
    let address = |replica: &Value| replica["address"].as_str()?.parse().ok();
    let answers = |replica: &&Value| {
        let answer = address(replica).map(|at| ask(at, "GET", "/healthz", None));
        matches!(answer, Some(Ok(answer)) if answer.status == 200)
    };
    replicas.iter().filter(answers).count()
}

#[test]
fn where_replicas_do_not_fit_the_start_and_check_say_how_many_and_the_rest_serves() {
    let place = Place::with(&sample("web", 0.01, 0.5, "min = 40\nmax = 40"));
    let output =
        run(&mut bounded("ulimit -n 256", &format!("check -c {}", place.config().display())));
    let missing = "only 24 of up to 40 replicas can be started";
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains(&format!("wrong descriptors: {missing}")), "{}", output.stdout);
    let daemon = Daemon::spawn(&place, bounded("ulimit -n 256", &run_of(&place)));
    assert_eq!(daemon.log_count(missing), 1, "{}", daemon.log());
    until("24 replicas", || (daemon.seen("web", "ready")? == 24).then_some(()));
    until("a notice", || {
        let view = daemon.service("web");
        let mut notices = view["notices"].as_array()?.iter();
        notices
            .find(|it| it["text"].as_str().unwrap().contains("allows 24 process replicas"))
            .map(drop)
    });
    assert_eq!(answering(&daemon), 24);
    let address = daemon.address_of("web");
    // More than the proxy may have, and no more than wait in the kernel's queue.
    let idle: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(daemon.get("/healthz").status, 200);
    let scaled = ask(daemon.api, "POST", "/api/v1/services/web/scale", Some(&json!({ "to": 40 })));
    assert_eq!(scaled.unwrap().status, 200);
    drop(idle);
    until("requests are served", || {
        let answer = ask(address, "GET", "/", None).ok()?;
        (answer.status == 200).then_some(())
    });
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_replica_begins_with_the_soft_bound_that_flyball_was_given() {
    let place = Place::new();
    let script = "ulimit -Sn > bound; exec sleep 60";
    let more = format!("directory = {:?}\nready = \"tcp\"", place.path());
    place.configure(&crate::support::shell("web", script, &more));
    let daemon = Daemon::spawn(&place, bounded("ulimit -Sn 300", &run_of(&place)));
    let file = place.path().join("bound");
    let bound =
        until("the bound", || fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')));
    assert_eq!(bound, "300\n");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(!files.contains(" 300 "), "flyball's own was raised: {files}");
}

mod alone {
    use super::*;

    /// 1,024 is the soft bound that login shells and systemd give.
    #[test]
    fn four_hundred_replicas_serve_under_a_soft_bound_of_1024() {
        let place =
            Place::with(&sample("web", 0.01, 0.5, "min = 400\nmax = 400\ninterval = \"1s\""));
        let daemon = Daemon::spawn(&place, bounded("ulimit -Sn 1024", &run_of(&place)));
        until_within(Duration::from_secs(120), "400 replicas", || {
            (daemon.seen("web", "ready")? == 400).then_some(())
        });
        assert_eq!(answering(&daemon), 400);
        let address = daemon.address_of("web");
        for number in 0..400 {
            let answer = ask(address, "GET", "/", None).unwrap();
            assert_eq!(answer.status, 200, "request {number}");
        }
        assert_eq!(daemon.log_count("WARN"), 0, "{}", daemon.log());
    }
}
