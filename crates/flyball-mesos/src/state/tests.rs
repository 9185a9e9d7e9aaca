//! The framework's state and its next calls, event by event.

use serde_json::json;

use super::*;
use crate::MesosSettings;
use crate::offer::tests::offer;
use flyball_core::observation::{Phase, ReplicaReport};

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn id(name: &str) -> ReplicaId {
    ReplicaId::new(name)
}

fn settings() -> MesosSettings {
    MesosSettings { cpus: 0.5, memory_bytes: 64 << 20, ..MesosSettings::new("web", "web:1", 80) }
}

/// A state with the service `web` that has been fully listed.
fn state() -> State {
    let mut state = State::new(None, at(0));
    state.pools.insert("web".into(), ServiceTasks::new(settings(), at(0)));
    state.subscribed("F".into(), at(1));
    state.listed(Listing::default(), at(2));
    state
}

fn update(task: &str, state: TaskState) -> Event {
    Event::Update(Update {
        task: task.into(),
        agent: Some("S1".into()),
        state,
        message: "so it was".into(),
        uuid: Some("dXVpZA==".into()),
    })
}

fn report(state: &State, now: u64) -> EngineReport {
    match state.observe("web", at(now)) {
        Reading::Taken { value, .. } => value,
        Reading::Missing { why, .. } => panic!("nothing known: {why}"),
    }
}

fn replicas(state: &State) -> Vec<(String, Phase)> {
    let said = |r: &ReplicaReport| (r.id.to_string(), r.phase);
    report(state, 0).replicas.iter().map(said).collect()
}

/// A state with `web-1` running on the agent S1; and its task.
fn running() -> (State, String) {
    let mut state = state();
    assert!(state.order("web", &id("web-1"), at(10)));
    state.take(Event::Offers(vec![offer(1, 2.0, 512.0)]), at(11));
    state.calls(at(11), 1_000);
    let task = state.tasks.keys().next().unwrap().clone();
    state.take(update(&task, TaskState::Running), at(20));
    state.calls(at(20), 1_000);
    (state, task)
}

#[test]
fn an_order_becomes_a_task_on_an_offer_and_offers_end_with_the_last_one() {
    let mut state = state();
    assert_eq!(state.calls(at(3), 1_000), [Call::Suppress]);
    assert!(state.order("web", &id("web-1"), at(10)));
    assert!(!state.order("web", &id("web-1"), at(10)), "asked for twice");
    assert_eq!(state.calls(at(10), 1_000), [Call::Revive]);
    state.take(Event::Offers(vec![offer(1, 2.0, 512.0), offer(2, 1.0, 512.0)]), at(11));
    let calls = state.calls(at(11), 1_000);
    let [Call::Accept { offer, tasks, .. }, Call::Decline { offers, .. }, Call::Suppress] =
        &calls[..]
    else {
        panic!("{calls:?}")
    };
    assert_eq!((offer.as_str(), &offers[..]), ("offer-1", &["offer-2".to_owned()][..]));
    assert_eq!(tasks[0]["task_id"], json!({ "value": "web-1.3e8-1" }));
    assert_eq!(replicas(&state), [("web-1".into(), Phase::Starting)]);
    assert!(!state.order("web", &id("web-1"), at(12)), "a task already");
}

#[test]
fn a_replica_goes_from_starting_to_ready_to_its_end() {
    let (mut state, task) = running();
    let address = report(&state, 20).replicas[0].address;
    assert_eq!(address.map(|a| a.to_string()).as_deref(), Some("10.0.0.1:31000"));
    state.set_ready("web", &id("web-1"), at(30));
    assert_eq!(replicas(&state), [("web-1".into(), Phase::Ready)]);
    state.order_end("web", &id("web-1"));
    let calls = state.calls(at(40), 1_000);
    assert!(matches!(&calls[..], [Call::Kill { task: told, .. }] if *told == task), "{calls:?}");
    assert_eq!(state.calls(at(41), 1_000), [], "ordered once");
    assert!(matches!(state.calls(at(6_000), 1_000)[..], [Call::Kill { .. }]), "and again");
    state.take(update(&task, TaskState::Ended("killed")), at(6_001));
    let seen = report(&state, 6_001);
    assert_eq!((seen.replicas.len(), seen.exits.len()), (0, 0));
    assert!(matches!(state.calls(at(6_001), 1_000)[..], [Call::Acknowledge { .. }]));
}

#[test]
fn an_end_that_nobody_asked_for_is_told_with_mesoss_words() {
    let (mut state, task) = running();
    state.set_ready("web", &id("web-1"), at(30));
    state.take(update(&task, TaskState::Ended("failed")), at(530));
    let exits = report(&state, 530).exits;
    assert_eq!((exits[0].ready_ms, exits[0].reason.as_str()), (Some(500), "failed: so it was"));
}

