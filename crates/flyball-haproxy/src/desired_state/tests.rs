//! Orders, what is seen, and the difference.

use flyball_core::observation::{FailureCounts, Reading, ServerHealth, ServerReport};

use super::*;
use crate::change::What;
use crate::settings::TemplateServers;
use crate::socket::Socket;
use crate::stat::{Admin, Backend, Fault};

const NONE: [Change; 0] = [];

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn id(name: &str) -> ReplicaId {
    ReplicaId::new(name)
}

fn state() -> DesiredState {
    DesiredState::new(&HaproxySettings::new(Socket::Unix("/a".into()), "web"), at(0))
}

fn state_with_template_servers(count: u32) -> DesiredState {
    let template_servers = Some(TemplateServers { prefix: "s".to_owned(), count });
    let plain = HaproxySettings::new(Socket::Unix("/a".into()), "web");
    DesiredState::new(&HaproxySettings { template_servers, ..plain }, at(0))
}

/// A server of the name, at the port, with `in_flight` requests in flight.
fn server(admin: Admin, port: u16, in_flight: u32) -> Server {
    let (address, id, weight) = (Some(address(port)), Some(u32::from(port)), Some(100));
    let (served, good, is_backup, coming, fault) = (0, 0, false, false, None);
    Server { admin, address, in_flight, served, good, is_backup, weight, id, coming, fault }
}

fn down(server: Server) -> Server {
    Server { fault: Some(Fault::Unsaid), ..server }
}

/// What the process `pid` says. No process has the number 0, so none is seen.
fn seen<const N: usize>(pid: u32, servers: [(&str, Server); N]) -> Snapshot {
    Snapshot {
        process: Process { pid, started_s: 1, ..Process::default() },
        backend: backend(),
        servers: servers.map(|(name, server)| (name.to_owned(), server)).into(),
    }
}

fn backend() -> Backend {
    let (algorithm, cookie, mode) = ("leastconn".to_owned(), String::new(), Mode::Http);
    Backend {
        arrivals: 0,
        errors: 0,
        failures: FailureCounts::default(),
        queued: 0,
        algorithm,
        cookie,
        mode,
    }
}

/// That the server at the port is made, with the first number that is free.
fn add(port: u16) -> What {
    What::Add { address: address(port), id: 1_001, weight: 100 }
}

fn line(name: &str, port: u16, id: u32) -> Line {
    Line { name: name.to_owned(), address: Some(address(port)), id: Some(id) }
}

fn change(name: &str, what: What) -> Change {
    Change { name: name.to_owned(), what }
}

fn servers(state: &DesiredState) -> BTreeMap<ReplicaId, ServerReport> {
    let Reading::Taken { value, .. } = state.reading() else { panic!("nothing seen") };
    value.servers
}

#[test]
fn nothing_is_changed_before_anything_is_seen() {
    let mut state = state();
    state.route(&id("web-1"), address(1), at(1));
    assert_eq!(state.changes(at(1)), NONE);
    assert_eq!(state.lines(), None);
    assert!(matches!(state.reading(), Reading::Missing { since, .. } if since == at(0)));
}

