//! `flyball status`: all services in a table, or one with its replicas. A value that was not
//! measured is a dash, never 0.

use std::process::ExitCode;

use serde_json::Value;

use super::client::segment;
use crate::cli::Status;
use crate::failure::Failure;
use crate::output::{note, print, table};
use crate::plain::one_line;

pub(crate) async fn status(options: Status) -> Result<ExitCode, Failure> {
    let leadership = options.client.get("/api/v1/leader").await?;
    match &options.service {
        None => {
            let answer = options.client.get("/api/v1/services").await?;
            print_services(&items(&answer), options.client.json)?;
        }
        Some(name) => {
            let path = format!("/api/v1/services/{}", segment(name)?);
            let view = options.client.get(&path).await?;
            print_services(std::slice::from_ref(&view), options.client.json)?;
            if !options.client.json {
                print(&format!("\n{}", table(&replica_rows(&view))))?;
                if !list(&view, "nodes").is_empty() {
                    print(&format!("\n{}", table(&node_rows(&view))))?;
                }
            }
        }
    }
    if let Some(line) = leader_line(&leadership) {
        if options.client.json { note(&line) } else { print(&format!("\n{line}"))? }
    }
    Ok(ExitCode::SUCCESS)
}

/// Which of several flyballs is the leader: "this flyball is on standby; the leader is http://10.0.0.1:7878/ on a
/// (for 3 min 20 s)".
pub(super) fn leader_line(leadership: &Value) -> Option<String> {
    let on_standby = match leadership.get("role").and_then(Value::as_str)? {
        "leader" => false,
        "standby" => true,
        _ => return None,
    };
    let since = number(leadership, "since_wall_ms").zip(number(leadership, "now_wall_ms"));
    let lasts = since.map(|(since, now)| format!(" (for {})", age((now - since) / 1000.0)));
    let lasts = lasts.unwrap_or_default();
    let mut line = match leadership.get("leader").and_then(Value::as_str) {
        _ if !on_standby => {
            format!("this flyball is the leader, term {}{lasts}", word(leadership, "term"))
        }
        Some(leader) => format!("this flyball is on standby; the leader is {leader}{lasts}"),
        None => "this flyball is on standby; there is no leader".to_owned(),
    };
    if let Some(trouble) = leadership.get("trouble").and_then(Value::as_str) {
        line += &format!("; that may be out of date: {trouble}");
    }
    Some(one_line(&line).into_owned())
}

/// The services of a listing, whether it is a bare array or an object that holds one.
pub(super) fn items(answer: &Value) -> Vec<Value> {
    let list = answer.get("services").unwrap_or(answer);
    list.as_array().cloned().unwrap_or_default()
}

/// Prints services as JSON, one object per line, or as a table with their notices.
pub(super) fn print_services(views: &[Value], json: bool) -> Result<(), Failure> {
    if json {
        return views.iter().try_for_each(|view| print(&view.to_string()));
    }
    let head = [
        "SERVICE", "WANTED", "READY", "STARTING", "DRAINING", "CPU", "ARRIVALS", "ERRORS",
        "WAITING", "BOUNDS", "POLICY",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(row));
    print(&table(&rows))?;
    for view in views {
        for notice in list(view, "notices") {
            print(&format!("{}: {}", word(view, "name"), notice_line(view, notice)))?;
        }
    }
    Ok(())
}

/// "paused by cli (59 min left)": a notice, and since or until when it holds.
pub(super) fn notice_line(view: &Value, notice: &Value) -> String {
    let ms = |of: &Value, key: &str| number(of, key);
    let text = word(notice, "text");
    let Some(now_ms) = ms(view, "now_wall_ms") else { return text };
    let since = ms(notice, "since_wall_ms").map(|at| age((now_ms - at) / 1000.0));
    let left = ms(notice, "until_wall_ms").map(|at| age((at - now_ms) / 1000.0));
    match (since, left) {
        (Some(since), _) => format!("{text} (for {since})"),
        (None, Some(left)) => format!("{text} ({left} left)"),
        (None, None) => text,
    }
}

fn row(view: &Value) -> Vec<String> {
    let decision = view.get("decision").unwrap_or(&Value::Null);
    let signals = decision.get("signals").unwrap_or(&Value::Null);
    let bounds = view.get("bounds").unwrap_or(&Value::Null);
    let balanced = !signals.get("balancer_age_ms").unwrap_or(&Value::Null).is_null();
    vec![
        word(view, "name"),
        word(decision, "desired"),
        counted(view, "ready"),
        counted(view, "starting"),
        counted(view, "draining"),
        share(signals.get("mean_cpu")),
        per_second(number(signals, "arrivals_per_s")),
        per_second(errors_per_s(signals)),
        if balanced { word(signals, "waiting") } else { "-".to_owned() },
        format!("{}..{}", word(bounds, "min"), word(bounds, "max")),
        view.pointer("/policy/rule").and_then(Value::as_str).unwrap_or("-").to_owned(),
    ]
}

