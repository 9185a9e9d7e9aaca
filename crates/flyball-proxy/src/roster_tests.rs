//! The roster alone: who is picked, who waits, who is next.

use proptest::prelude::*;

use super::*;

fn id(number: u8) -> ReplicaId {
    ReplicaId::numbered("web", number.into())
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn roster(slots: Option<u32>, replicas: u8) -> Arc<Roster> {
    let roster = Arc::new(Roster::new(slots, 100));
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
        Admission::Waiting(wait) => wait,
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
                    Admission::Waiting(wait) => waits.push(wait),
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