#[test]
fn a_task_that_never_came_to_its_agent_is_put_on_another_offer() {
    for ended in [TaskState::Dropped, TaskState::Gone] {
        let mut state = state();
        state.order("web", &id("web-1"), at(10));
        state.take(Event::Offers(vec![offer(1, 2.0, 512.0)]), at(11));
        state.calls(at(11), 1_000);
        let task = state.tasks.keys().next().unwrap().clone();
        state.take(update(&task, ended), at(12));
        assert_eq!(replicas(&state), [("web-1".into(), Phase::Starting)]);
        assert!(report(&state, 12).exits.is_empty());
        assert!(state.calls(at(12), 1_000).contains(&Call::Revive));
        state.take(Event::Offers(vec![offer(2, 2.0, 512.0)]), at(13));
        state.calls(at(13), 1_000);
        let again = state.tasks.keys().next().unwrap();
        assert_ne!(*again, task, "an id was used again");
    }
}

#[test]
fn a_task_on_an_agent_that_does_not_answer_is_unhealthy_and_may_come_back() {
    let (mut state, task) = running();
    state.set_ready("web", &id("web-1"), at(30));
    state.take(update(&task, TaskState::Unreachable), at(40));
    assert_eq!(replicas(&state), [("web-1".into(), Phase::Unhealthy)]);
    assert_eq!(report(&state, 40).replicas[0].address, None);
    state.take(update(&task, TaskState::Running), at(50));
    assert_eq!(replicas(&state), [("web-1".into(), Phase::Ready)]);
    state.take(update(&task, TaskState::Unreachable), at(60));
    state.order_end("web", &id("web-1"));
    assert_eq!(replicas(&state), []);
}

#[test]
fn while_the_master_is_away_nothing_is_reported_and_orders_wait() {
    let (mut state, _) = running();
    assert!(state.lost("gone".into()) && !state.lost("gone".into()));
    assert!(
        matches!(state.observe("web", at(30)), Reading::Missing { since, .. } if since == at(20))
    );
    state.order("web", &id("web-2"), at(31));
    assert_eq!(state.calls(at(31), 1_000), []);
    state.subscribed("F".into(), at(40));
    assert!(matches!(state.observe("web", at(40)), Reading::Missing { .. }), "before the listing");
    state.take(Event::Offers(vec![offer(2, 2.0, 512.0)]), at(40));
    assert_eq!(state.calls(at(40), 1_000), [], "an offer is kept until it is known what is there");
    state.listed(Listing::default(), at(41));
    let calls = state.calls(at(41), 1_000);
    assert!(
        matches!(&calls[..], [Call::Reconcile(tasks), Call::Accept { .. }, ..] if tasks.len() == 1),
        "{calls:?}"
    );
    assert_eq!(replicas(&state).len(), 2, "what a listing lacks may be on its way back");
}

#[test]
fn tasks_of_an_earlier_run_are_found_with_their_addresses() {
    let mut state = state();
    let agent = Agent::of_pid("n7", "slave(1)@10.0.0.7:5051").unwrap();
    let task = |id: &str, replica: &str| ListedTask {
        id: id.into(),
        service: "web".into(),
        replica: replica.into(),
        agent: "S7".into(),
        state: TaskState::Running,
        cpus: 0.5,
        port: Some(31_002),
        age: std::time::Duration::from_secs(60),
    };
    let tasks = vec![task("web-4.a", "web-4"), task("web-4.b", "web-4")];
    state.listed(Listing { agents: [("S7".into(), agent)].into(), tasks }, at(100));
    let seen = report(&state, 100).replicas;
    let one = |name: &str| seen.iter().find(|replica| replica.id.as_str() == name).unwrap();
    let address = one("web-4").address.map(|a| a.to_string());
    assert_eq!(address.as_deref(), Some("10.0.0.7:31002"));
    assert_eq!((one("web-4").asked_at, one("web-4").phase), (at(0), Phase::Starting));
    assert_eq!(one("web-4.b").phase, Phase::Stopping, "its double ends");
}

#[test]
fn why_nothing_starts_is_said_with_the_offers_or_without_any() {
    let mut state = state();
    state.order("web", &id("web-1"), at(10));
    assert_eq!(report(&state, 100).pending, None);
    assert_eq!(report(&state, 3_010).pending.as_deref(), Some("mesos has offered nothing for 3 s"));
    state.take(Event::Offers(vec![offer(1, 0.1, 512.0)]), at(3_011));
    state.calls(at(3_011), 1_000);
    let why = "1 offer of mesos, none fits: at most 0.1 of 0.5 cpus on 1";
    assert_eq!(report(&state, 3_012).pending.as_deref(), Some(why));
    state.order_end("web", &id("web-1"));
    assert_eq!(report(&state, 3_013).pending, None);
}

#[test]
fn an_update_of_an_unknown_task_asks_for_a_listing_and_is_acknowledged() {
    let mut state = state();
    state.relist = false;
    state.take(update("web-9.z", TaskState::Running), at(5));
    assert!(state.relist);
    assert!(matches!(state.calls(at(5), 1_000)[0], Call::Acknowledge { .. }));
}

#[test]
fn a_counter_of_a_silent_agent_goes_missing() {
    let (mut state, task) = running();
    let cpu = flyball_core::observation::CpuCounter { at: at(90), used_ns: 7 };
    state.counted(&task, Used { heard_at: at(100), cpu, throttled: None });
    assert_eq!(report(&state, 5_000).replicas[0].cpu, Some(cpu));
    assert_eq!(report(&state, 5_101).replicas[0].cpu, None);
}
