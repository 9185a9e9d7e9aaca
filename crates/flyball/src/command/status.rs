//! `flyball status`: all services in a table, or one with its replicas. A value that was not
//! measured is a dash, never 0.

use std::process::ExitCode;

use flyball_core::rollout::{Rollout, RolloutState};
use flyball_core::signals::Signals;
use flyball_core::units::seconds;
use flyball_web::{LeaderStatus, Notice, Role, Service, ServiceView};
use serde_json::Value;

use super::client::segment;
use crate::cli::{Client, Status};
use crate::failure::Failure;
use crate::output::{note, print, table};
use crate::plain::one_line;

pub(crate) async fn status(options: Status) -> Result<ExitCode, Failure> {
    let client = &options.client;
    let leadership: LeaderStatus = client.get("/api/v1/leader").await?;
    match &options.service {
        None => print_all(client).await?,
        Some(name) => print_one(client, name).await?,
    }
    if let Some(line) = leader_line(&leadership) {
        if client.json { note(&line) } else { print(&format!("\n{line}"))? }
    }
    Ok(ExitCode::SUCCESS)
}

async fn print_all(client: &Client) -> Result<(), Failure> {
    const PATH: &str = "/api/v1/services";
    if client.json {
        let all: Vec<Value> = client.get(PATH).await?;
        return all.iter().try_for_each(|service| print(&service.to_string()));
    }
    print_services(&client.get::<Vec<Service>>(PATH).await?)
}

async fn print_one(client: &Client, name: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/services/{}", segment(name)?);
    if client.json {
        return print(&client.get::<Value>(&path).await?.to_string());
    }
    let service: Service = client.get(&path).await?;
    print_services(std::slice::from_ref(&service))?;
    print(&format!("\n{}", table(&replica_rows(&service.view))))?;
    if !service.view.generations.is_empty() {
        print(&format!("\n{}", table(&generation_rows(&service.view))))?;
    }
    if service.view.nodes.is_empty() {
        return Ok(());
    }
    print(&format!("\n{}", table(&node_rows(&service.view))))
}

/// Which of several flyballs is the leader: "this flyball is on standby; the leader is http://10.0.0.1:7878/ on a
/// (for 3 min 20 s)".
pub(super) fn leader_line(leadership: &LeaderStatus) -> Option<String> {
    let since = leadership.since_wall_ms;
    let lasts = since.map(|since| format!(" (for {})", age(leadership.now_wall_ms - since)));
    let lasts = lasts.unwrap_or_default();
    let mut line = match (leadership.role, &leadership.leader) {
        (Role::Standalone, _) => return None,
        (Role::Leader, _) => {
            format!("this flyball is the leader, term {}{lasts}", or_dash(leadership.term))
        }
        (Role::Standby, Some(leader)) => {
            format!("this flyball is on standby; the leader is {leader}{lasts}")
        }
        (Role::Standby, None) => "this flyball is on standby; there is no leader".to_owned(),
    };
    if let Some(trouble) = &leadership.trouble {
        line += &format!("; that may be out of date: {trouble}");
    }
    Some(one_line(&line).into_owned())
}

