//! A configuration that cannot be used is refused with one clear error, and nothing is begun.

use std::net::TcpListener;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{FLYBALL, Place, Ran, flyball, run, sample};

fn run_in(place: &Place) -> Ran {
    run(&mut flyball(["run", "-c", place.config().to_str().unwrap()]))
}

/// The errors of the file of `place`, which has no effect: no state, no data, no start.
fn refused(place: &Place) -> String {
    let output = run_in(place);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
    assert!(!place.state().exists(), "a state directory for a configuration that was refused");
    // The path of the program under test differs from build to build.
    place.plain(&output.stderr).replace(FLYBALL, "FLYBALL")
}

/// The errors of a service that would be valid without `more`.
fn refused_with(more: &str) -> String {
    refused(&Place::with(&sample("web", 1.0, 0.5, more)))
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    assert_snapshot!(refused_with("drian = \"3s\""), @r#"
    error: services.web.drian: unknown key
      --> PLACE/flyball.toml:9:1
    9 | drian = "3s"
      | ^^^^^
    hint: did you mean drain?
    "#);
}

#[test]
fn a_floor_above_the_ceiling_is_refused() {
    assert_snapshot!(refused_with("min = 5\nmax = 3"), @r"
    error: services.web.min: 5 is more than max = 3
      --> PLACE/flyball.toml:9:7
    9 | min = 5
      |       ^
    hint: raise max or lower min
    ");
}

#[test]
fn a_replica_without_any_cpu_is_refused() {
    let place = Place::with(&sample("web", 1.0, 0.5, "").replace("cpus = 0.5", "cpus = 0"));
    assert_snapshot!(refused(&place), @r"
    error: services.web.cpus: 0 is out of range
      --> PLACE/flyball.toml:11:8
    11 | cpus = 0
       |        ^
    hint: the value must be above 0
    ");
}

#[test]
fn a_percent_has_one_meaning_and_one_spelling() {
    let step = |out_at: &str| format!("policy = {{ step = {{ out_at = {out_at} }} }}");
    assert_snapshot!(refused_with(&step("30")), @r#"
    error: services.web.policy.step.out_at: 30 is not a share
      --> PLACE/flyball.toml:9:30
    9 | policy = { step = { out_at = 30 } }
      |                              ^^
    hint: a share is written with a percent sign: "30%"
    "#);
    assert_snapshot!(refused_with(&step("\"30\"")), @r#"
    error: services.web.policy.step.out_at: "30" is not a share
      --> PLACE/flyball.toml:9:30
    9 | policy = { step = { out_at = "30" } }
      |                              ^^^^
    hint: a share is written with a percent sign: "30%"
    "#);
    let place = Place::with(&sample("web", 1.0, 0.5, &step("\"30%\"")));
    let output = run(&mut flyball(["check", "-c", place.config().to_str().unwrap()]));
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn a_file_that_is_not_there_is_answered_with_the_smallest_that_works() {
    assert_snapshot!(refused(&Place::new()), @r#"
    error: there is no such file
      --> PLACE/flyball.toml
    hint: name the file with -c, or write one like this:
    [services.web]
    engine = "process"
    listen = "127.0.0.1:8080"
    command = ["./server", "--port", "{port}"]
    "#);
}

#[test]
fn a_file_that_is_not_text_is_refused_with_the_place_of_the_first_wrong_byte() {
    let place = Place::new();
    std::fs::write(place.config(), b"[flyball]\n# na\xefve\n").unwrap();
    assert_snapshot!(refused(&place), @r"
    error: byte 0xef at offset 14, in line 2, is not UTF-8
      --> PLACE/flyball.toml
    hint: save the file as UTF-8
    ");
}

/// The errors of `place`, which comes as far as its state directory but starts nothing.
fn not_started(place: &Place) -> String {
    let output = run_in(place);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
    assert!(place.replicas().is_empty());
    place.plain(&output.stderr)
}

#[test]
fn a_command_that_is_not_there_is_reported_before_anything_starts() {
    let missing = |program: &str| {
        let good = sample("first", 1.0, 0.5, "");
        let bad = sample("web", 1.0, 0.5, "").replace(FLYBALL, program);
        not_started(&Place::with(&(good + &bad)))
    };
    assert_snapshot!(missing("no-such-program"), @r"
    error: service web: command not found: no-such-program
    hint: it is not in PATH; write its full path
    ");
    assert_snapshot!(missing("./no-such-program"), @r"
    error: service web: command not found: ./no-such-program
    hint: the path is taken relative to the service's directory
    ");
}

#[test]
fn a_port_in_use_is_reported_with_the_service_that_wants_it() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let good = sample("first", 1.0, 0.5, "");
    let bad = sample("web", 1.0, 0.5, &format!("listen = \"127.0.0.1:{port}\""));
    let errors = not_started(&Place::with(&(good + &bad))).replace(&port.to_string(), "PORT");
    assert_snapshot!(errors, @r"
    error: service web: cannot listen on 127.0.0.1:PORT: Address already in use (os error 98)
    hint: another program has port PORT; stop it, or choose another port (0 takes any free one)
    ");
}

#[test]
fn a_port_of_the_page_in_use_is_reported_and_the_next_one_proposed() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = Place::new();
    let state = place.state();
    let service = sample("web", 1.0, 0.5, "");
    let text =
        format!("[flyball]\nlisten = \"127.0.0.1:{port}\"\nstate_dir = {state:?}\n{service}");
    place.write("flyball.toml", &text);
    let errors = not_started(&place).replace(&(port + 1).to_string(), "NEXT");
    assert_snapshot!(errors.replace(&port.to_string(), "PORT"), @r#"
    error: cannot listen on 127.0.0.1:PORT: Address already in use (os error 98)
    hint: is another flyball running? ask it: `curl http://127.0.0.1:PORT/healthz`; or use another port: listen = "127.0.0.1:NEXT"
    "#);
    drop(taken);
    let daemon = crate::support::Daemon::start(&place);
    daemon.until_settled("web", 1);
}

#[test]
fn check_looks_at_everything_a_configuration_names_and_changes_nothing() {
    let place = Place::with(&sample("web", 1.0, 0.5, ""));
    let config = place.config();
    let output = run(&mut flyball(["check", "-c", config.to_str().unwrap()]));
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    // How many there are differs from machine to machine.
    let numbers = |line: &str| match line.split_once("descriptors: at most ") {
        Some((before, rest)) => {
            let rest = rest.split_once(": ").unwrap().1.split_once(", ").unwrap();
            let proxy = rest.1.split_once(' ').unwrap().1;
            format!("{before}descriptors: at most LIMIT: {}, PROXY {proxy}\n", rest.0)
        }
        None if line.contains("proxy.connections: ") => {
            "ok    proxy.connections: SOME\n".to_owned()
        }
        None => format!("{line}\n"),
    };
    let shown: String = output.stdout.lines().map(numbers).collect();
    assert_snapshot!(place.plain(&shown).replace(FLYBALL, "FLYBALL"), @r"
    ok    flyball.listen: 127.0.0.1:0 is free
    ok    flyball.state_dir: PLACE/state can be written to
    warn  flyball.token_file: no token_file is set: every user of this machine can scale and pause services at 127.0.0.1:0, and so can anyone who reaches it through a proxy that does not identify itself (X-Forwarded-For)
          hint: set it if others have accounts on this machine, or if a proxy is in front
    ok    descriptors: at most LIMIT: 512 connections for the API, PROXY for all proxies together
    ok    proxy.connections: SOME
    ok    services.web.command: FLYBALL
    ok    services.web.listen: 127.0.0.1:0 is free
    ok    services.web.ready: a replica is ready once GET /healthz is answered with a status below 400; it is probed again every 5s, and replaced when it has been sick for 30s
    ");
    place.configure(&sample("web", 1.0, 0.5, "").replace(FLYBALL, "no-such-program"));
    let output = run(&mut flyball(["check", "--json", "-c", config.to_str().unwrap()]));
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""));
    let findings: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wrong: Vec<&Value> = findings.iter().filter(|finding| finding["ok"] == false).collect();
    assert_eq!((findings.len(), wrong.len()), (8, 1), "{findings:?}");
    assert_eq!(wrong[0]["key"], "services.web.command");
    assert!(wrong[0]["hint"].is_string());
    assert!(!place.state().exists());
}

#[test]
fn check_finds_a_command_that_does_not_name_its_port() {
    let about_port = |port: &str| {
        let place = Place::with(&sample("web", 1.0, 0.5, "").replace("{port}", port));
        let output = run(&mut flyball(["check", "-c", place.config().to_str().unwrap()]));
        let out = output.stdout.replace(FLYBALL, "FLYBALL");
        let about: Vec<&str> =
            out.lines().skip_while(|line| !line.contains("the command")).take(2).collect();
        (output.code, about.join("\n"))
    };
    let (code, text) = about_port("{prt}");
    assert_eq!(code, Some(1));
    assert_snapshot!(text, @r"
    wrong services.web.command: the command contains {prt}, which is not replaced with the port
          hint: write {port}
    ");
    let (code, text) = about_port("${PORT}");
    assert_eq!(code, Some(1));
    assert_snapshot!(text, @r"
    wrong services.web.command: the command contains ${PORT}, which no shell replaces with the port
          hint: write {port}, or run it with sh -c
    ");
    // The program may read the variable PORT: this is worth a hint and no mistake for certain.
    let (code, text) = about_port("8080");
    assert_eq!(code, Some(0));
    assert_snapshot!(text, @r"
    warn  services.web.command: the command does not contain the port of a replica
          hint: write {port} where the program takes its port, unless it reads the variable PORT
    ");
}

#[test]
fn check_reports_to_a_program_what_is_wrong_with_the_text_too() {
    let place = Place::with(&sample("web", 1.0, 0.5, "drian = \"3s\""));
    let output = run(&mut flyball(["check", "--json", "-c", place.config().to_str().unwrap()]));
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""), "{output:?}");
    let finding: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(finding["ok"], false);
    assert!(finding["text"].as_str().unwrap().contains("drian"), "{finding}");
}
