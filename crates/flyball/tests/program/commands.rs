//! The command line against a running daemon, and against none.

use std::collections::BTreeSet;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Daemon, Place, Ran, flyball, free_port, run, sample, until};

/// A daemon with a service that gets no requests.
fn quiet() -> (Place, Daemon) {
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 2\nmax = 6"));
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 2);
    (place, daemon)
}

/// Asks `daemon` by the command line.
#[track_caller]
fn succeed(daemon: &Daemon, words: &[&str]) -> Ran {
    let output = run(flyball(words).args(["--daemon", &daemon.api.to_string()]));
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{words:?}: {output:?}");
    output
}

/// The answer of a command in JSON.
#[track_caller]
fn json(daemon: &Daemon, words: &[&str]) -> Value {
    let output = succeed(daemon, &[words, &["--json"]].concat());
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn status_is_a_table_and_a_dash_where_nothing_was_measured() {
    let (_place, daemon) = quiet();
    let output = succeed(&daemon, &["status"]);
    let mut lines = output.stdout.lines();
    let columns = lines.next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(columns[..5], ["SERVICE", "WANTED", "READY", "STARTING", "DRAINING"]);
    let cells = lines.next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(cells[..5], ["web", "2", "2", "0", "0"]);
    assert_eq!(cells[cells.len() - 2..], ["2..6", "governor"]);
    let view = json(&daemon, &["status"]);
    assert_eq!((&view["name"], &view["decision"]["desired"]), (&"web".into(), &2.into()));
}

#[test]
fn the_url_that_the_log_shows_selects_the_daemon() {
    let (_place, daemon) = quiet();
    for url in [format!("http://{}", daemon.api), format!("http://{}/", daemon.api)] {
        let ran = run(flyball(["status"]).args(["--daemon", &url]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("web") && ran.stdout.contains("2..6"), "{ran:?}");
    }
}

#[test]
fn status_of_one_service_lists_its_replicas() {
    let (_place, daemon) = quiet();
    let output = succeed(&daemon, &["status", "web"]);
    for replica in ["web-1", "web-2"] {
        let line = output.stdout.lines().find(|line| line.starts_with(replica)).unwrap();
        assert!(line.contains("ready") && line.contains("127.0.0.1:"), "{line}");
    }
    let view = json(&daemon, &["status", "web"]);
    assert_eq!(view["replicas"].as_array().unwrap().len(), 2);
}

#[test]
fn explain_shows_why_now_and_why_then() {
    let (_place, daemon) = quiet();
    let now = succeed(&daemon, &["explain", "web"]);
    let (when, text) = now.stdout.split_once('\n').unwrap();
    assert!(when.starts_with("decided at ") && when.ends_with(" ago"), "{when}");
    assert!(text.starts_with("web stays at 2"), "{text}");
    for part in ["  seen        2 ready", "  plan        "] {
        assert!(now.stdout.contains(part), "{part}: {}", now.stdout);
    }
    let now = json(&daemon, &["explain", "web"]);
    let wall_ms = now["decision"]["wall_ms"].as_i64().unwrap();
    until("a decision in the journal", || {
        let path = format!("/api/v1/services/web/explain?at={wall_ms}");
        (daemon.get(&path).status == 200).then_some(())
    });
    let then = json(&daemon, &["explain", "web", "--at", "0s"]);
    assert!(then["decision"]["wall_ms"].as_i64().unwrap() > 0, "{then}");
    let long_ago =
        run(&mut flyball(["explain", "web", "--at", "30d", "--daemon", &daemon.api.to_string()]));
    assert_eq!(long_ago.code, Some(2));
    assert!(
        long_ago.stderr.starts_with("error: \"web\" has no decision at or before"),
        "{long_ago:?}"
    );
}

#[test]
fn scale_overrides_the_count_for_a_time_and_resume_gives_it_back() {
    let (_place, daemon) = quiet();
    succeed(&daemon, &["scale", "web", "+1"]);
    daemon.until_settled("web", 3);
    succeed(&daemon, &["scale", "web", "-1"]);
    daemon.until_settled("web", 2);
    let view = json(&daemon, &["scale", "web", "4", "--for", "10m"]);
    assert_eq!(view["manual"]["by"], "cli", "{}", view["manual"]);
    let lasts_ms =
        view["manual"]["until_wall_ms"].as_i64().unwrap() - view["now_wall_ms"].as_i64().unwrap();
    assert!((590_000..=600_000).contains(&lasts_ms), "{lasts_ms}");
    daemon.until_settled("web", 4);
    let status = succeed(&daemon, &["status"]);
    assert!(status.stdout.contains("web: pinned at 4 by cli"), "{}", status.stdout);
    let view = json(&daemon, &["resume", "web"]);
    assert_eq!(view["manual"], Value::Null);
}

#[test]
fn a_manual_override_ends_by_itself() {
    let (_place, daemon) = quiet();
    succeed(&daemon, &["scale", "web", "3", "--for", "300ms"]);
    until("its end", || daemon.service("web")["manual"].is_null().then_some(()));
}

#[test]
fn pause_keeps_the_count_and_shows_it_until_resume() {
    let (_place, daemon) = quiet();
    let view = json(&daemon, &["pause", "web", "--for", "1h"]);
    assert_eq!(view["manual"]["ask"], "pause", "{view}");
    let status = succeed(&daemon, &["status", "web"]);
    assert!(status.stdout.contains("web: paused by cli"), "{}", status.stdout);
    succeed(&daemon, &["resume", "web"]);
    assert_eq!(daemon.service("web")["manual"], Value::Null);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let (_place, daemon) = quiet();
    let refused = |words: &[&str]| {
        let output = run(flyball(words).args(["--daemon", &daemon.api.to_string()]));
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{words:?}: {output:?}");
        output.stderr
    };
    assert_snapshot!(refused(&["scale", "web", "9"]), @r#"
    error: 9 replicas are outside the bounds 2..6 of "web"
    hint: min and max are in the daemon's configuration
    "#);
    assert_snapshot!(refused(&["scale", "web", "-5"]), @r#"
    error: -3 replicas are outside the bounds 2..6 of "web"
    hint: min and max are in the daemon's configuration
    "#);
    assert_snapshot!(refused(&["scale", "web", "many"]), @r#"
    error: "many" is not a number of replicas
    hint: write 5 for five replicas, +1 for one more, -1 for one fewer
    "#);
    assert_snapshot!(refused(&["scale", "web", "3", "--for", "soon"]), @r#"
    error: "soon" is not a duration
    "#);
    assert_snapshot!(refused(&["status", "wbe"]), @r#"
    error: there is no service "wbe"
    hint: `flyball status` lists the services
    "#);
    assert_snapshot!(refused(&["explain", "web", "--at", "soon"]), @r#"
    error: "soon" is not a time
    hint: write 2026-11-23T14:02:10Z, 14:02, or an age such as 10m
    "#);
    daemon.until_settled("web", 2);
}

#[test]
fn without_a_daemon_every_command_prints_how_to_start_one() {
    let unused = format!("127.0.0.1:{}", free_port());
    let mut messages = BTreeSet::new();
    for words in [
        &["status"][..],
        &["explain", "web"],
        &["scale", "web", "+1"],
        &["pause", "web"],
        &["resume", "web", "--json"],
    ] {
        let output = run(flyball(words).args(["--daemon", &unused]));
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        messages.insert(output.stderr.replace(&unused, "ADDRESS"));
    }
    assert_snapshot!(messages.into_iter().collect::<String>(), @r"
    error: cannot reach flyball at ADDRESS: Connection refused (os error 111)
    hint: is it running? `flyball run` starts it; --daemon HOST:PORT selects another one
    ");
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let (_place, daemon) = quiet();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = flyball(["status", "web", "--daemon", &daemon.api.to_string()]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&mut flyball(["completions", shell]));
        assert_eq!(output.code, Some(0), "{output:?}");
        for command in ["demo", "explain", "scale", "top"] {
            assert!(output.stdout.contains(command), "{shell} knows {command}");
        }
        assert!(!output.stdout.contains("watchdog"), "{shell} names no hidden command");
    }
    let main = run(&mut flyball(["man"]));
    assert!(main.stdout.starts_with(".ie") || main.stdout.contains(".TH flyball 1"), "{main:?}");
    let place = Place::new();
    let pages = place.path().join("man");
    let output = run(&mut flyball(["man", pages.to_str().unwrap()]));
    assert_eq!(output.code, Some(0), "{output:?}");
    let explain = std::fs::read_to_string(pages.join("flyball-explain.1")).unwrap();
    assert!(explain.contains("--at") || explain.contains("\\-\\-at"), "{explain}");
    assert!(!pages.join("flyball-watchdog.1").exists());
}

#[test]
fn top_without_a_terminal_names_what_to_use_instead() {
    let output = run(&mut flyball(["top"]));
    assert_eq!(output.code, Some(2));
    assert!(
        output.stderr.contains("not a terminal") && output.stderr.contains("flyball status"),
        "{output:?}"
    );
}