/// How many replicas are in `state`. While the engine does not answer: how many there were at its
/// last answer, with the age of that; a dash if it never answered.
pub(super) fn counted(view: &Value, state: &str) -> String {
    if let Some(last) = view.get("last_seen").filter(|last| last.is_object()) {
        let since = number(view, "now_wall_ms").zip(number(last, "wall_ms"));
        let ago = since.map(|(now, then)| format!(" ({} ago)", age((now - then) / 1000.0)));
        return format!("{}{}", word(last, state), ago.unwrap_or_default());
    }
    let signals = view.pointer("/decision/signals").unwrap_or(&Value::Null);
    let heard = signals.get("engine_age_ms").is_some_and(|age| !age.is_null());
    if heard { word(signals, state) } else { "-".to_owned() }
}

/// Failed requests per second over the last minute; `None` where no balancer counts them.
pub(super) fn errors_per_s(signals: &Value) -> Option<f64> {
    let minute = signals.get("last_minute")?;
    let window_s = number(minute, "window_ms")? / 1000.0;
    Some(number(minute, "failed")? / window_s.max(1.0))
}

pub(super) fn per_second(rate: Option<f64>) -> String {
    rate.map_or("-".to_owned(), |per_s| format!("{per_s:.1}/s"))
}

/// The replicas of a service, below a line that names the columns; with their nodes if there are
/// any, and with the reason why they are not ready if it is known.
pub(super) fn replica_rows(view: &Value) -> Vec<Vec<String>> {
    let now_ms = number(view, "now_wall_ms").unwrap_or(0.0);
    let with_node = !list(view, "nodes").is_empty();
    let with_reason = list(view, "replicas").iter().any(|r| r["reason"].is_string());
    let shown = |cells: [String; 8]| {
        let [id, state, age, cpu, in_flight, address, node, reason] = cells;
        let mut row = vec![id, state, age, cpu, in_flight, address];
        row.extend(with_node.then_some(node));
        row.extend(with_reason.then_some(reason));
        row
    };
    let head = ["REPLICA", "STATE", "AGE", "CPU", "IN FLIGHT", "ADDRESS", "NODE", "REASON"];
    let mut rows = vec![shown(head.map(str::to_owned))];
    rows.extend(list(view, "replicas").iter().map(|replica| {
        let asked_ms = number(replica, "asked_wall_ms").unwrap_or(now_ms);
        shown([
            word(replica, "id"),
            word(replica, "state"),
            age((now_ms - asked_ms) / 1000.0),
            share(replica.get("cpu")),
            word(replica, "in_flight"),
            word(replica, "address"),
            word(replica, "node"),
            replica["reason"].as_str().unwrap_or_default().to_owned(),
        ])
    }));
    rows
}

