//! The upstreams by themselves: who is picked, who waits, who is next.

use proptest::prelude::*;

use super::*;
use flyball_core::observation::ServerHealth;

fn id(number: u8) -> ReplicaId {
    ReplicaId::numbered("web", number.into())
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn upstreams(slots: Option<u32>, replicas: u8) -> Arc<Upstreams> {
    let upstreams = Arc::new(Upstreams::new(slots, 100, 0.5));
    (0..replicas).for_each(|number| upstreams.route(&id(number), address(1 + u16::from(number))));
    upstreams
}

fn admitted(admission: Admission) -> Permit {
    match admission {
        Admission::Admitted(permit) => permit,
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
        Admission::Admitted(permit) => panic!("seated on {}", permit.server.replica),
        Admission::Full => panic!("full"),
    }
}

#[test]
fn requests_spread_evenly_and_equals_take_turns() {
    let upstreams = upstreams(None, 3);
    let permits: Vec<Permit> = (0..9).map(|_| admitted(upstreams.admit())).collect();
    assert!(upstreams.report().1.values().all(|server| server.in_flight == 3));
    drop(permits);
    let first: std::collections::BTreeSet<ReplicaId> =
        (0..3).map(|_| admitted(upstreams.admit()).server.replica.clone()).collect();
    assert_eq!(first.len(), 3, "one request at a time still visits all");
}

#[test]
fn the_least_busy_is_picked() {
    let upstreams = upstreams(None, 2);
    let (a, b) = (admitted(upstreams.admit()), admitted(upstreams.admit()));
    let freed = b.server.key;
    drop(b);
    assert_eq!(admitted(upstreams.admit()).server.key, freed);
    drop(a);
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_left_out_until_it_is_the_only_one() {
    let upstreams = upstreams(None, 2);
    let dead = admitted(upstreams.admit());
    upstreams.connect_failed(&dead.server);
    for _ in 0..4 {
        assert_ne!(admitted(upstreams.admit()).server.key, dead.server.key);
    }
    let other = admitted(upstreams.readmit(dead.ticket, dead.server.key));
    upstreams.drain(&other.server.replica);
    assert_eq!(admitted(upstreams.admit()).server.key, dead.server.key, "a last resort");
    let mut wait = waiting(upstreams.readmit(dead.ticket, dead.server.key));
    let permit = tokio::time::timeout(LEFT_OUT_MAX * 2, wait.permit()).await.unwrap().unwrap();
    assert_eq!(permit.server.key, dead.server.key, "let back in by itself");
}

#[test]
fn being_left_out_grows_and_is_bounded() {
    let pauses: Vec<u128> = (1..8).map(|failures| left_out_for(failures).as_millis()).collect();
    assert_eq!(pauses, [25, 50, 100, 200, 400, 800, 800]);
    assert_eq!(left_out_for(u32::MAX), LEFT_OUT_MAX);
}

#[test]
fn a_request_that_lost_its_server_goes_before_those_that_came_later() {
    let upstreams = upstreams(Some(1), 1);
    let first = admitted(upstreams.admit());
    let mut later = waiting(upstreams.admit());
    let ticket = first.ticket;
    upstreams.drain(&id(0));
    let key = first.server.key;
    drop(first);
    let mut again = waiting(upstreams.readmit(ticket, key));
    upstreams.route(&id(1), address(9));
    let permit = again.called.try_recv().expect("called first");
    assert!(later.called.try_recv().is_err());
    drop(permit);
    assert!(later.called.try_recv().is_ok());
}

#[test]
fn a_permit_that_no_request_takes_goes_to_the_next() {
    let upstreams = upstreams(Some(1), 1);
    let permit = admitted(upstreams.admit());
    let (gone, mut next) = (waiting(upstreams.admit()), waiting(upstreams.admit()));
    drop(permit);
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
fn check(upstreams: &Upstreams, permits: &[Permit], waits: &[Wait], slots: u32) {
    let (in_line, servers) = upstreams.report();
    let state = upstreams.lock();
    assert_eq!(in_line as usize, waits.len());
    assert_eq!(
        servers.values().map(|server| server.in_flight as usize).sum::<usize>(),
        permits.len()
    );
    for entry in &state.servers {
        let in_flight =
            permits.iter().filter(|permit| permit.server.key == entry.server.key).count();
        assert_eq!(entry.in_flight as usize, in_flight);
        assert!(entry.in_flight <= slots);
        assert!(entry.route == Route::Routed || entry.in_flight > 0, "a drained one is kept");
        let free = entry.route == Route::Routed && entry.in_flight < slots;
        assert!(waits.is_empty() || !free, "a request waits beside a free place");
    }
}

proptest! {
    #[test]
    fn counts_are_exact_and_the_queue_is_fair(
        slots in 1..4_u32,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let upstreams = upstreams(Some(slots), 0);
        let (mut permits, mut waits) = (Vec::new(), Vec::<Wait>::new());
        for event in events {
            match event {
                Event::Arrive => match upstreams.admit() {
                    Admission::Admitted(permit) => permits.push(permit),
                    Admission::Waiting(wait) => {
                    wait.counts();
                    waits.push(wait);
                },
                    Admission::Full => {}
                },
                Event::End(index) if !permits.is_empty() => {
                    let index = index % permits.len();
                    drop(permits.swap_remove(index));
                }
                Event::GiveUp(index) if !waits.is_empty() => {
                    let index = index % waits.len();
                    drop(waits.remove(index));
                }
                Event::End(_) | Event::GiveUp(_) => {}
                Event::Route(number, port) => upstreams.route(&id(number), address(port)),
                Event::Drain(number) => upstreams.drain(&id(number)),
            }
            // Those who were called came before all who were not.
            while let Some(permit) = waits.first_mut().and_then(|first| first.called.try_recv().ok()) {
                permits.push(permit);
                waits.remove(0);
            }
            check(&upstreams, &permits, &waits, slots);
        }
    }
}

const FAILED: Failure = Failure::Status(hyper::StatusCode::INTERNAL_SERVER_ERROR);

/// Each request is answered at once: well, or not by those whose number is in `bad`.
fn serve(upstreams: &Arc<Upstreams>, requests: usize, bad: &[u8]) -> usize {
    let mut failed = 0;
    for _ in 0..requests {
        let permit = admitted(upstreams.admit());
        if bad.iter().any(|number| permit.server.replica == id(*number)) {
            failed += 1;
            upstreams.failed(&permit.server, FAILED);
        } else {
            upstreams.did_well(&permit);
        }
    }
    failed
}

fn out(upstreams: &Upstreams) -> Vec<ReplicaId> {
    let down = |report: &ServerReport| matches!(report.health, ServerHealth::Down { .. });
    upstreams.report().1.into_iter().filter(|(_, report)| down(report)).map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_server_that_fails_every_request_is_out_after_five() {
    let upstreams = upstreams(None, 4);
    assert_eq!(serve(&upstreams, 1_000, &[2]), 5);
    assert_eq!(out(&upstreams), [id(2)]);
    assert_eq!(upstreams.trouble(), None);
}

#[tokio::test]
async fn half_may_be_out_and_what_else_fails_is_reported() {
    let upstreams = upstreams(None, 4);
    serve(&upstreams, 1_000, &[0, 1, 2]);
    assert_eq!(out(&upstreams).len(), 2);
    let trouble = upstreams.trouble().unwrap();
    assert!(trouble.starts_with("1 replica fails, but no more than 2 of 4 may be"), "{trouble}");
}

#[tokio::test]
async fn where_all_fail_none_is_out_even_if_one_began() {
    let upstreams = upstreams(None, 3);
    serve(&upstreams, 100, &[0]);
    assert_eq!(out(&upstreams), [id(0)]);
    assert_eq!(serve(&upstreams, 100, &[0, 1, 2]), 100);
    assert_eq!(out(&upstreams), []);
    let trouble = upstreams.trouble().unwrap();
    assert!(trouble.starts_with("all 3 replicas fail, so none is ejected; "), "{trouble}");
    // One of them is well again: the others are out once they fail beside it, as far as they may.
    serve(&upstreams, 100, &[0, 1]);
    assert_eq!(out(&upstreams).len(), 1);
}

#[tokio::test]
async fn the_only_server_is_never_out_and_one_that_is_left_alone_comes_back() {
    let alone = upstreams(None, 1);
    assert_eq!(serve(&alone, 50, &[0]), 50);
    assert!(
        alone.trouble().unwrap().starts_with("the only replica fails, and still gets requests")
    );
    let pair = upstreams(None, 2);
    serve(&pair, 50, &[0]);
    assert_eq!(out(&pair), [id(0)]);
    pair.drain(&id(1));
    assert_eq!(out(&pair), []);
    assert_eq!(admitted(pair.admit()).server.replica, id(0));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_out_is_tried_with_one_request_and_comes_back_by_it() {
    let upstreams = upstreams(None, 3);
    serve(&upstreams, 100, &[0]);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let trial = admitted(upstreams.admit());
    assert_eq!(trial.server.replica, id(0));
    let next: Vec<Permit> = (0..4).map(|_| admitted(upstreams.admit())).collect();
    assert!(next.iter().all(|permit| permit.server.replica != id(0)), "one at a time");
    upstreams.failed(&trial.server, FAILED);
    drop(trial);
    assert_eq!(serve(&upstreams, 50, &[0]), 0, "it is out for longer");
    tokio::time::sleep(Duration::from_secs(11)).await;
    // A client that leaves shows nothing; the next request tries again.
    drop(admitted(upstreams.admit()));
    let trial = admitted(upstreams.admit());
    assert_eq!(trial.server.replica, id(0));
    upstreams.did_well(&trial);
    assert_eq!(out(&upstreams), []);
    assert_eq!(serve(&upstreams, 50, &[]), 0);
}

#[tokio::test]
async fn connects_that_fail_at_the_same_moment_are_one_failure() {
    let upstreams = upstreams(None, 2);
    let permits: Vec<Permit> = (0..20).map(|_| admitted(upstreams.admit())).collect();
    for permit in permits.iter().filter(|permit| permit.server.replica == id(0)) {
        upstreams.connect_failed(&permit.server);
    }
    assert_eq!(out(&upstreams), []);
}

#[tokio::test]
async fn none_is_out_where_that_is_switched_off() {
    let upstreams = Arc::new(Upstreams::new(None, 100, 0.0));
    (0..2).for_each(|number| upstreams.route(&id(number), address(1 + u16::from(number))));
    assert_eq!(serve(&upstreams, 100, &[0]), 50);
    assert_eq!(out(&upstreams), []);
}
