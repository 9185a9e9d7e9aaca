//! Zabbix's triggers move the count, at once and step by step; in doubt nothing moves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::follow;
use crate::outage::outage;
use crate::picture;
use crate::provision::{api_of, zabbix};
use crate::relay::Relay;
use crate::stack::{Stack, until};
use crate::stage::{Stage, published};
use crate::support::{Daemon, Place, Steady, flyball, free_port, run};

const SOON: Duration = Duration::from_secs(40);
/// What the mean is averaged over in this run.
const WINDOW_S: f64 = 5.0;

/// Seconds of silence that must move nothing: few here, two minutes where the environment asks for
/// long outages.
fn silence() -> Duration {
    outage().clamp(Duration::from_secs(5), Duration::from_secs(120))
}

/// A place whose flyball reports `services` to `trapper`; Zabbix is set up for that.
pub(crate) fn watched(stack: &Stack, trapper: &str, services: &str) -> Place {
    let place = Place::new();
    let (state, port) = (place.state(), free_port());
    let (api, token) = (api_of(stack), stack.path("admin"));
    place.write(
        "flyball.toml",
        &format!(
            "[flyball]\nlisten = \"127.0.0.1:{port}\"\nstate_dir = {state:?}\n\
             [zabbix]\ntrapper = {trapper:?}\napi = {api:?}\ntoken_file = {token:?}\n\
             interval = \"1s\"\nwebhook = \"http://127.0.0.1:{port}\"\n{services}"
        ),
    );
    let config = place.config().display().to_string();
    let output = run(&mut flyball(["zabbix", "provision", "-c", &config]));
    assert_eq!(output.code, Some(0), "{output:?}");
    place
}

/// Containers that are busy by a hundredth for each request in 20 s.
const CONTAINERS: &str = "min = 1\nmax = 4\ncpus = 0.2\nenv = { WORK_US = \"10000\" }\n\
    policy = { external = { window = \"5s\", cooldown = \"5s\" } }\n";

pub(crate) fn triggers_move_the_count_and_doubt_does_not(stack: &Stack) {
    let Some(stage) = Stage::set() else { return };
    let relay = Relay::to(stack.trapper_port);
    let services = stage.service("web", CONTAINERS);
    let place = watched(stack, &relay.address.to_string(), &services);
    labels_make_a_host_too(&stage, &place);
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 1);
    stage.until_served();
    let front = stage.front();

    // 20 % of one: neither high nor low.
    let load = Steady::start(front, 4);
    until("a mean", SOON, || reason(&daemon).contains("neither high nor low").then_some(()));
    follow::agrees(stack, &daemon, 1.0);
    until("a replica that is in the whole mean", SOON, || is_settled(&daemon).then_some(()));
    let from_s = daemon.service("web")["now_wall_ms"].as_f64().unwrap() / 1_000.0;
    load.finish();

    // 60 % of one: 30 % of two is still high, 20 % of three is not.
    let load = Steady::start(front, 12);
    until("three", SOON, || (daemon.seen("web", "ready") == Some(3)).then_some(()));
    the_first_step_follows_its_trigger(stack, &daemon);
    until("not high", SOON, || reason(&daemon).contains("neither high nor low").then_some(()));
    assert_eq!(changes(&daemon), [2, 3], "each step once, and none while a replica starts");
    follow::agrees(stack, &daemon, 3.0);
    load.finish();

    // 18 % of three: held.
    let load = Steady::start(front, 11);
    follow::settles_between(stack, "web", 15.5, 24.5);
    assert_eq!(changes(&daemon), [2, 3]);
    load.finish();

    // 5 % of three: fewer, down to one.
    let load = Steady::start(front, 3);
    // The journal has a decision half a second later.
    until("one", SOON, || (changes(&daemon) == [2, 3, 2, 1]).then_some(()));
    follow::kept_up(stack, from_s);
    webhook_was_called(stack);
    picture::of_the_dashboard(stack, "web");

    // Nothing arrives any more: the high load is not known over there, so nothing moves.
    relay.cut();
    load.finish();
    let load = Steady::lasting(front, 12, 300);
    until("doubt", SOON, || reason(&daemon).contains("none for").then_some(()));
    std::thread::sleep(silence());
    assert_eq!(changes(&daemon), [2, 3, 2, 1], "{}", reason(&daemon));
    assert!(daemon.log_count("cannot send to Zabbix") == 1, "{}", daemon.log());
    relay.mend();
    until("two", SOON, || changes(&daemon).get(4).copied());
    load.finish();
    let (_, log) = daemon.stop();
    assert!(log.contains("Zabbix is back"), "{log}");
}

