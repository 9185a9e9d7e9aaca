//! Nothing fails in silence: every failure is shown with its cause, wherever a user looks.

use serde_json::Value;

use crate::support::{Daemon, Place, Steady, answering, flyball, run, sample, until};

/// Services that never get well, each in its own way.
pub(crate) fn troubled(place: &Place) {
    let never = answering("web", 404, "ready = { http = \"/healthz\" }\nstart_limit = \"1m\"");
    let fails = answering("shop", 503, "ready = { tcp = true }");
    let away = "[services.api]\nengine = \"docker\"\nimage = \"x:1\"\nport = 80\nbalancer = \"none\"\nmin = 2";
    let asleep = sample("night", 1.0, 0.5, "min = 0\nmax = 4");
    let full = sample("full", 5.0, 0.05, "max = 2");
    let nowhere = format!("unix://{}", place.path().join("none.sock").display());
    place.configure(&format!(
        "[docker]\nhost = {nowhere:?}\nlabels = false\n{never}{fails}{away}\n{asleep}{full}"
    ));
}

/// A service's notices, in words.
pub(crate) fn notices(daemon: &Daemon, service: &str) -> Vec<String> {
    let view = daemon.service(service);
    let all = view["notices"].as_array().into_iter().flatten();
    all.filter_map(|notice| notice["text"].as_str().map(str::to_owned)).collect()
}

/// Waits for the notice of `service` that begins like this, its only one.
#[track_caller]
pub(crate) fn until_notice(daemon: &Daemon, service: &str, begins: &str) -> String {
    until(&format!("{begins} of {service}, not {:?}", notices(daemon, service)), || {
        let all = notices(daemon, service);
        (all.len() == 1 && all[0].starts_with(begins)).then(|| all[0].clone())
    })
}

fn stdout_of(daemon: &Daemon, words: &[&str]) -> String {
    run(flyball(words).args(["--daemon", &daemon.api.to_string()])).stdout
}

#[test]
fn each_problem_is_shown_with_its_cause_by_status_explain_log_and_metrics() {
    let place = Place::new();
    troubled(&place);
    let daemon = Daemon::start(&place);
    until("a shop", || (daemon.seen("shop", "ready") == Some(1)).then_some(()));
    let load = Steady::start(daemon.address_of("shop"), 20);
    never_ready(&daemon);
    failing(&daemon);
    let docker =
        until_notice(&daemon, "api", "blind, so nothing is started or removed: docker is not");
    assert!(docker.contains("none.sock"), "{docker}");
    asleep(&daemon);
    load.finish();
    let log = daemon.log();
    let loud = log.lines().filter(|line| line.contains("WARN")).count();
    assert!(loud <= 4, "{log}");
    daemon.stop();
}

fn never_ready(daemon: &Daemon) {
    let notice = until_notice(daemon, "web", "web-1 is not ready: GET /healthz at 127.0.0.1:");
    assert!(notice.ends_with(" answers 404"), "{notice}");
    let status = stdout_of(daemon, &["status", "web"]);
    let row = status.lines().find(|line| line.starts_with("web-1 ")).unwrap();
    assert!(row.contains("starting") && row.ends_with(" answers 404"), "{status}");
    assert!(status.contains(&format!("web: {notice} (for ")), "{status}");
    let explained = stdout_of(daemon, &["explain", "web"]);
    let line = explained.lines().find(|line| line.starts_with("  starting ")).unwrap();
    assert!(line.contains(" web-1 for ") && line.ends_with(" answers 404"), "{explained}");
    until("a line in the log", || {
        (daemon.log_count(&format!("WARN web: {notice}")) == 1).then_some(())
    });
}

fn failing(daemon: &Daemon) {
    let failed = |text: &str| text.contains("failed (100 %): answered with an error by a replica");
    let notice = until("the failing requests", || {
        notices(daemon, "shop").into_iter().find(|text| failed(text))
    });
    let status = stdout_of(daemon, &["status"]);
    let column = |name: &str| {
        let head = status.lines().next().unwrap().find(name).unwrap();
        let row = status.lines().find(|line| line.starts_with("shop ")).unwrap();
        row[head..].split_whitespace().next().unwrap().to_owned()
    };
    assert!(column("ERRORS").ends_with("/s") && column("ERRORS") != "0.0/s", "{status}");
    assert!(status.contains("shop: ") && status.contains("requests in the last"), "{status}");
    let minute = &daemon.service("shop")["decision"]["signals"]["last_minute"];
    assert!(minute["by_replicas"].as_f64() > Some(0.0), "{minute}");
    let metrics = daemon.get("/metrics").body;
    let value = |line: &str| {
        let found = metrics.lines().find_map(|own| own.strip_prefix(line)).unwrap();
        found.trim().parse::<f64>().unwrap()
    };
    assert!(value("flyball_requests_failed_total{service=\"shop\",by=\"replica\"}") > 0.0);
    assert!(value("flyball_notice{service=\"shop\",kind=\"failing\"}") > 0.0, "{notice}");
    assert!(value("flyball_notice{service=\"web\",kind=\"not_ready\"}") > 0.0);
    let explained = stdout_of(daemon, &["explain", "shop"]);
    assert!(explained.contains("\n  requests    "), "{explained}");
}

fn asleep(daemon: &Daemon) {
    let view = until("sleep", || {
        let view = daemon.service("night");
        (view["summary"] == "asleep until the next request").then_some(view)
    });
    let why = view["why"].as_str().unwrap();
    assert!(why.starts_with("asleep: for "), "{why}");
    assert!(why.ends_with("no requests are waiting; the next one starts a replica"), "{why}");
    assert_eq!(
        (&view["sleep"]["asleep"], &view["sleep"]["after_ms"]),
        (&true.into(), &600_000.into())
    );
    assert!(view["sleep"]["since_wall_ms"].is_i64() && view["sleep"]["woken_by"].is_null());
    assert!(daemon.get("/metrics").body.contains("flyball_asleep{service=\"night\"} 1"));
    assert_eq!(view["notices"], Value::Array(Vec::new()));
    let explained = stdout_of(daemon, &["explain", "night"]);
    assert!(explained.contains("\n  asleep "), "{explained}");
}