/// Prints services as a table with their notices.
pub(super) fn print_services(services: &[Service]) -> Result<(), Failure> {
    let head = [
        "SERVICE", "WANTED", "READY", "STARTING", "DRAINING", "CPU", "ARRIVALS", "ERRORS",
        "WAITING", "BOUNDS", "POLICY",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(services.iter().map(|service| row(&service.view)));
    print(&table(&rows))?;
    for Service { view, sleep, .. } in services {
        if let Some(sleep) = sleep.as_ref().filter(|sleep| sleep.asleep) {
            print(&format!("{}: asleep {}", one_line(&view.name), one_line(&sleep.text)))?;
        }
        if let Some(held) = &view.held {
            let waited = age(view.now_wall_ms - held.since_wall_ms);
            let (name, count) = (one_line(&view.name), held.requests);
            print(&format!("{name}: {count} waiting for a replica (for {waited})"))?;
        }
        for notice in &view.notices {
            print(&format!("{}: {}", one_line(&view.name), notice_line(view, notice)))?;
        }
    }
    Ok(())
}

/// "paused by cli (59 min left)": a notice, and since or until when it holds.
pub(super) fn notice_line(view: &ServiceView, notice: &Notice) -> String {
    let text = one_line(&notice.text);
    let since = notice.since_wall_ms.map(|at| age(view.now_wall_ms - at));
    let left = notice.until_wall_ms.map(|at| age(at - view.now_wall_ms));
    match (since, left) {
        (Some(since), _) => format!("{text} (for {since})"),
        (None, Some(left)) => format!("{text} ({left} left)"),
        (None, None) => text.into_owned(),
    }
}

fn row(view: &ServiceView) -> Vec<String> {
    let signals = view.decision.as_ref().map(|decision| &decision.signals);
    let [ready, starting, draining] = counted(view);
    vec![
        one_line(&view.name).into_owned(),
        or_dash(view.decision.as_ref().map(|decision| decision.desired)),
        ready,
        starting,
        draining,
        share(signals.and_then(|signals| signals.mean_cpu)),
        per_second(signals.and_then(|signals| signals.arrivals_per_s)),
        per_second(signals.and_then(errors_per_s)),
        or_dash(signals.and_then(waiting)),
        format!("{}..{}", view.bounds.min, view.bounds.max),
        view.policy.rule.to_string(),
    ]
}

/// How many replicas are ready, starting and draining. While the engine does not answer: how many
/// there were at its last answer, with the age of that; dashes if it never answered.
pub(super) fn counted(view: &ServiceView) -> [String; 3] {
    if let Some(last) = &view.last_seen {
        let ago = age(view.now_wall_ms - last.wall_ms);
        return [last.ready, last.starting, last.draining].map(|n| format!("{n} ({ago} ago)"));
    }
    match view.decision.as_ref().map(|decision| &decision.signals) {
        Some(signals) if signals.engine_age_ms.is_some() => {
            [signals.ready, signals.starting, signals.draining].map(|n| n.to_string())
        }
        _ => ["-"; 3].map(str::to_owned),
    }
}

/// Requests waiting at the balancer; `None` where it says nothing.
pub(super) fn waiting(signals: &Signals) -> Option<u32> {
    signals.balancer_age_ms.map(|_| signals.waiting)
}

/// Failed requests per second over the last minute; `None` where no balancer counts them.
pub(super) fn errors_per_s(signals: &Signals) -> Option<f64> {
    let minute = signals.last_minute?;
    Some(minute.failed / seconds(minute.window_ms).max(1.0))
}

pub(super) fn per_second(rate: Option<f64>) -> String {
    rate.map_or("-".to_owned(), |per_s| format!("{per_s:.1}/s"))
}

/// The replicas of a service, below a line that names the columns; with their nodes if there are
/// any, and with the reason why they are not ready if it is known.
pub(super) fn replica_rows(view: &ServiceView) -> Vec<Vec<String>> {
    let with_node = !view.nodes.is_empty();
    let with_reason = view.replicas.iter().any(|replica| replica.reason.is_some());
    let shown = |cells: [String; 8]| {
        let [id, state, age, cpu, in_flight, address, node, reason] = cells;
        let mut row = vec![id, state, age, cpu, in_flight, address];
        row.extend(with_node.then_some(node));
        row.extend(with_reason.then_some(reason));
        row
    };
    let head = ["REPLICA", "STATE", "AGE", "CPU", "IN FLIGHT", "ADDRESS", "NODE", "REASON"];
    let mut rows = vec![shown(head.map(str::to_owned))];
    rows.extend(view.replicas.iter().map(|replica| {
        shown([
            one_line(&replica.id).into_owned(),
            replica.state.to_string(),
            age(view.now_wall_ms - replica.asked_wall_ms),
            share(replica.cpu),
            or_dash(replica.in_flight),
            or_dash(replica.address),
            or_dash(replica.node.as_deref().map(one_line)),
            one_line(replica.reason.as_deref().unwrap_or_default()).into_owned(),
        ])
    }));
    rows
}

/// The machines that replicas are on, below a line that names the columns.
fn node_rows(view: &ServiceView) -> Vec<Vec<String>> {
    let head = ["NODE", "REPLICAS", "STATE"].map(str::to_owned).to_vec();
    let rows = view.nodes.iter().map(|node| {
        let state = match (node.up, &node.silence) {
            (false, _) => "unreachable",
            (true, None) => "up",
            (true, Some(_)) => "up, no CPU usage",
        };
        let count = node.replicas.len();
        vec![one_line(&node.name).into_owned(), count.to_string(), state.to_owned()]
    });
    std::iter::once(head).chain(rows).collect()
}

/// What replicas are made of, the newest first, below a line that names the columns.
fn generation_rows(view: &ServiceView) -> Vec<Vec<String>> {
    let head = ["GENERATION", "REPLICAS", "READY", "AGE", "STATE", "MADE OF"];
    let rows = view.generations.iter().rev().map(|own| {
        let aborted = |rollout: &Rollout| {
            rollout.state == RolloutState::Aborted && rollout.to == own.generation
        };
        let state = match (own.current, own.replicas) {
            _ if view.rollout.as_ref().is_some_and(aborted) => "aborted",
            (true, _) => "current",
            (false, 1..) => "old",
            (false, 0) => "earlier",
        };
        let since = own.since_wall_ms.map(|since| age(view.now_wall_ms - since));
        vec![
            own.generation.to_string(),
            own.replicas.to_string(),
            own.ready.to_string(),
            or_dash(since),
            state.to_owned(),
            or_dash(own.what.as_deref().map(one_line)),
        ]
    });
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
}

/// A time that has passed, in its two largest units: "3 min 20 s"; the future has age 0.
pub(super) fn age(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        s @ ..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min {} s", s / 60, s % 60),
        s @ 3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

pub(super) fn share(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// A value, or a dash where there is none.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use flyball_web::{LastSeen, NodeView, ReplicaState, ReplicaView};

    use super::super::fixture::{replica, service};
    use super::*;

    fn web() -> ServiceView {
        service("web").view
    }

    fn node(name: &str, up: bool, silence: Option<&str>) -> NodeView {
        let silence = silence.map(str::to_owned);
        NodeView { name: name.to_owned(), up, silence, replicas: vec!["web.1.x".to_owned()] }
    }

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        let told = [-5_000, 59_900, 200_000, 7_300_000, 90_000_000].map(age);
        assert_eq!(told, ["0 s", "59 s", "3 min 20 s", "2 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn one_of_several_says_who_is_the_leader_and_since_when() {
        let alone = LeaderStatus::standalone(201_000);
        assert_eq!(leader_line(&alone), None);
        let leadership = LeaderStatus {
            role: Role::Standby,
            leader: Some("http://10.0.0.1:7878/ on a".to_owned()),
            term: Some(7),
            since_wall_ms: Some(1_000),
            ..alone.clone()
        };
        let said =
            "this flyball is on standby; the leader is http://10.0.0.1:7878/ on a (for 3 min 20 s)";
        assert_eq!(leader_line(&leadership).as_deref(), Some(said));
        let leader = LeaderStatus { role: Role::Leader, ..leadership };
        let said = "this flyball is the leader, term 7 (for 3 min 20 s)";
        assert_eq!(leader_line(&leader).as_deref(), Some(said));
        let trouble = Some("no servers".to_owned());
        let nobody = LeaderStatus { role: Role::Standby, trouble, ..alone };
        let said =
            "this flyball is on standby; there is no leader; that may be out of date: no servers";
        assert_eq!(leader_line(&nobody).as_deref(), Some(said));
    }

    #[test]
    fn replicas_have_a_node_only_where_there_are_several() {
        let mut view = web();
        view.replicas = vec![ReplicaView { node: Some("n1".to_owned()), ..replica("web.1.x") }];
        let rows = replica_rows(&view);
        assert_eq!((rows[0].len(), rows[1].len()), (6, 6));
        view.nodes =
            vec![node("n1", true, None), node("n2", false, None), node("n3", true, Some("mute"))];
        assert_eq!(replica_rows(&view)[1].last().unwrap(), "n1");
        let states: Vec<String> = node_rows(&view).into_iter().map(|row| row.join(" ")).collect();
        let wanted =
            ["NODE REPLICAS STATE", "n1 1 up", "n2 1 unreachable", "n3 1 up, no CPU usage"];
        assert_eq!(states, wanted);
    }

    #[test]
    fn while_the_engine_is_silent_what_was_seen_last_is_shown_with_its_age() {
        let mut view = web();
        if let Some(decision) = &mut view.decision {
            decision.signals = Signals::default();
        }
        view.last_seen = Some(LastSeen { wall_ms: 25_000, ready: 2, starting: 1, draining: 0 });
        let shown = ["2 (1 min 15 s ago)", "1 (1 min 15 s ago)", "0 (1 min 15 s ago)"];
        assert_eq!(row(&view)[2..5], shown);
        view.last_seen = None;
        assert_eq!(row(&view)[2..5], ["-"; 3], "it never spoke: missing is not zero");
    }

    #[test]
    fn words_of_others_make_no_lines_and_do_not_steer_the_terminal() {
        let evil = "a\n\x1b[2Jb";
        let mut view = service(evil).view;
        view.replicas = vec![ReplicaView { node: Some(evil.to_owned()), ..replica(evil) }];
        view.nodes = vec![node(evil, true, None)];
        let notice = Notice::trouble(evil);
        let rows = [vec![row(&view)], replica_rows(&view), node_rows(&view)].concat();
        let shown = format!("{}\n{}", table(&rows), notice_line(&view, &notice));
        assert_eq!(shown.lines().count(), rows.len() + 1, "{shown}");
        assert!(!shown.contains('\x1b'));
    }

    #[test]
    fn a_replica_that_is_not_ready_says_why() {
        let why = "GET /healthz at 127.0.0.1:41001 answers 404";
        let mut view = web();
        view.now_wall_ms = 12_000;
        let starting = ReplicaState::Starting;
        let late =
            ReplicaView { state: starting, reason: Some(why.to_owned()), ..replica("web-1") };
        view.replicas = vec![late, replica("web-2")];
        let rows = replica_rows(&view);
        assert_eq!(rows[0].last().unwrap(), "REASON");
        assert_eq!(rows[1][1..3], ["starting", "12 s"]);
        assert_eq!((rows[1].last().unwrap().as_str(), rows[2].last().unwrap().as_str()), (why, ""));
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let wanted = ["web", "2", "2", "0", "0", "-", "-", "-", "-", "1..9", "governor"];
        assert_eq!(row(&web()), wanted);
        let new = ServiceView { decision: None, ..web() };
        let wanted = ["web", "-", "-", "-", "-", "-", "-", "-", "-", "1..9", "governor"];
        assert_eq!(row(&new), wanted);
    }
}