/// The machines that replicas are on, below a line that names the columns.
fn node_rows(view: &Value) -> Vec<Vec<String>> {
    let head = ["NODE", "REPLICAS", "STATE"].map(str::to_owned).to_vec();
    let rows = list(view, "nodes").iter().map(|node| {
        let state = match (node.get("up"), node.get("silence")) {
            (Some(Value::Bool(false)), _) => "unreachable",
            (_, None | Some(Value::Null)) => "up",
            _ => "up, no CPU usage",
        };
        let count = list(node, "replicas").len();
        vec![word(node, "name"), count.to_string(), state.to_owned()]
    });
    std::iter::once(head).chain(rows).collect()
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A time that has passed, in its two largest units: "3 min 20 s"; the future has age 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-int cast saturates, and NaN becomes 0"
)]
pub(super) fn age(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min {} s", s / 60, s % 60),
        s @ 3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

pub(super) fn share(value: Option<&Value>) -> String {
    let share = value.and_then(Value::as_f64);
    share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

pub(super) fn number(value: &Value, key: &str) -> Option<f64> {
    value.get(key).and_then(Value::as_f64)
}

/// A value as a word of one line; a dash where there is none.
pub(super) fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => one_line(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        let told = [-5.0, 59.9, 200.0, 7_300.0, 90_000.0].map(age);
        assert_eq!(told, ["0 s", "59 s", "3 min 20 s", "2 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn one_of_several_says_who_is_the_leader_and_since_when() {
        let leadership = json!({ "role": "standby", "leader": "http://10.0.0.1:7878/ on a",
            "term": 7, "since_wall_ms": 1_000, "now_wall_ms": 201_000, "trouble": null });
        let said =
            "this flyball is on standby; the leader is http://10.0.0.1:7878/ on a (for 3 min 20 s)";
        assert_eq!(leader_line(&leadership).as_deref(), Some(said));
        let nobody = json!({ "role": "standby", "leader": null, "trouble": "no servers" });
        let said =
            "this flyball is on standby; there is no leader; that may be out of date: no servers";
        assert_eq!(leader_line(&nobody).as_deref(), Some(said));
        assert_eq!(leader_line(&json!({ "role": "standalone" })), None);
    }

    #[test]
    fn replicas_have_a_node_only_where_there_are_several() {
        let replica = json!({ "id": "web.1.x", "state": "ready", "node": "n1" });
        let mut view = json!({ "replicas": [replica], "nodes": [] });
        let rows = replica_rows(&view);
        assert_eq!((rows[0].len(), rows[1].len()), (6, 6));
        let node = |name: &str, up, silence: Option<&str>| json!({ "name": name, "up": up, "silence": silence, "replicas": ["web.1.x"] });
        view["nodes"] = json!([
            node("n1", true, None),
            node("n2", false, None),
            node("n3", true, Some("mute"))
        ]);
        assert_eq!(replica_rows(&view)[1].last().unwrap(), "n1");
        let states: Vec<String> = node_rows(&view).into_iter().map(|row| row.join(" ")).collect();
        let wanted =
            ["NODE REPLICAS STATE", "n1 1 up", "n2 1 unreachable", "n3 1 up, no CPU usage"];
        assert_eq!(states, wanted);
    }

    #[test]
    fn while_the_engine_is_silent_what_was_seen_last_is_shown_with_its_age() {
        let mut view = json!({ "name": "web", "bounds": {}, "now_wall_ms": 90_000,
            "decision": { "desired": 2, "signals": { "ready": 0, "engine_age_ms": null } },
            "last_seen": { "wall_ms": 15_000, "ready": 2, "starting": 1, "draining": 0 } });
        let shown = ["2 (1 min 15 s ago)", "1 (1 min 15 s ago)", "0 (1 min 15 s ago)"];
        assert_eq!(row(&view)[2..5], shown);
        view["last_seen"] = Value::Null;
        assert_eq!(row(&view)[2..5], ["-"; 3], "it never spoke: missing is not zero");
    }

    #[test]
    fn words_of_others_make_no_lines_and_do_not_steer_the_terminal() {
        let evil = "a\n\x1b[2Jb";
        let view = json!({ "name": evil, "bounds": {}, "replicas": [{ "id": evil, "node": evil }],
            "nodes": [{ "name": evil, "replicas": [] }] });
        let notice = json!({ "text": evil });
        let rows = [vec![row(&view)], replica_rows(&view), node_rows(&view)].concat();
        let shown = format!("{}\n{}", table(&rows), notice_line(&view, &notice));
        assert_eq!(shown.lines().count(), rows.len() + 1, "{shown}");
        assert!(!shown.contains('\x1b'));
    }

    #[test]
    fn a_replica_that_is_not_ready_says_why() {
        let why = "GET /healthz at 127.0.0.1:41001 answers 404";
        let view = json!({ "now_wall_ms": 12_000, "nodes": [], "replicas": [
            { "id": "web-1", "state": "starting", "asked_wall_ms": 0, "reason": why },
            { "id": "web-2", "state": "ready", "asked_wall_ms": 0, "reason": null },
        ] });
        let rows = replica_rows(&view);
        assert_eq!(rows[0].last().unwrap(), "REASON");
        assert_eq!((rows[1][2].as_str(), rows[1].last().unwrap().as_str()), ("12 s", why));
        assert_eq!(rows[2].last().unwrap(), "");
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let cells = row(&json!({
            "name": "web", "bounds": { "min": 1, "max": 9 }, "policy": { "rule": "governor" },
            "decision": { "desired": 2, "signals": { "ready": 2, "starting": 0, "draining": 0,
                "engine_age_ms": 5, "mean_cpu": null, "arrivals_per_s": null, "waiting": 0, "balancer_age_ms": null } },
        }));
        assert_eq!(cells, ["web", "2", "2", "0", "0", "-", "-", "-", "-", "1..9", "governor"]);
    }
}
