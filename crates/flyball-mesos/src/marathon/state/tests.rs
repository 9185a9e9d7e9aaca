//! Reports about an app, answer by answer.

use serde_json::{Value, json};

use super::*;
use crate::marathon::rollouts::deployments_of;
use crate::marathon::task::Names;

fn settings() -> AppSettings {
    AppSettings {
        service: "web".into(),
        app: "/web".into(),
        port: None,
        balanced: true,
        obeys_hold: true,
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn id(n: u32) -> String {
    format!("web.{n:08x}-4c30-11e5-98c1-be5b2935a987")
}

fn task(n: u32, state: &str) -> Value {
    json!({ "id": id(n), "host": "10.0.0.5", "ports": [31_000 + n], "slaveId": "S0", "state": state })
}

/// What is known, and the time of the next answer.
struct Seen {
    state: State,
    now_ms: u64,
}

impl Seen {
    fn new() -> Self {
        Self { state: State::default(), now_ms: 1_000 }
    }

    /// An answer that was asked for a second after the one before.
    fn sees(&mut self, instances: u32, tasks: &[Value], more: Value, deployments: Value) -> bool {
        self.now_ms += 1_000;
        let mut answer = json!({ "id": "/web", "instances": instances, "tasks": tasks });
        for (key, value) in more.as_object().unwrap() {
            answer[key] = value.clone();
        }
        let answer: crate::marathon::answers::AppAnswer = serde_json::from_value(answer).unwrap();
        let app = App::of(&answer, None, true);
        let tasks = answer.tasks.iter().map(|task| Task::of(task, &app, &Names::new())).collect();
        let (deployments, asked_at) = (deployments_of(&deployments), at(self.now_ms));
        let answer = Answer { app, tasks, deployments: &deployments, pending: None, asked_at };
        self.state.learn(answer, &settings(), at(self.now_ms))
    }

    fn report(&self) -> EngineReport {
        self.state.report(&settings(), at(self.now_ms))
    }

    fn phases(&self) -> Vec<Phase> {
        self.report().replicas.iter().map(|replica| replica.phase).collect()
    }

    fn ready(&mut self, n: u32) {
        assert!(self.state.set_ready(&ReplicaId::new(format!("web.{n:08x}")), at(self.now_ms)));
    }
}

fn none() -> Value {
    json!({})
}

fn scale(id: &str) -> Value {
    json!([{ "id": id, "steps": [{ "actions": [{ "action": "ScaleApplication", "app": "/web" }] }] }])
}

fn held_by(id: &str) -> Value {
    json!({ "deployments": [{ "id": id }] })
}

#[test]
fn a_task_that_was_ended_does_not_come_back_while_it_ends() {
    let mut seen = Seen::new();
    let both = [task(1, "TASK_RUNNING"), task(2, "TASK_RUNNING")];
    seen.sees(2, &both, none(), none());
    seen.ready(1);
    seen.ready(2);
    seen.state.count_set(1, Some("d1".into()), &[id(2)], at(seen.now_ms));
    assert_eq!(seen.phases(), [Phase::Ready, Phase::Stopping]);
    // Marathon reports no state of its own for it; its deployment may be gone from the list.
    seen.sees(1, &both, none(), none());
    assert_eq!(seen.phases(), [Phase::Ready, Phase::Stopping]);
    seen.now_ms += ENDING_MS + 10_000;
    seen.sees(1, &both, none(), none());
    assert_eq!(seen.phases(), [Phase::Ready, Phase::Ready], "somebody kept it");
}

#[test]
fn an_answer_from_before_an_order_is_not_taken_in() {
    let mut seen = Seen::new();
    seen.sees(2, &[], none(), none());
    seen.state.count_set(5, Some("d1".into()), &[], at(seen.now_ms + 1_000));
    assert!(!seen.sees(2, &[], none(), none()));
    assert_eq!(seen.state.wanted(), Some(5));
    assert!(seen.sees(5, &[], held_by("d1"), none()));
    assert_eq!(seen.report().busy, None, "the deployment is flyball's own");
}

#[test]
fn deployments_of_others_hold_and_a_scale_found_at_the_start_does_not() {
    let mut seen = Seen::new();
    seen.sees(2, &[], held_by("old"), scale("old"));
    assert_eq!(seen.report().busy, None, "an earlier run began it");
    seen.sees(3, &[], held_by("new"), scale("new"));
    assert!(
        seen.report()
            .busy
            .unwrap()
            .contains("external deployment new is in progress (ScaleApplication)")
    );
    let restart =
        json!([{ "id": "r", "steps": [[{ "action": "RestartApplication", "app": "/web" }]] }]);
    let mut first = Seen::new();
    first.sees(2, &[], held_by("r"), restart);
    assert!(first.report().busy.unwrap().contains("RestartApplication"));
    let mut held = Seen::new();
    held.sees(2, &[], json!({ "labels": { "flyball.hold": "true" } }), none());
    assert!(held.report().busy.unwrap().contains("flyball.hold"));
}

#[test]
fn a_change_whose_answer_was_lost_is_known_again_for_flyballs_own() {
    let mut seen = Seen::new();
    seen.sees(2, &[], none(), none());
    seen.state.doubt(at(seen.now_ms));
    seen.sees(2, &[], none(), none());
    seen.sees(4, &[], held_by("d7"), scale("d7"));
    assert_eq!(seen.report().busy, None);
    seen.now_ms += DOUBT_MS;
    seen.sees(5, &[], held_by("d8"), scale("d8"));
    assert!(seen.report().busy.is_some());
}

#[test]
fn a_lost_task_is_unhealthy_until_it_is_back_and_is_no_crash() {
    let mut seen = Seen::new();
    let failure = json!({ "lastTaskFailure": { "taskId": id(1), "state": "TASK_UNREACHABLE" } });
    seen.sees(1, &[task(1, "TASK_RUNNING")], none(), none());
    seen.ready(1);
    seen.sees(1, &[task(1, "TASK_UNREACHABLE")], failure.clone(), none());
    assert_eq!(seen.phases(), [Phase::Unhealthy]);
    seen.sees(1, &[task(1, "TASK_RUNNING")], failure, none());
    assert_eq!((seen.phases(), seen.report().exits), (vec![Phase::Ready], Vec::new()));
}

#[test]
fn a_crash_is_told_once_also_of_a_task_that_no_look_saw() {
    let mut seen = Seen::new();
    let failed = |n: u32| {
        let message = "Command exited with status 1";
        json!({ "lastTaskFailure": { "taskId": id(n), "state": "TASK_FAILED", "message": message } })
    };
    seen.sees(1, &[task(1, "TASK_RUNNING")], failed(9), none());
    assert!(seen.report().exits.is_empty(), "it is from before flyball began");
    for _ in 0..2 {
        seen.sees(1, &[task(2, "TASK_STAGING")], failed(1), none());
    }
    seen.sees(1, &[task(4, "TASK_STAGING")], failed(3), none());
    let exits = seen.report().exits;
    let names: Vec<&str> = exits.iter().map(|exit| exit.replica.as_str()).collect();
    assert_eq!(names, ["web.00000001", "web.00000003"]);
    assert_eq!(exits[0].reason, "TASK_FAILED: Command exited with status 1");
}

#[test]
fn tasks_whose_names_would_be_alike_are_called_by_their_ids() {
    let mut seen = Seen::new();
    let mut twin = task(1, "TASK_RUNNING");
    twin["id"] = json!("web.00000001-9999-11e5-98c1-be5b2935a987");
    seen.sees(2, &[task(1, "TASK_RUNNING"), twin], none(), none());
    let report = seen.report();
    let names: Vec<&str> = report.replicas.iter().map(|replica| replica.id.as_str()).collect();
    assert_eq!(names, ["web.00000001", "web.00000001-9999-11e5-98c1-be5b2935a987"]);
}

#[test]
fn an_app_that_is_away_has_no_count_and_says_so() {
    let mut seen = Seen::new();
    seen.sees(1, &[task(1, "TASK_RUNNING")], none(), none());
    seen.state.gone();
    let report = seen.report();
    assert_eq!((report.replicas, report.count), (Vec::new(), None));
    assert_eq!(report.busy.as_deref(), Some("marathon has no app /web"));
}

#[test]
fn only_a_task_that_is_unreachable_says_that_its_agent_is_not_heard_of() {
    let mut seen = Seen::new();
    for (state, lost) in [
        ("TASK_RUNNING", false),
        ("TASK_LOST", false),
        ("TASK_UNKNOWN", false),
        (UNREACHABLE, true),
    ] {
        seen.sees(1, &[task(1, state)], none(), none());
        let placed = seen.state.placed();
        let found: Vec<_> = placed.iter().map(|it| (it.agent, it.host, it.lost)).collect();
        assert_eq!(found, [("S0", Some("10.0.0.5"), lost)], "{state}");
    }
}
