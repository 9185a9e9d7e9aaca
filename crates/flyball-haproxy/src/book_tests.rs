//! Orders, what is seen, and the difference.

use super::*;
use crate::settings::Socket;
use crate::stat::{Backend, Process};

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

fn book() -> Book {
    Book::new(&HaproxySettings::new(Socket::Unix("/a".into()), "web"), at(0))
}

fn book_with_slots(count: u32) -> Book {
    let slots = Some(Slots { prefix: "s".to_owned(), count });
    let plain = HaproxySettings::new(Socket::Unix("/a".into()), "web");
    Book::new(&HaproxySettings { slots, ..plain }, at(0))
}

/// A server of the name, at the port, with so many requests in flight.
fn server(admin: Admin, port: u16, in_flight: u32) -> Server {
    let (address, weight) = (Some(address(port)), Some(100));
    Server { admin, address, in_flight, served: 0, is_backup: false, weight }
}

/// What the process `pid` says. No process has the number 0, so nobody sees such a process.
fn seen<const N: usize>(pid: u32, servers: [(&str, Server); N]) -> Snapshot {
    Snapshot {
        process: Process { pid, started_s: 1, ..Process::default() },
        backend: Backend::default(),
        servers: servers.map(|(name, server)| (name.to_owned(), server)).into(),
    }
}

fn change(name: &str, what: What) -> Change {
    Change { name: name.to_owned(), what }
}

fn servers(book: &Book) -> BTreeMap<ReplicaId, ServerReport> {
    let Reading::Taken { value, .. } = book.reading() else { panic!("nothing seen") };
    value.servers
}

#[test]
fn nothing_is_changed_before_anything_is_seen() {
    let mut book = book();
    book.route(&id("web-1"), address(1), at(1));
    assert_eq!(book.changes(at(1)), NONE);
    assert_eq!(book.lines(), None);
    assert!(matches!(book.reading(), Reading::Missing { since, .. } if since == at(0)));
}