#[test]
fn an_order_and_its_server_make_one_change_or_none() {
    let name = "fb-web-1";
    for (there, what) in [
        (None, Some(add(1))),
        (Some(server(Admin::Ready, 1, 0)), None),
        (Some(server(Admin::Drain, 1, 0)), Some(What::Ready)),
        (Some(server(Admin::Maintenance, 1, 0)), Some(What::Ready)),
        (Some(server(Admin::Ready, 2, 0)), Some(What::Move(address(1)))),
    ] {
        let mut state = state();
        state.route(&id("web-1"), address(1), at(1));
        let mut snapshot = seen(0, []);
        snapshot.servers.extend(there.map(|server| (name.to_owned(), server)));
        state.take_in(at(2), snapshot);
        assert_eq!(
            state.changes(at(2)),
            what.map(|what| change(name, what)).into_iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_drained_server_is_deleted_only_when_it_is_idle() {
    for (there, what) in [
        (server(Admin::Ready, 1, 0), Some(What::Drain)),
        (server(Admin::Drain, 1, 1), None),
        (server(Admin::Drain, 1, 0), Some(What::Delete)),
        // Of a server that is down HAProxy does not say that it drains.
        (down(server(Admin::Ready, 1, 1)), Some(What::Drain)),
        (down(server(Admin::Ready, 1, 0)), Some(What::Delete)),
        (server(Admin::Maintenance, 1, 1), None),
        (server(Admin::Maintenance, 1, 0), Some(What::Delete)),
    ] {
        let mut state = state();
        state.route(&id("web-1"), address(1), at(1));
        state.drain(&id("web-1"), at(2));
        state.take_in(at(3), seen(0, [("fb-web-1", there)]));
        let what: Vec<_> = what.map(|what| change("fb-web-1", what)).into_iter().collect();
        assert_eq!(state.changes(at(3)), what);
    }
}

#[test]
fn a_drained_server_that_is_down_gets_no_requests_and_is_reported_so() {
    let mut state = state();
    state.route(&id("web-1"), address(1), at(1));
    state.take_in(at(2), seen(0, [("fb-web-1", down(server(Admin::Ready, 1, 0)))]));
    assert_eq!(servers(&state)[&id("web-1")].route, Route::Routed, "it comes back by itself");
    state.drain(&id("web-1"), at(3));
    state.take_in(at(4), seen(0, [("fb-web-1", down(server(Admin::Ready, 1, 0)))]));
    assert_eq!(servers(&state)[&id("web-1")].route, Route::Draining);
}

#[test]
fn connections_are_cut_only_well_after_the_drain_limit() {
    let mut state = state();
    state.route(&id("web-1"), address(1), at(0));
    state.drain(&id("web-1"), at(0));
    state.take_in(at(1), seen(0, [("fb-web-1", server(Admin::Drain, 1, 1))]));
    assert_eq!(state.changes(at(40_000)), NONE);
    assert_eq!(state.changes(at(40_001)), [change("fb-web-1", What::Cut)]);
}

#[test]
fn what_carries_the_mark_is_taken_over_and_nothing_else() {
    let mut state = state();
    let there = [
        ("fb-web-1", server(Admin::Ready, 1, 0)),
        ("fb-web-2", server(Admin::Drain, 2, 1)),
        ("legacy", server(Admin::Ready, 3, 0)),
    ];
    state.take_in(at(1), seen(0, there));
    assert_eq!(state.changes(at(1)), NONE);
    let routes: Vec<_> = servers(&state).into_iter().map(|(id, s)| (id, s.route)).collect();
    assert_eq!(routes, [(id("web-1"), Route::Routed), (id("web-2"), Route::Draining)]);
    assert_eq!(state.lines().unwrap(), [line("fb-web-1", 1, 1)]);
}

#[test]
fn an_order_is_forgotten_with_its_server() {
    let mut state = state();
    state.take_in(at(1), seen(0, [("fb-web-1", server(Admin::Ready, 1, 0))]));
    state.drain(&id("web-1"), at(2));
    state.take_in(at(3), seen(0, [("fb-web-1", server(Admin::Drain, 1, 0))]));
    assert_eq!(servers(&state)[&id("web-1")].route, Route::Draining);
    assert!(state.pace_ms(at(3)).is_some());
    state.take_in(at(4), seen(0, []));
    assert!(servers(&state).is_empty());
    assert_eq!(state.pace_ms(at(4)), None);
}

#[test]
fn a_new_process_without_the_servers_gets_them_again() {
    let mut state = state();
    state.take_in(at(1), seen(0, [("fb-web-1", server(Admin::Ready, 1, 0))]));
    let news = state.take_in(at(2), seen(1, []));
    assert!(news);
    assert_eq!(
        state.changes(at(2)),
        [change("fb-web-1", What::Add { address: address(1), id: 1, weight: 100 })]
    );
}

#[test]
fn a_replaced_process_keeps_its_replicas_busy_until_the_drain_limit() {
    let mut state = state();
    // As in a container: the processes' numbers mean nothing here.
    let process = |pid| seen(pid, [("fb-web-1", server(Admin::Ready, 1, 0))]);
    state.take_in(at(0), process(u32::MAX));
    state.take_in(at(1_000), process(u32::MAX - 1));
    assert_eq!(servers(&state)[&id("web-1")].in_flight, 0, "as long as it is not drained");
    state.drain(&id("web-1"), at(1_100));
    let gone = || seen(u32::MAX - 1, []);
    state.take_in(at(1_200), gone());
    let report = &servers(&state)[&id("web-1")];
    assert_eq!((report.route, report.in_flight), (Route::Draining, 1));
    state.take_in(at(30_999), gone());
    assert_eq!(servers(&state).len(), 1);
    assert!(state.take_in(at(31_000), gone()), "the loop should look: it is idle now");
    assert!(servers(&state).is_empty());
}

#[test]
fn the_first_answer_is_dated_once_and_outlives_a_reload() {
    let mut state = state();
    let answered = |served| Server { served, ..server(Admin::Ready, 1, 0) };
    state.route(&id("web-1"), address(1), at(0));
    assert!(!state.take_in(at(1), seen(0, [("fb-web-1", answered(0))])));
    assert!(state.take_in(at(2), seen(0, [("fb-web-1", answered(3))])));
    assert!(!state.take_in(at(3), seen(0, [("fb-web-1", answered(9))])));
    state.take_in(at(4), seen(1, [("fb-web-1", answered(0))]));
    assert_eq!(servers(&state)[&id("web-1")].first_served_at, Some(at(2)));
}

#[test]
fn a_template_server_is_found_by_its_address_or_taken_free() {
    let mut state = state_with_template_servers(3);
    let there = [
        ("s1", server(Admin::Maintenance, 1, 0)),
        ("s2", server(Admin::Ready, 8080, 0)),
        ("s3", server(Admin::Maintenance, 1, 2)),
        ("t1", server(Admin::Maintenance, 1, 0)),
    ];
    state.route(&id("web-1"), address(8080), at(0));
    state.route(&id("web-2"), address(8081), at(0));
    state.route(&id("web-3"), address(8082), at(0));
    state.take_in(at(1), seen(0, there));
    assert_eq!(state.changes(at(1)), [change("s1", What::Move(address(8081)))]);
    assert_eq!(servers(&state).keys().collect::<Vec<_>>(), [&id("web-1")]);
    let shortage = state.shortage().unwrap();
    assert_eq!(
        shortage.to_string(),
        "all 3 template servers of backend `web` are taken; 1 replicas have none"
    );
    let lines = state.lines().unwrap();
    let ports: Vec<_> = lines.iter().map(|line| line.address.map(|a| a.port())).collect();
    assert_eq!(ports, [Some(8081), Some(8080), None]);
}

#[test]
fn a_template_server_that_nobody_claims_is_reported_after_a_while_and_can_be_drained() {
    let mut state = state_with_template_servers(2);
    let there = |admin| seen(0, [("s1", server(admin, 8080, 0))]);
    state.take_in(at(0), there(Admin::Ready));
    state.take_in(at(59_999), there(Admin::Ready));
    assert!(servers(&state).is_empty());
    state.take_in(at(60_000), there(Admin::Ready));
    assert_eq!(servers(&state)[&id("unclaimed:s1")].route, Route::Routed);
    state.drain(&id("unclaimed:s1"), at(60_001));
    state.take_in(at(60_002), there(Admin::Ready));
    assert_eq!(state.changes(at(60_002)), [change("s1", What::Drain)]);
    state.take_in(at(60_003), there(Admin::Drain));
    assert_eq!(state.changes(at(60_003)), [change("s1", What::Vacate)]);
    state.take_in(at(60_004), there(Admin::Maintenance));
    assert!(servers(&state).is_empty());
    assert_eq!(state.changes(at(60_004)), NONE);
}

#[test]
fn an_unclaimed_template_server_goes_to_the_replica_at_its_address() {
    let mut state = state_with_template_servers(2);
    let there = || seen(0, [("s1", server(Admin::Ready, 8080, 0))]);
    state.take_in(at(0), there());
    state.take_in(at(60_000), there());
    state.route(&id("web-1"), address(8080), at(60_001));
    state.take_in(at(60_002), there());
    assert_eq!(servers(&state).keys().collect::<Vec<_>>(), [&id("web-1")]);
    assert_eq!(state.changes(at(60_002)), NONE);
}

#[test]
fn each_server_gets_a_number_that_no_other_has_and_keeps_it() {
    let mut state = state();
    for number in 1..4 {
        state.route(&id(&format!("web-{number}")), address(number), at(0));
    }
    let foreign = || Server { id: Some(1_002), ..server(Admin::Ready, 9, 0) };
    state.take_in(at(1), seen(0, [("legacy", foreign())]));
    let ids =
        |state: &DesiredState| -> Vec<_> { state.lines().unwrap().iter().map(|l| l.id).collect() };
    assert_eq!(ids(&state), [Some(1_001), Some(1_003), Some(1_004)]);
    // The reload has made servers of the file's lines, and an external one under a number of ours.
    let ours = Server { id: Some(1_001), ..server(Admin::Ready, 1, 0) };
    let other = Server { id: Some(1_003), ..server(Admin::Ready, 8, 0) };
    let after = [("fb-web-1", ours), ("legacy", foreign()), ("other", other)];
    state.take_in(at(2), seen(1, after));
    assert_eq!(ids(&state), [Some(1_001), Some(1_005), Some(1_004)]);
}

#[test]
fn a_server_that_haproxy_calls_down_is_down_in_the_report() {
    let mut state = state();
    state.route(&id("web-1"), address(1), at(0));
    let fault = Some(Fault::Check("HAProxy's check failed: L4CON".to_owned()));
    let down = Server { fault, ..server(Admin::Ready, 1, 0) };
    state.take_in(at(1), seen(0, [("fb-web-1", down)]));
    let why = "HAProxy's check failed: L4CON".to_owned();
    assert_eq!(servers(&state)[&id("web-1")].health, ServerHealth::Down { why });
    assert_eq!(state.changes(at(1)), NONE);
    state.take_in(at(2), seen(0, [("fb-web-1", server(Admin::Ready, 1, 0))]));
    assert_eq!(servers(&state)[&id("web-1")].health, ServerHealth::Up);
}

#[test]
fn the_last_server_is_used_although_it_answers_errors() {
    let mut state = state();
    state.route(&id("web-1"), address(1), at(0));
    let fault = Some(Fault::Answers("HAProxy detected 10 consecutive errors".to_owned()));
    let down = Server { fault, ..server(Admin::Ready, 1, 0) };
    state.take_in(at(5_000), seen(0, [("fb-web-1", down)]));
    assert_eq!(state.changes(at(5_000)), [change("fb-web-1", What::Spare)]);
    assert_eq!(state.pace_ms(at(5_000)), Some(BUSY_PACE_MS));
    let Reading::Taken { value, .. } = state.reading() else { panic!("nothing seen") };
    assert_eq!(value.servers[&id("web-1")].health, ServerHealth::Up);
    let said = "1 of 1 replicas answer errors, so HAProxy keeps using all";
    assert_eq!(value.trouble.as_deref(), Some(said));
}

#[test]
fn what_haproxy_refuses_is_in_the_report_until_it_does_not() {
    let mut state = state();
    state.take_in(at(1), seen(0, []));
    let trouble = |state: &DesiredState| {
        let Reading::Taken { value, .. } = state.reading() else { panic!("nothing seen") };
        value.trouble
    };
    state.round_ended(Some(&HaproxyError::StaticAlgorithm { backend: "web".to_owned() }));
    let said = "backend `web` has a static algorithm and does not accept servers at run time (in \
                `backend web`: balance leastconn)";
    assert_eq!(trouble(&state).as_deref(), Some(said));
    state.round_ended(None);
    assert_eq!(trouble(&state), None);
}

#[test]
fn a_server_that_answered_errors_is_kept_out_although_its_check_passes() {
    let mut state = state();
    let names = ["web-1", "web-2", "web-3"];
    names
        .into_iter()
        .zip(1..)
        .for_each(|(name, port)| state.route(&id(name), address(port), at(0)));
    let pool = |fault, coming| {
        let first = Server { fault, coming, ..server(Admin::Ready, 1, 0) };
        let [second, third] = [2, 3].map(|port| server(Admin::Ready, port, 0));
        seen(0, [("fb-web-1", first), ("fb-web-2", second), ("fb-web-3", third)])
    };
    let errors = || Some(Fault::Answers("HAProxy detected 10 consecutive errors".to_owned()));
    state.take_in(at(1_000), pool(errors(), false));
    assert_eq!(state.changes(at(1_000)), NONE);
    assert_eq!(state.pace_ms(at(1_000)), Some(SLOW_PACE_MS));
    state.take_in(at(3_000), pool(Some(Fault::Unsaid), true));
    assert_eq!(state.changes(at(3_000)), [change("fb-web-1", What::Hold)]);
    assert_eq!(state.changes(at(11_000)), NONE);
    assert!(matches!(servers(&state)[&id("web-1")].health, ServerHealth::Down { .. }));
}
