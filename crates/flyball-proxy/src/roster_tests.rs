//! The roster alone: who is picked, who waits, who is next.

use proptest::prelude::*;

use super::*;
use flyball_core::observation::ServerHealth;

fn id(number: u8) -> ReplicaId {
    ReplicaId::numbered("web", number.into())
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn roster(slots: Option<u32>, replicas: u8) -> Arc<Roster> {
    let roster = Arc::new(Roster::new(slots, 100, 0.5));
    (0..replicas).for_each(|number| roster.route(&id(number), address(1 + u16::from(number))));
    roster
}

fn seated(admission: Admission) -> Seat {
    match admission {
        Admission::Seated(seat) => seat,
        Admission::Waiting(_) => panic!("waits"),
        Admission::Full => panic!("full"),
    }
}

fn waiting(admission: Admission) -> Wait {
    match admission {
        Admission::Waiting(wait) => {
            wait.counts();
            wait
        }
        Admission::Seated(seat) => panic!("seated on {}", seat.server.replica),
        Admission::Full => panic!("full"),
    }
}

#[test]
fn requests_spread_evenly_and_equals_take_turns() {
    let roster = roster(None, 3);
    let seats: Vec<Seat> = (0..9).map(|_| seated(roster.admit())).collect();
    assert!(roster.report().1.values().all(|server| server.in_flight == 3));
    drop(seats);
    let first: std::collections::BTreeSet<ReplicaId> =
        (0..3).map(|_| seated(roster.admit()).server.replica.clone()).collect();
    assert_eq!(first.len(), 3, "one request at a time still visits all");
}

#[test]
fn the_least_busy_is_picked() {
    let roster = roster(None, 2);
    let (a, b) = (seated(roster.admit()), seated(roster.admit()));
    let freed = b.server.key;
    drop(b);
    assert_eq!(seated(roster.admit()).server.key, freed);
    drop(a);
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_left_out_until_it_is_the_only_one() {
    let roster = roster(None, 2);
    let dead = seated(roster.admit());
    roster.connect_failed(&dead.server);
    for _ in 0..4 {
        assert_ne!(seated(roster.admit()).server.key, dead.server.key);
    }
    let other = seated(roster.readmit(dead.ticket, dead.server.key));
    roster.drain(&other.server.replica);
    assert_eq!(seated(roster.admit()).server.key, dead.server.key, "a last resort");
    let mut wait = waiting(roster.readmit(dead.ticket, dead.server.key));
    let seat = tokio::time::timeout(LEFT_OUT_MAX * 2, wait.seat()).await.unwrap().unwrap();
    assert_eq!(seat.server.key, dead.server.key, "let back in by itself");
}

#[test]
fn being_left_out_grows_and_is_bounded() {
    let pauses: Vec<u128> = (1..8).map(|failures| left_out_for(failures).as_millis()).collect();
    assert_eq!(pauses, [25, 50, 100, 200, 400, 800, 800]);
    assert_eq!(left_out_for(u32::MAX), LEFT_OUT_MAX);
}

#[test]
fn a_request_that_lost_its_server_goes_before_those_that_came_later() {
    let roster = roster(Some(1), 1);
    let first = seated(roster.admit());
    let mut later = waiting(roster.admit());
    let ticket = first.ticket;
    roster.drain(&id(0));
    let key = first.server.key;
    drop(first);
    let mut again = waiting(roster.readmit(ticket, key));
    roster.route(&id(1), address(9));
    let seat = again.called.try_recv().expect("called first");
    assert!(later.called.try_recv().is_err());
    drop(seat);
    assert!(later.called.try_recv().is_ok());
}

#[test]
fn a_seat_that_nobody_takes_goes_to_the_next() {
    let roster = roster(Some(1), 1);
    let seat = seated(roster.admit());
    let (gone, mut next) = (waiting(roster.admit()), waiting(roster.admit()));
    drop(seat);
    drop(gone);
    assert!(next.called.try_recv().is_ok());
}

#[derive(Clone, Debug)]
enum Event {
    Arrive,
    End(usize),
    GiveUp(usize),
    Route(u8, u16),
    Drain(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Arrive),
        3 => any::<usize>().prop_map(Event::End),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => (0..4_u8, 1..3_u16).prop_map(|(number, port)| Event::Route(number, port)),
        1 => (0..4_u8).prop_map(Event::Drain),
    ]
}

/// Checks what must hold between any two events.
fn check(roster: &Roster, seats: &[Seat], waits: &[Wait], slots: u32) {
    let (in_line, servers) = roster.report();
    let state = roster.lock();
    assert_eq!(in_line as usize, waits.len());
    assert_eq!(
        servers.values().map(|server| server.in_flight as usize).sum::<usize>(),
        seats.len()
    );
    for entry in &state.servers {
        let sitting = seats.iter().filter(|seat| seat.server.key == entry.server.key).count();
        assert_eq!(entry.in_flight as usize, sitting);
        assert!(entry.in_flight <= slots);
        assert!(entry.route == Route::Routed || entry.in_flight > 0, "a drained one is kept");
        let free = entry.route == Route::Routed && entry.in_flight < slots;
        assert!(waits.is_empty() || !free, "somebody waits beside a free place");
    }
}

proptest! {
    #[test]
    fn counts_are_exact_and_the_line_is_fair(
        slots in 1..4_u32,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let roster = roster(Some(slots), 0);
        let (mut seats, mut waits) = (Vec::new(), Vec::<Wait>::new());
        for event in events {
            match event {
                Event::Arrive => match roster.admit() {
                    Admission::Seated(seat) => seats.push(seat),
                    Admission::Waiting(wait) => {
                    wait.counts();
                    waits.push(wait);
                },
                    Admission::Full => {}
                },
                Event::End(index) if !seats.is_empty() => {
                    let index = index % seats.len();
                    drop(seats.swap_remove(index));
                }
                Event::GiveUp(index) if !waits.is_empty() => {
                    let index = index % waits.len();
                    drop(waits.remove(index));
                }
                Event::End(_) | Event::GiveUp(_) => {}
                Event::Route(number, port) => roster.route(&id(number), address(port)),
                Event::Drain(number) => roster.drain(&id(number)),
            }
            // Whoever was called came before everybody who was not.
            while let Some(seat) = waits.first_mut().and_then(|first| first.called.try_recv().ok()) {
                seats.push(seat);
                waits.remove(0);
            }
            check(&roster, &seats, &waits, slots);
        }
    }
}

const FAILED: Failure = Failure::Status(hyper::StatusCode::INTERNAL_SERVER_ERROR);

/// Each request is answered at once: well, or not by those whose number is in `bad`.
fn serve(roster: &Arc<Roster>, requests: usize, bad: &[u8]) -> usize {
    let mut failed = 0;
    for _ in 0..requests {
        let seat = seated(roster.admit());
        if bad.iter().any(|number| seat.server.replica == id(*number)) {
            failed += 1;
            roster.failed(&seat.server, FAILED);
        } else {
            roster.did_well(&seat);
        }
    }
    failed
}

fn out(roster: &Roster) -> Vec<ReplicaId> {
    let down = |report: &ServerReport| matches!(report.health, ServerHealth::Down { .. });
    roster.report().1.into_iter().filter(|(_, report)| down(report)).map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_server_that_fails_every_request_is_out_after_five() {
    let roster = roster(None, 4);
    assert_eq!(serve(&roster, 1_000, &[2]), 5);
    assert_eq!(out(&roster), [id(2)]);
    assert_eq!(roster.trouble(), None);
}

#[tokio::test]
async fn half_may_be_out_and_what_else_fails_is_said() {
    let roster = roster(None, 4);
    serve(&roster, 1_000, &[0, 1, 2]);
    assert_eq!(out(&roster).len(), 2);
    let said = roster.trouble().unwrap();
    assert!(said.starts_with("1 replica fails, but no more than 2 of 4 may be"), "{said}");
}

#[tokio::test]
async fn where_all_fail_none_is_out_even_if_one_began() {
    let roster = roster(None, 3);
    serve(&roster, 100, &[0]);
    assert_eq!(out(&roster), [id(0)]);
    assert_eq!(serve(&roster, 100, &[0, 1, 2]), 100);
    assert_eq!(out(&roster), []);
    let said = roster.trouble().unwrap();
    assert!(said.starts_with("all 3 replicas fail, so none is kept from requests; "), "{said}");
    // One of them is well again: the others are out once they fail beside it, as far as they may.
    serve(&roster, 100, &[0, 1]);
    assert_eq!(out(&roster).len(), 1);
}

#[tokio::test]
async fn the_only_server_is_never_out_and_one_that_is_left_alone_comes_back() {
    let alone = roster(None, 1);
    assert_eq!(serve(&alone, 50, &[0]), 50);
    assert!(alone.trouble().unwrap().starts_with("the only replica fails, and keeps its requests"));
    let pair = roster(None, 2);
    serve(&pair, 50, &[0]);
    assert_eq!(out(&pair), [id(0)]);
    pair.drain(&id(1));
    assert_eq!(out(&pair), []);
    assert_eq!(seated(pair.admit()).server.replica, id(0));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_out_is_tried_with_one_request_and_comes_back_by_it() {
    let roster = roster(None, 3);
    serve(&roster, 100, &[0]);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let trial = seated(roster.admit());
    assert_eq!(trial.server.replica, id(0));
    let next: Vec<Seat> = (0..4).map(|_| seated(roster.admit())).collect();
    assert!(next.iter().all(|seat| seat.server.replica != id(0)), "one at a time");
    roster.failed(&trial.server, FAILED);
    drop(trial);
    assert_eq!(serve(&roster, 50, &[0]), 0, "it is out for longer");
    tokio::time::sleep(Duration::from_secs(11)).await;
    // A client that leaves tells nothing; the next request tries again.
    drop(seated(roster.admit()));
    let trial = seated(roster.admit());
    assert_eq!(trial.server.replica, id(0));
    roster.did_well(&trial);
    assert_eq!(out(&roster), []);
    assert_eq!(serve(&roster, 50, &[]), 0);
}

#[tokio::test]
async fn connects_that_fail_at_the_same_moment_are_one_failure() {
    let roster = roster(None, 2);
    let seats: Vec<Seat> = (0..20).map(|_| seated(roster.admit())).collect();
    for seat in seats.iter().filter(|seat| seat.server.replica == id(0)) {
        roster.connect_failed(&seat.server);
    }
    assert_eq!(out(&roster), []);
}

#[tokio::test]
async fn nobody_is_out_where_that_is_switched_off() {
    let roster = Arc::new(Roster::new(None, 100, 0.0));
    (0..2).for_each(|number| roster.route(&id(number), address(1 + u16::from(number))));
    assert_eq!(serve(&roster, 100, &[0]), 50);
    assert_eq!(out(&roster), []);
}