#[test]
fn an_order_and_its_server_make_one_change_or_none() {
    let name = "fb-web-1";
    for (there, what) in [
        (None, Some(What::Add(address(1)))),
        (Some(server(Admin::Ready, 1, 0)), None),
        (Some(server(Admin::Drain, 1, 0)), Some(What::Ready)),
        (Some(server(Admin::Maintenance, 1, 0)), Some(What::Ready)),
        (Some(server(Admin::Ready, 2, 0)), Some(What::Move(address(1)))),
    ] {
        let mut book = book();
        book.route(&id("web-1"), address(1), at(1));
        let mut snapshot = seen(0, []);
        snapshot.servers.extend(there.map(|server| (name.to_owned(), server)));
        book.take_in(at(2), snapshot);
        assert_eq!(
            book.changes(at(2)),
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
        (server(Admin::Maintenance, 1, 1), None),
        (server(Admin::Maintenance, 1, 0), Some(What::Delete)),
    ] {
        let mut book = book();
        book.route(&id("web-1"), address(1), at(1));
        book.drain(&id("web-1"), at(2));
        book.take_in(at(3), seen(0, [("fb-web-1", there)]));
        let what: Vec<_> = what.map(|what| change("fb-web-1", what)).into_iter().collect();
        assert_eq!(book.changes(at(3)), what);
    }
}

#[test]
fn connections_are_cut_only_well_after_the_drain_limit() {
    let mut book = book();
    book.route(&id("web-1"), address(1), at(0));
    book.drain(&id("web-1"), at(0));
    book.take_in(at(1), seen(0, [("fb-web-1", server(Admin::Drain, 1, 1))]));
    assert_eq!(book.changes(at(40_000)), NONE);
    assert_eq!(book.changes(at(40_001)), [change("fb-web-1", What::Cut)]);
}

#[test]
fn what_carries_the_mark_is_taken_over_and_nothing_else() {
    let mut book = book();
    let there = [
        ("fb-web-1", server(Admin::Ready, 1, 0)),
        ("fb-web-2", server(Admin::Drain, 2, 1)),
        ("legacy", server(Admin::Ready, 3, 0)),
    ];
    book.take_in(at(1), seen(0, there));
    assert_eq!(book.changes(at(1)), NONE);
    let routes: Vec<_> = servers(&book).into_iter().map(|(id, s)| (id, s.route)).collect();
    assert_eq!(routes, [(id("web-1"), Route::Routed), (id("web-2"), Route::Draining)]);
    assert_eq!(book.lines().unwrap(), [("fb-web-1".to_owned(), Some(address(1)))]);
}

#[test]
fn an_order_is_forgotten_with_its_server() {
    let mut book = book();
    book.take_in(at(1), seen(0, [("fb-web-1", server(Admin::Ready, 1, 0))]));
    book.drain(&id("web-1"), at(2));
    book.take_in(at(3), seen(0, [("fb-web-1", server(Admin::Drain, 1, 0))]));
    assert_eq!(servers(&book)[&id("web-1")].route, Route::Draining);
    assert!(book.pace_ms(at(3)).is_some());
    book.take_in(at(4), seen(0, []));
    assert!(servers(&book).is_empty());
    assert_eq!(book.pace_ms(at(4)), None);
}

#[test]
fn a_new_process_without_the_servers_gets_them_again() {
    let mut book = book();
    book.take_in(at(1), seen(0, [("fb-web-1", server(Admin::Ready, 1, 0))]));
    let news = book.take_in(at(2), seen(1, []));
    assert!(news);
    assert_eq!(book.changes(at(2)), [change("fb-web-1", What::Add(address(1)))]);
}

#[test]
fn a_replaced_process_keeps_its_replicas_busy_until_the_drain_limit() {
    let mut book = book();
    // As in a container: the processes' numbers mean nothing here.
    let process = |pid| seen(pid, [("fb-web-1", server(Admin::Ready, 1, 0))]);
    book.take_in(at(0), process(u32::MAX));
    book.take_in(at(1_000), process(u32::MAX - 1));
    assert_eq!(servers(&book)[&id("web-1")].in_flight, 0, "as long as it is not drained");
    book.drain(&id("web-1"), at(1_100));
    let gone = || seen(u32::MAX - 1, []);
    book.take_in(at(1_200), gone());
    let report = &servers(&book)[&id("web-1")];
    assert_eq!((report.route, report.in_flight), (Route::Draining, 1));
    book.take_in(at(30_999), gone());
    assert_eq!(servers(&book).len(), 1);
    assert!(book.take_in(at(31_000), gone()), "the loop should look: it is idle now");
    assert!(servers(&book).is_empty());
}

#[test]
fn the_first_answer_is_dated_once_and_outlives_a_reload() {
    let mut book = book();
    let answered = |served| Server { served, ..server(Admin::Ready, 1, 0) };
    book.route(&id("web-1"), address(1), at(0));
    assert!(!book.take_in(at(1), seen(0, [("fb-web-1", answered(0))])));
    assert!(book.take_in(at(2), seen(0, [("fb-web-1", answered(3))])));
    assert!(!book.take_in(at(3), seen(0, [("fb-web-1", answered(9))])));
    book.take_in(at(4), seen(1, [("fb-web-1", answered(0))]));
    assert_eq!(servers(&book)[&id("web-1")].first_served_at, Some(at(2)));
}

#[test]
fn a_slot_is_found_by_its_address_or_taken_free() {
    let mut book = book_with_slots(3);
    let there = [
        ("s1", server(Admin::Maintenance, 1, 0)),
        ("s2", server(Admin::Ready, 8080, 0)),
        ("s3", server(Admin::Maintenance, 1, 2)),
        ("t1", server(Admin::Maintenance, 1, 0)),
    ];
    book.route(&id("web-1"), address(8080), at(0));
    book.route(&id("web-2"), address(8081), at(0));
    book.route(&id("web-3"), address(8082), at(0));
    book.take_in(at(1), seen(0, there));
    assert_eq!(book.changes(at(1)), [change("s1", What::Move(address(8081)))]);
    assert_eq!(servers(&book).keys().collect::<Vec<_>>(), [&id("web-1")]);
    let shortage = book.shortage().unwrap();
    assert_eq!(
        shortage.to_string(),
        "all 3 slots of backend `web` are taken; 1 replicas have none"
    );
    let lines = book.lines().unwrap();
    let ports: Vec<_> = lines.iter().map(|(_, address)| address.map(|a| a.port())).collect();
    assert_eq!(ports, [Some(8081), Some(8080), None]);
}

#[test]
fn a_slot_that_nobody_claims_is_reported_after_a_while_and_can_be_drained() {
    let mut book = book_with_slots(2);
    let there = |admin| seen(0, [("s1", server(admin, 8080, 0))]);
    book.take_in(at(0), there(Admin::Ready));
    book.take_in(at(59_999), there(Admin::Ready));
    assert!(servers(&book).is_empty());
    book.take_in(at(60_000), there(Admin::Ready));
    assert_eq!(servers(&book)[&id("slot:s1")].route, Route::Routed);
    book.drain(&id("slot:s1"), at(60_001));
    book.take_in(at(60_002), there(Admin::Ready));
    assert_eq!(book.changes(at(60_002)), [change("s1", What::Drain)]);
    book.take_in(at(60_003), there(Admin::Drain));
    assert_eq!(book.changes(at(60_003)), [change("s1", What::Vacate)]);
    book.take_in(at(60_004), there(Admin::Maintenance));
    assert!(servers(&book).is_empty());
    assert_eq!(book.changes(at(60_004)), NONE);
}

#[test]
fn a_stray_slot_goes_to_the_replica_at_its_address() {
    let mut book = book_with_slots(2);
    let there = || seen(0, [("s1", server(Admin::Ready, 8080, 0))]);
    book.take_in(at(0), there());
    book.take_in(at(60_000), there());
    book.route(&id("web-1"), address(8080), at(60_001));
    book.take_in(at(60_002), there());
    assert_eq!(servers(&book).keys().collect::<Vec<_>>(), [&id("web-1")]);
    assert_eq!(book.changes(at(60_002)), NONE);
}