/// A service that only a container's labels describe is reported as well, so it needs a host.
fn labels_make_a_host_too(stage: &Stage, place: &Place) {
    let labels = [
        ("flyball.service", "shop"),
        ("flyball.port", "8080"),
        ("flyball.balancer", "none"),
        ("flyball.policy", "external"),
    ];
    stage.wait(stage.lab.run("shop", &labels, published()));
    let output = zabbix(place, &["provision", "--dry-run"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stdout.starts_with("make   host shop\n") && !output.stdout.contains("web"),
        "{output:?}"
    );
    stage.remove("shop");
}

/// Whether the replica has been there for longer than flyball distrusts the mean after a start: the
/// window and 3 s. A step would wait for that, and not for Zabbix.
fn is_settled(daemon: &Daemon) -> bool {
    const STARTED_S: f64 = 1.0;
    let view = daemon.service("web");
    let asked_ms = view["replicas"][0]["asked_wall_ms"].as_f64().unwrap();
    let age_s = (view["now_wall_ms"].as_f64().unwrap() - asked_ms) / 1_000.0;
    age_s > WINDOW_S + 3.0 + STARTED_S
}

/// The explanation's line on the advice.
fn reason(daemon: &Daemon) -> String {
    let text = daemon.get("/api/v1/services/web/explain").json();
    let text = text["text"].as_str().unwrap_or_default().to_owned();
    text.lines().find(|line| line.contains("advice ")).unwrap_or_default().to_owned()
}

/// The decisions that moved the count, oldest first.
fn moves(daemon: &Daemon) -> Vec<Value> {
    let list = daemon.get("/api/v1/services/web/decisions?limit=500").json();
    let mut list: Vec<Value> = list.as_array().unwrap().clone();
    list.reverse();
    let moved = |d: &Value| {
        let seen = &d["decision"]["signals"];
        seen["engine_age_ms"].is_number() && d["decision"]["desired"] != seen["current"]
    };
    // The first one starts the floor.
    list.into_iter().filter(moved).filter(|d| d["decision"]["signals"]["current"] != 0).collect()
}

fn changes(daemon: &Daemon) -> Vec<u64> {
    let counts = moves(daemon);
    counts.iter().map(|d| d["decision"]["desired"].as_u64().unwrap()).collect()
}

/// The times from what was sent and from the mean to the first step, by Zabbix's clock and
/// flyball's, which are the same here.
fn the_first_step_follows_its_trigger(stack: &Stack, daemon: &Daemon) {
    let step_s = moves(daemon)[0]["decision"]["wall_ms"].as_f64().unwrap() / 1_000.0;
    let sent_s = stack.high_since("web", "flyball.cpu[web-1]", step_s);
    let mean_s = stack.high_since("web", "flyball.cpu.mean", step_s);
    let (sent, mean) = (step_s - sent_s, step_s - mean_s);
    println!(
        "to the step: {sent:.2} s from the first high value that was sent, {mean:.2} s from the \
         high mean; the window is {WINDOW_S} s"
    );
    assert!(sent <= WINDOW_S + 2.5, "{sent} s");
    assert!(mean <= 2.5, "{mean} s");
}

fn webhook_was_called(stack: &Stack) {
    let sent = until("alerts", SOON, || {
        let all = stack.api("alert.get", json!({ "output": ["status", "error"] }));
        let sent = all.as_array()?.iter().filter(|alert| alert["status"] == "1").count();
        (sent >= 2).then_some(sent)
    });
    println!("the webhook was called {sent} times");
}
