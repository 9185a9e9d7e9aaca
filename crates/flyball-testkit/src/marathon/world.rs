//! Apps, tasks and deployments, and the changes to them, as in Marathon. Each change of an app is a
//! deployment, which locks the app until its target is reached.

use std::collections::BTreeMap;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::marathon::LabSettings;
use crate::marathon::process::Process;

/// Events that a slow reader may be behind.
const EVENTS_KEPT: usize = 50;

pub(crate) struct World {
    pub(crate) knobs: LabSettings,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) deployments: Vec<Deployment>,
    /// Changes that were asked for, as `METHOD PATH?QUERY`.
    pub(crate) asked: Vec<String>,
    /// Events of a type; `None` ends all streams.
    pub(crate) events: broadcast::Sender<Option<(&'static str, Value)>>,
    made: u32,
}

pub(crate) struct App {
    /// As it was written, without what changes.
    pub(crate) definition: Value,
    pub(crate) instances: usize,
    pub(crate) failure: Option<Value>,
    /// No task is launched before.
    pub(crate) not_before: Option<Instant>,
    pub(crate) crashes: i32,
}

pub(crate) struct Task {
    pub(crate) app: String,
    pub(crate) agent: usize,
    pub(crate) port: u16,
    pub(crate) stage: Stage,
    pub(crate) since: Instant,
    pub(crate) staged_wall: String,
    pub(crate) process: Option<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Unreachable,
    Staging,
    Running,
    Killing,
}

pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) app: String,
    /// `ScaleApplication` ends by itself; anything else when it is let go.
    pub(crate) action: &'static str,
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Refused {
    NoApp,
    Locked(Vec<String>),
}

impl World {
    pub(crate) fn new(knobs: LabSettings) -> Self {
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let (apps, tasks, deployments) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { knobs, apps, tasks, deployments, asked: Vec::new(), events, made: 0 }
    }

    pub(crate) fn publish(&self, kind: &'static str, mut event: Value) {
        event["eventType"] = json!(kind);
        // There may be no listener.
        let _receivers = self.events.send(Some((kind, event)));
    }

    /// The tasks of `app` that were not ordered to end, by their ids.
    pub(crate) fn active(&self, app: &str) -> Vec<String> {
        let of_app = self.tasks.iter().filter(|(_, task)| task.app == app);
        of_app.filter(|(_, task)| task.stage != Stage::Killing).map(|(id, _)| id.clone()).collect()
    }

    /// An id that begins with `what` and does not come again.
    pub(crate) fn next_id(&mut self, what: &str) -> String {
        self.made += 1;
        // The order of its letters is not that of its making.
        let mixed = self.made.wrapping_mul(0x9E37_79B1);
        format!("{what}{mixed:08x}-4c30-11e5-98c1-{:012x}", self.made)
    }

    /// Makes the app that `definition` is of, or changes it.
    pub(crate) fn put(&mut self, definition: Value, instances: usize) -> String {
        let id = definition["id"].as_str().unwrap_or_default().to_owned();
        let app = self.apps.entry(id.clone()).or_insert_with(|| App {
            definition: Value::Null,
            instances: 0,
            failure: None,
            not_before: None,
            crashes: 0,
        });
        (app.definition, app.instances) = (definition, instances);
        self.deploy(&id, "ScaleApplication")
    }

    /// Begins a deployment of an app.
    pub(crate) fn deploy(&mut self, app: &str, action: &'static str) -> String {
        let id = self.next_id("");
        let deployment = Deployment { id: id.clone(), app: app.to_owned(), action };
        self.deployments.push(deployment);
        let step = json!({ "actions": [{ "action": action, "app": app }] });
        self.publish("deployment_info", json!({ "plan": { "id": id, "steps": [step] } }));
        id
    }

    /// Ends the deployments of an app, or reports that they are in the way.
    fn take_lock(&mut self, app: &str, force: bool) -> Result<(), Refused> {
        if !self.apps.contains_key(app) {
            return Err(Refused::NoApp);
        }
        let holders = self.deployments.iter().filter(|it| it.app == app);
        let ids: Vec<String> = holders.map(|it| it.id.clone()).collect();
        if !ids.is_empty() && !force {
            return Err(Refused::Locked(ids));
        }
        self.deployments.retain(|it| it.app != app);
        for id in ids {
            self.publish("deployment_failed", json!({ "id": id, "app": app }));
        }
        Ok(())
    }

    /// Changes a count.
    pub(crate) fn scale(&mut self, app: &str, to: usize, force: bool) -> Result<String, Refused> {
        self.take_lock(app, force)?;
        if let Some(app) = self.apps.get_mut(app) {
            app.instances = to;
        }
        self.publish("api_post_event", json!({ "appDefinition": { "id": app, "instances": to } }));
        Ok(self.deploy(app, "ScaleApplication"))
    }

    /// Ends tasks and lowers the counts of their apps by those that were not ending already.
    pub(crate) fn kill_and_scale(
        &mut self,
        ids: &[String],
        force: bool,
    ) -> Result<String, Refused> {
        let mut by_app: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for id in ids {
            let task = self.tasks.get(id).filter(|task| task.stage != Stage::Killing);
            if let Some(task) = task {
                by_app.entry(task.app.clone()).or_default().push(id.clone());
            }
        }
        let mut deployment = self.next_id("");
        for (app, ids) in by_app {
            self.take_lock(&app, force)?;
            if let Some(app) = self.apps.get_mut(&app) {
                app.instances = app.instances.saturating_sub(ids.len());
            }
            ids.iter().for_each(|id| self.kill(id));
            deployment = self.deploy(&app, "ScaleApplication");
        }
        Ok(deployment)
    }

    /// Sends a task its stop signal.
    pub(crate) fn kill(&mut self, id: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        (task.stage, task.since) = (Stage::Killing, Instant::now());
        if let Some(process) = &task.process {
            process.signal(Signal::TERM);
        }
    }

    /// Whom Marathon picks: first those that are lost, then those that come; of equals the youngest.
    pub(crate) fn surplus(&self, app: &str, count: usize) -> Vec<String> {
        let mut ids = self.active(app);
        ids.sort_by_key(|id| (self.tasks[id].stage, std::cmp::Reverse(self.tasks[id].since)));
        ids.truncate(count);
        ids
    }

    pub(crate) fn tell_status(&self, id: &str, app: &str, state: &str) {
        let event = json!({ "taskId": id, "appId": app, "taskStatus": state, "slaveId": "S0" });
        self.publish("status_update_event", event);
    }
}
