//! Zabbix's triggers move the count, at once and step by step; doubt moves nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::follow;
use crate::picture;
use crate::provision::api_of;
use crate::relay::Relay;
use crate::stack::{Stack, until};
use crate::support::{Daemon, FLYBALL, Place, Steady, flyball, free_port, run};

const SOON: Duration = Duration::from_secs(40);
/// What the mean is averaged over in this run.
const WINDOW_S: f64 = 5.0;

/// A service whose replicas are busy by a hundredth for each request in 5 s, one at a time.
pub(crate) fn watched(stack: &Stack, trapper: &str, policy: &str) -> Place {
    let place = Place::new();
    let (state, port) = (place.state(), free_port());
    let (api, token) = (api_of(stack), stack.path("admin"));
    place.write(
        "flyball.toml",
        &format!(
            "[flyball]\nlisten = \"127.0.0.1:{port}\"\nstate_dir = {state:?}\n\
             [zabbix]\ntrapper = {trapper:?}\napi = {api:?}\ntoken_file = {token:?}\n\
             interval = \"1s\"\nwebhook = \"http://127.0.0.1:{port}\"\n\
             [services.web]\nengine = \"process\"\nlisten = \"127.0.0.1:0\"\n\
             command = [{FLYBALL:?}, \"sample-service\", \"--port\", \"{{port}}\", \"--work-ms\", \
             \"10\", \"--share\", \"0.2\"]\nready = {{ http = \"/healthz\" }}\ncpus = 0.2\n\
             min = 1\nmax = 4\n{policy}\n"
        ),
    );
    let config = place.config().display().to_string();
    let said = run(&mut flyball(["zabbix", "provision", "-c", &config]));
    assert_eq!(said.code, Some(0), "{said:?}");
    place
}

pub(crate) fn triggers_move_the_count_and_doubt_does_not(stack: &Stack) {
    let relay = Relay::to(stack.trapper_port);
    let policy = "policy = { external = { window = \"5s\", cooldown = \"5s\" } }";
    let place = watched(stack, &relay.address.to_string(), policy);
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 1);
    let address = daemon.address_of("web");

    // 20 % of one: neither high nor low.
    let load = Steady::start(address, 4);
    until("a mean", SOON, || reason(&daemon).contains("neither high nor low").then_some(()));
    follow::agrees(stack, &daemon);
    load.finish();

    // 60 % of one: 30 % of two is still high, 20 % of three is not.
    let load = Steady::start(address, 12);
    until("three", SOON, || (daemon.seen("web", "ready") == Some(3)).then_some(()));
    every_step_follows_its_trigger(stack, &daemon);
    until("not high", SOON, || reason(&daemon).contains("neither high nor low").then_some(()));
    assert_eq!(changes(&daemon), [2, 3], "each step once, and none while a replica starts");
    load.finish();

    // 18 % of three: held.
    let load = Steady::start(address, 11);
    follow::settles_between(stack, "web", 15.5, 24.5);
    assert_eq!(changes(&daemon), [2, 3]);
    load.finish();

    // 5 % of three: fewer, down to one.
    let load = Steady::start(address, 3);
    until("one", SOON, || (daemon.seen("web", "ready") == Some(1)).then_some(()));
    assert_eq!(changes(&daemon), [2, 3, 2, 1]);
    webhook_was_called(stack);
    picture::of_the_dashboard(stack, "web");

    // Nothing arrives any more: the high load is not known over there, so nothing moves.
    relay.cut();
    load.finish();
    let load = Steady::start(address, 12);
    until("doubt", SOON, || reason(&daemon).contains("none for").then_some(()));
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(changes(&daemon), [2, 3, 2, 1], "{}", reason(&daemon));
    assert!(daemon.said("nothing gets through to Zabbix") == 1, "{}", daemon.log());
    relay.mend();
    until("two", SOON, || changes(&daemon).get(4).copied());
    load.finish();
    let (_, log) = daemon.stop();
    assert!(log.contains("Zabbix is back"), "{log}");
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
        let seen = &d["decision"]["seen"];
        seen["engine_age_ms"].is_number() && d["decision"]["desired"] != seen["current"]
    };
    // The first one starts the floor.
    list.into_iter().filter(moved).filter(|d| d["decision"]["seen"]["current"] != 0).collect()
}

fn changes(daemon: &Daemon) -> Vec<u64> {
    let counts = moves(daemon);
    counts.iter().map(|d| d["decision"]["desired"].as_u64().unwrap()).collect()
}

/// The time from a mean over the threshold to the first step, by Zabbix's clock and flyball's,
/// which are the same here.
fn every_step_follows_its_trigger(stack: &Stack, daemon: &Daemon) {
    let first = &moves(daemon)[0]["decision"];
    let wall_ms = first["wall_ms"].as_i64().unwrap();
    let step_s = first["wall_ms"].as_f64().unwrap() / 1_000.0;
    let item = stack.item("web", "flyball.cpu.mean");
    let ask = json!({
        "itemids": [item["itemid"]], "history": 0, "sortfield": "clock", "output": "extend",
        "time_from": wall_ms / 1_000 - 60,
    });
    let high = stack.api("history.get", ask);
    let at = |value: &Value| {
        let number = |key: &str| value[key].as_str().unwrap().parse::<f64>().unwrap();
        (number("value") >= 30.0).then(|| number("clock") + number("ns") / 1e9)
    };
    let high_s = high.as_array().unwrap().iter().find_map(at).unwrap();
    let took = step_s - high_s;
    println!("from a high mean in Zabbix to the step: {took:.2} s; the window is {WINDOW_S} s");
    assert!(took <= 2.5, "{took} s");
}

fn webhook_was_called(stack: &Stack) {
    let sent = until("alerts", SOON, || {
        let all = stack.api("alert.get", json!({ "output": ["status", "error"] }));
        let sent = all.as_array()?.iter().filter(|alert| alert["status"] == "1").count();
        (sent >= 2).then_some(sent)
    });
    println!("the webhook was called {sent} times");
}
