//! A HAProxy that refuses, and what the whole program reports about it.

use crate::support::{Daemon, Haproxy, Place, Ran, flyball, free_port, run, sample, until};

fn place(more: &str) -> Place {
    let place = Place::new();
    let socket = Haproxy::socket(&place);
    let web = sample("web", 1.0, 0.5, &format!("balancer = \"haproxy\"\nmin = 2\n{more}"));
    place.configure(&format!("[haproxy]\nsocket = {socket:?}\n{web}"));
    place
}

fn check(place: &Place) -> Ran {
    run(&mut flyball(["check", "-c", place.config().to_str().unwrap()]))
}

#[test]
fn a_balancer_that_takes_no_servers_is_a_notice_a_metric_and_a_failed_check() {
    let place = place("");
    let Some(_haproxy) = Haproxy::start(&place, "  balance source\n") else { return };
    let output = check(&place);
    assert_eq!(output.code, Some(1), "{output:?}");
    let line = "wrong services.web.haproxy: backend `web` does not accept servers at run time";
    assert!(output.stdout.contains(line), "{}", output.stdout);
    let daemon = Daemon::start(&place);
    let notice = until("the notice", || {
        let view = daemon.service("web");
        let notices = view["notices"].as_array()?.clone();
        notices.into_iter().find(|notice| notice["kind"] == "trouble")
    });
    let text = notice["text"].as_str().unwrap();
    assert!(
        text.contains("does not accept servers at run time") && text.contains("balance"),
        "{text}"
    );
    let metrics = daemon.get("/metrics").body;
    let trouble = metrics.lines().find(|line| {
        line.starts_with("flyball_notice{") && line.contains("\"trouble\"") && line.contains("web")
    });
    assert!(
        trouble.is_some_and(|line| line.ends_with(" 1") || line.ends_with(" 1.0")),
        "{metrics}"
    );
    assert_eq!(
        daemon.log_count("does not accept servers at run time"),
        1,
        "logged once:\n{}",
        daemon.log()
    );
}

#[test]
fn what_needs_something_done_is_not_ok_and_fails_no_check() {
    let place = place("");
    let Some(_haproxy) = Haproxy::start(&place, "  balance roundrobin\n") else { return };
    let output = check(&place);
    assert_eq!(output.code, Some(0), "{output:?}");
    for line in [
        "warn  services.web.haproxy: backend `web` uses `balance roundrobin`, which ignores",
        "hint: in `backend web`, instead of `balance`: balance leastconn",
        "warn  services.web.haproxy: `backend web` may lose requests when a server ends",
        "warn  services.web.haproxy: reloading HAProxy may cut off requests on keep-alive \
         connections",
        "ok    services.web.haproxy: backend `web` accepts servers with: weight 100 check inter 2s",
    ] {
        assert!(output.stdout.contains(line), "{line}:\n{}", output.stdout);
    }
    for (mark, hint) in output.stdout.lines().zip(output.stdout.lines().skip(1)) {
        assert!(!mark.starts_with("ok ") || !hint.trim_start().starts_with("hint:"), "{mark}");
    }
}

#[test]
fn options_that_haproxy_would_not_take_are_refused_by_word() {
    for (options, part) in [
        ("ssl verify none; show info", "`none;` cannot be a server option"),
        ("cookie a", "`cookie` cannot be a server option"),
        ("teleport", "`teleport` cannot be a server option"),
    ] {
        let place = place(&format!("haproxy = {{ options = {options:?} }}"));
        let output = check(&place);
        assert!(output.code == Some(1) && output.stdout.contains(part), "{options}: {output:?}");
    }
}

#[test]
fn a_check_beside_the_flyball_that_runs_is_not_put_off_by_its_ports() {
    let place = Place::new();
    let (api, proxy) = (free_port(), free_port());
    let web = sample("web", 1.0, 0.5, &format!("listen = \"127.0.0.1:{proxy}\""));
    let state = place.state();
    let daemon = format!("[flyball]\nlisten = \"127.0.0.1:{api}\"\nstate_dir = {state:?}\n{web}");
    place.write("flyball.toml", &daemon);
    let before = check(&place);
    assert!(before.code == Some(0) && before.stdout.contains("is free"), "{before:?}");
    let daemon = Daemon::start(&place);
    // A process that is being started holds flyball's sockets until its program runs.
    daemon.until_settled("web", 1);
    let output = check(&place);
    assert_eq!(output.code, Some(0), "{output:?}");
    for port in [api, proxy] {
        let line = format!("127.0.0.1:{port} is in use by the running flyball");
        assert!(output.stdout.contains(&line), "{}", output.stdout);
    }
    drop(daemon);
    let other = std::net::TcpListener::bind(("127.0.0.1", proxy)).unwrap();
    let output = check(&place);
    assert!(
        output.code == Some(1) && output.stdout.contains("another program uses it"),
        "{output:?}"
    );
    drop(other);
}
