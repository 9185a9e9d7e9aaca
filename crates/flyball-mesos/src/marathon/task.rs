//! Name, address and phase of a Marathon task.
//!
//! A task counts as running only after every check of its app has passed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use flyball_core::units::ReplicaId;

use super::answers::{AddressAnswer, TaskAnswer};
use super::app::{App, Way};

/// Enough of a task's id to distinguish it from the others of its app.
const SHORT: usize = 8;

/// The state of a task whose agent the master does not hear of.
pub(super) const UNREACHABLE: &str = "TASK_UNREACHABLE";

/// The addresses of agents that Marathon gives by name.
pub(super) type Names = BTreeMap<String, IpAddr>;

/// What flyball knows of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    /// The Mesos id of its agent.
    pub(super) agent: Option<String>,
    /// What people call that agent.
    pub(super) host: Option<String>,
    pub(super) stage: Stage,
    pub(super) address: Option<SocketAddr>,
    /// When it was staged, in milliseconds since 1970-01-01 UTC.
    pub(super) staged_wall_ms: Option<i64>,
    /// As Marathon calls it.
    pub(super) state: String,
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It does not run, or has not passed its checks.
    Coming,
    /// It runs and passes its checks.
    Running,
    /// It was asked to end.
    Killing,
    /// Its agent is not heard of, or Mesos has lost sight of it.
    Unreachable,
    /// It has ended.
    Over,
}

impl Task {
    pub(super) fn of(answer: &TaskAnswer, app: &App, names: &Names) -> Self {
        let state = answer.state.clone().unwrap_or_else(|| guessed(answer));
        Self {
            id: answer.id.clone(),
            agent: answer.slave_id.clone(),
            host: answer.host.clone(),
            stage: stage(&state, answer, app),
            address: address(answer, app, names),
            staged_wall_ms: answer.staged_at.as_deref().and_then(wall_ms),
            state,
        }
    }

    /// One that Marathon has forgotten already.
    pub(super) fn lost(id: String) -> Self {
        let (agent, host, address, staged_wall_ms) = (None, None, None, None);
        Self { id, agent, host, stage: Stage::Over, address, staged_wall_ms, state: String::new() }
    }

    /// What the replica is called: `SERVICE.` and the beginning of what is unique in the task's id.
    pub(super) fn replica(&self, service: &str) -> ReplicaId {
        let (_, unique) = self.id.split_once('.').unwrap_or_default();
        let unique = unique.strip_prefix("instance-").unwrap_or(unique);
        match unique.get(..SHORT).filter(|short| short.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(short) => ReplicaId::new(format!("{service}.{short}")),
            None => ReplicaId::new(self.id.clone()),
        }
    }
}

/// Versions before 1.2 do not report the state.
fn guessed(answer: &TaskAnswer) -> String {
    let started = answer.started_at.is_some();
    if started { "TASK_RUNNING" } else { "TASK_STAGING" }.to_owned()
}

fn stage(state: &str, answer: &TaskAnswer, app: &App) -> Stage {
    match state {
        "TASK_RUNNING" => {
            let results = &answer.health_check_results;
            let healthy = !results.is_empty() && results.iter().all(|result| result.alive);
            let ready = app.ready.as_ref().is_none_or(|ready| ready.contains(&answer.id));
            if ready && (healthy || !app.checked) { Stage::Running } else { Stage::Coming }
        }
        "TASK_KILLING" => Stage::Killing,
        UNREACHABLE | "TASK_LOST" | "TASK_UNKNOWN" => Stage::Unreachable,
        "TASK_FAILED"
        | "TASK_FINISHED"
        | "TASK_KILLED"
        | "TASK_ERROR"
        | "TASK_DROPPED"
        | "TASK_GONE"
        | "TASK_GONE_BY_OPERATOR" => Stage::Over,
        _ => Stage::Coming,
    }
}

fn address(answer: &TaskAnswer, app: &App, names: &Names) -> Option<SocketAddr> {
    match app.way {
        Way::Agent(index) => {
            let host = answer.host.as_deref()?;
            let ip = host.parse().ok().or_else(|| names.get(host).copied())?;
            Some((ip, answer.ports.get(index).copied().filter(|port| *port > 0)?).into())
        }
        Way::Own(port) => {
            let parsed = |own: &AddressAnswer| own.ip_address.parse::<IpAddr>().ok();
            Some((answer.ip_addresses.iter().find_map(parsed)?, port).into())
        }
        Way::Nowhere(_) => None,
    }
}

