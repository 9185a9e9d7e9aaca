//! The agents and tasks that a master lists.
//!
//! Entries without an id, address or state are skipped, and so are tasks of other frameworks.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;

use crate::agents::Agent;
use crate::call::{REPLICA, SERVICE};
use crate::event::TaskState;

/// All that was listed at once.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) agents: BTreeMap<String, Agent>,
    /// Those that are not over.
    pub(crate) tasks: Vec<ListedTask>,
}

/// A task that flyball started, now or in an earlier run.
#[derive(Debug)]
pub(crate) struct ListedTask {
    pub(crate) id: String,
    pub(crate) service: String,
    pub(crate) replica: String,
    pub(crate) agent: String,
    pub(crate) state: TaskState,
    pub(crate) cpus: f64,
    pub(crate) port: Option<u16>,
    /// How long ago it was first heard of, by the clocks of the cluster and of this machine.
    pub(crate) age: Duration,
}

#[derive(Deserialize)]
struct RawTasks {
    #[serde(default)]
    tasks: Vec<RawTask>,
}

#[derive(Deserialize)]
struct RawTask {
    #[serde(default)]
    id: String,
    #[serde(default)]
    framework_id: String,
    #[serde(default)]
    slave_id: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    resources: RawResources,
    #[serde(default)]
    labels: Vec<RawLabel>,
    #[serde(default)]
    statuses: Vec<RawStatus>,
}

#[derive(Default, Deserialize)]
struct RawResources {
    cpus: Option<f64>,
    /// `[31004-31004]`.
    ports: Option<String>,
}

#[derive(Deserialize)]
struct RawLabel {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct RawStatus {
    timestamp: Option<f64>,
}

/// The living tasks of `framework` in an answer of `/master/tasks`.
pub(crate) fn tasks(answer: &[u8], framework: &str) -> Result<Vec<ListedTask>, String> {
    let answer: RawTasks = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    let ours = answer.tasks.into_iter().filter(|task| task.framework_id == framework);
    Ok(ours.filter_map(task).collect())
}

fn task(raw: RawTask) -> Option<ListedTask> {
    let state = TaskState::of(&raw.state).filter(|state| !state.is_over())?;
    let label = |key: &str| {
        let found = raw.labels.iter().find(|label| label.key == key);
        found.map(|label| label.value.clone()).filter(|value| !value.is_empty())
    };
    let (service, replica) = (label(SERVICE)?, label(REPLICA)?);
    let first = raw.statuses.iter().filter_map(|status| status.timestamp).reduce(f64::min);
    let first = first.and_then(|at| Duration::try_from_secs_f64(at).ok());
    let since = first.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(at));
    let age = since.and_then(|at| at.elapsed().ok()).unwrap_or_default();
    let cpus = raw.resources.cpus.filter(|cpus| cpus.is_finite() && *cpus > 0.0)?;
    let port = raw.resources.ports.as_deref().and_then(first_port);
    let agent = raw.slave_id;
    Some(ListedTask { id: raw.id, service, replica, agent, state, cpus, port, age })
}

fn first_port(ranges: &str) -> Option<u16> {
    ranges.trim_start_matches('[').split(['-', ',', ']']).next()?.trim().parse().ok()
}

/// The agents in an answer of `/master/slaves`, by their ids.
pub(crate) fn agents(answer: &[u8]) -> Result<BTreeMap<String, Agent>, String> {
    let answer: Value = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    agents_of(&answer)
}

/// The same in an answer that was parsed.
pub(crate) fn agents_of(answer: &Value) -> Result<BTreeMap<String, Agent>, String> {
    let slaves = answer.get("slaves").and_then(Value::as_array).ok_or("no list of agents")?;
    let agent = |slave: &Value| {
        let text = |key: &str| slave.get(key).and_then(Value::as_str);
        let name = text("hostname").unwrap_or_default();
        let active = slave.get("active").and_then(Value::as_bool).unwrap_or(true);
        let agent = Agent::of_pid(name, text("pid")?)?;
        Some((text("id")?.to_owned(), Agent { active, ..agent }))
    };
    Ok(slaves.iter().filter_map(agent).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_living_tasks_of_the_framework_with_flyballs_marks_are_read() {
        let task = |id: &str, framework: &str, state: &str, marks: bool| {
            let labels = if marks {
                serde_json::json!([{ "key": SERVICE, "value": "web" }, { "key": REPLICA, "value": "web-1" }])
            } else {
                serde_json::json!([])
            };
            serde_json::json!({ "id": id, "framework_id": framework, "slave_id": "S0", "state": state,
                "resources": { "cpus": 0.5, "ports": "[31004-31004, 31010-31012]" }, "labels": labels,
                "statuses": [{ "timestamp": 1_795_408_141.7 }] })
        };
        let tasks = [
            task("a", "F", "TASK_RUNNING", true),
            task("b", "F", "TASK_KILLED", true),
            task("c", "G", "TASK_RUNNING", true),
            task("d", "F", "TASK_RUNNING", false),
            task("e", "F", "TASK_NEW_IN_2", true),
            serde_json::json!({}),
        ];
        let answer = serde_json::json!({ "tasks": tasks }).to_string();
        let found = super::tasks(answer.as_bytes(), "F").unwrap();
        let ids: Vec<_> = found.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["a"]);
        assert_eq!((found[0].port, found[0].cpus), (Some(31_004), 0.5));
        assert!(super::tasks(b"<html>", "F").is_err());
    }

    #[test]
    fn an_agent_that_cannot_be_reached_is_left_out() {
        let answer = br#"{"slaves":[{"id":"S0","hostname":"n0","pid":"slave(1)@10.0.0.5:5051"},
            {"id":"S1"},{},{"id":"S2","pid":"slave(1)@10.0.0.7:5051","active":false}]}"#;
        let found = agents(answer).unwrap();
        let found: Vec<_> = found.iter().map(|(id, it)| (&**id, &*it.name, it.active)).collect();
        assert_eq!(found, [("S0", "n0", true), ("S2", "10.0.0.7", false)]);
        assert!(agents(b"{}").is_err());
    }
}