fn wall_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn task(answer: Value, app: &Value) -> Task {
        let app = App::of(&serde_json::from_value(app.clone()).unwrap(), None, true);
        let names = Names::from([("agent-5".to_owned(), "10.0.0.5".parse().unwrap())]);
        Task::of(&serde_json::from_value(answer).unwrap(), &app, &names)
    }

    fn running() -> Value {
        json!({
            "id": "shop_web.instance-564bd685-4c30-11e5-98c1-be5b2935a987._app.1", "host": "agent-5",
            "ipAddresses": [{ "ipAddress": "172.17.0.2", "protocol": "IPv4" }], "ports": [31756],
            "slaveId": "S0", "state": "TASK_RUNNING", "stagedAt": "2015-09-29T15:59:51.164Z",
        })
    }

    #[test]
    fn a_task_is_reached_at_its_agent_or_at_its_own_address() {
        let found = task(running(), &json!({}));
        assert_eq!(found.address.unwrap().to_string(), "10.0.0.5:31756");
        assert_eq!(found.replica("web").as_str(), "web.564bd685");
        assert_eq!(found.staged_wall_ms, Some(1_443_542_391_164));
        let own = json!({
            "networks": [{ "mode": "container" }],
            "container": { "portMappings": [{ "containerPort": 80 }] },
        });
        assert_eq!(task(running(), &own).address.unwrap().to_string(), "172.17.0.2:80");
        let mut unknown = running();
        unknown["host"] = json!("agent-9");
        assert_eq!(task(unknown, &json!({})).address, None);
    }

    #[test]
    fn ids_of_all_versions_give_names() {
        let name = |id: &str| {
            let mut answer = running();
            answer["id"] = json!(id);
            task(answer, &json!({})).replica("web").as_str().to_owned()
        };
        assert_eq!(name("web.564bd685-4c30-11e5-98c1-be5b2935a987"), "web.564bd685");
        assert_eq!(name("web.56"), "web.56");
        assert_eq!(name("strange"), "strange");
        assert_eq!(name("web.instance-größer-als"), "web.instance-größer-als");
    }

    #[test]
    fn what_was_not_checked_yet_does_not_run_and_what_failed_a_check_neither() {
        let checked = json!({ "healthChecks": [{}] });
        let stage = |results: Value, app: &Value| {
            let mut answer = running();
            answer["healthCheckResults"] = results;
            task(answer, app).stage
        };
        assert_eq!(stage(Value::Null, &json!({})), Stage::Running);
        assert_eq!(stage(json!([]), &checked), Stage::Coming);
        assert_eq!(stage(json!([{ "alive": true }, { "alive": false }]), &checked), Stage::Coming);
        assert_eq!(stage(json!([{ "alive": true }]), &checked), Stage::Running);
        let id = running()["id"].clone();
        let ready = |ready: bool| {
            let results = json!([{ "taskId": id, "ready": ready }]);
            json!({ "readinessChecks": [{}], "readinessCheckResults": results })
        };
        assert_eq!(stage(json!([]), &ready(true)), Stage::Running);
        assert_eq!(stage(json!([]), &ready(false)), Stage::Coming);
        assert_eq!(stage(json!([]), &json!({ "readinessChecks": [{}] })), Stage::Coming);
    }

    #[test]
    fn states_of_all_versions_are_known() {
        let stage = |state: &str| {
            let mut answer = running();
            answer["state"] = json!(state);
            task(answer, &json!({})).stage
        };
        assert_eq!(stage("TASK_STAGING"), Stage::Coming);
        assert_eq!(stage("TASK_LOST"), Stage::Unreachable);
        assert_eq!(stage("TASK_UNREACHABLE"), Stage::Unreachable);
        assert_eq!(stage("TASK_KILLING"), Stage::Killing);
        assert_eq!(stage("TASK_GONE_BY_OPERATOR"), Stage::Over);
        assert_eq!(stage("TASK_OF_LATER"), Stage::Coming);
    }
}
