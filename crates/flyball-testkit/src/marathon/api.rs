//! The answers to requests: status and body as in Marathon. A non-leader answers as the leader
//! does, except for events, which it redirects.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::marathon::LabSettings;
use crate::marathon::render::FRAMEWORK;
use crate::marathon::world::{Refused, World};

/// A request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
    /// Where it came to.
    pub(crate) at: String,
}

pub(crate) type Answer = (StatusCode, Value);

fn fine(value: Value) -> Answer {
    (StatusCode::OK, value)
}

fn refused(status: StatusCode, message: &str) -> Answer {
    (status, json!({ "message": message }))
}

impl Asked {
    fn has(&self, what: &str) -> bool {
        self.query.split('&').any(|part| part == what)
    }
}

impl World {
    pub(crate) fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.method != Method::GET && asked.path != "/lab" {
            let mark = if asked.query.is_empty() { "" } else { "?" };
            self.asked.push(format!("{} {}{mark}{}", asked.method, asked.path, asked.query));
        }
        let path = asked.path.clone();
        if let Some(id) = path.strip_prefix("/v2/apps/") {
            return self.of_app(&format!("/{}", id.trim_start_matches('/')), asked);
        }
        if let Some(id) = path.strip_prefix("/v2/deployments/") {
            return self.cancel(id);
        }
        match (&asked.method, path.as_str()) {
            (&Method::GET, "/v2/info") => fine(json!({
                "name": "marathon", "version": self.knobs.version, "elected": true,
                "frameworkId": FRAMEWORK,
            })),
            (&Method::GET, "/v2/apps") => fine(self.list(&asked.query)),
            (&Method::POST, "/v2/apps") => self.make(asked.body.clone()),
            (&Method::GET, "/v2/tasks") => {
                let tasks = self.tasks.iter().map(|(id, task)| self.task(id, task));
                fine(json!({ "tasks": tasks.collect::<Vec<_>>() }))
            }
            (&Method::POST, "/v2/tasks/delete") => self.kill_tasks(asked),
            (&Method::GET, "/v2/deployments") => fine(self.deployments()),
            (&Method::GET, "/v2/queue") => fine(self.queue()),
            (&Method::GET, "/v2/pods/pod") => fine(json!({ "id": "/pod" })),
            (&Method::GET, "/master/slaves") => fine(Self::agents(&asked.at)),
            (&Method::GET, "/slave(1)/monitor/statistics") => fine(self.statistics(0)),
            (&Method::GET, "/slave(2)/monitor/statistics") => fine(self.statistics(1)),
            (&Method::GET, "/ping") => fine(json!("pong")),
            (_, "/lab") => self.turn(asked),
            _ => refused(StatusCode::NOT_FOUND, "there is no such thing"),
        }
    }

    fn list(&self, query: &str) -> Value {
        let label = query.split('&').find_map(|part| part.strip_prefix("label="));
        let has = |id: &&String| {
            label.is_none_or(|label| self.apps[*id].definition["labels"].get(label).is_some())
        };
        let with_tasks = query.contains("apps.tasks");
        let apps = self.apps.keys().filter(has).filter_map(|id| self.app(id, with_tasks));
        json!({ "apps": apps.collect::<Vec<_>>() })
    }

    fn of_app(&mut self, id: &str, asked: &Asked) -> Answer {
        let missing = format!("App '{id}' does not exist");
        let known = self.apps.contains_key(id);
        let patches = !self.knobs.version.starts_with("1.4");
        match asked.method {
            Method::GET => match self.app(id, asked.query.contains("app.tasks")) {
                Some(app) => fine(json!({ "app": app })),
                None => refused(StatusCode::NOT_FOUND, &missing),
            },
            Method::PATCH if !patches => refused(StatusCode::METHOD_NOT_ALLOWED, "no PATCH"),
            Method::PATCH if !known => refused(StatusCode::NOT_FOUND, &missing),
            Method::PUT if !known => {
                let mut definition = asked.body.clone();
                definition["id"] = json!(id);
                self.make(definition)
            }
            Method::PATCH | Method::PUT => {
                let to = asked.body["instances"].as_u64().and_then(|to| usize::try_from(to).ok());
                let to = to.unwrap_or(self.apps[id].instances);
                let done = self.scale(id, to, asked.has("force=true"));
                self.changed(id, done)
            }
            Method::DELETE => {
                let ids = self.active(id);
                let done = self.scale(id, 0, true);
                ids.iter().for_each(|id| self.kill(id));
                self.changed(id, done)
            }
            _ => refused(StatusCode::METHOD_NOT_ALLOWED, "no such method"),
        }
    }

    fn make(&mut self, definition: Value) -> Answer {
        let instances = definition["instances"].as_u64().and_then(|to| usize::try_from(to).ok());
        let deployment = self.put(definition, instances.unwrap_or(1));
        (StatusCode::CREATED, json!({ "deploymentId": deployment }))
    }

    fn kill_tasks(&mut self, asked: &Asked) -> Answer {
        let ids = asked.body["ids"].as_array().cloned().unwrap_or_default();
        let ids: Vec<String> = ids.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect();
        if !asked.has("scale=true") {
            ids.iter().for_each(|id| self.kill(id));
            return fine(json!({ "tasks": ids }));
        }
        let app = ids.first().and_then(|id| Some(self.tasks.get(id)?.app.clone()));
        let done = self.kill_and_scale(&ids, asked.has("force=true"));
        self.changed(&app.unwrap_or_default(), done)
    }

    fn changed(&self, app: &str, done: Result<String, Refused>) -> Answer {
        match done {
            Ok(deployment) => {
                let version = "2026-01-01T00:00:00.000Z";
                fine(json!({ "version": version, "deploymentId": deployment }))
            }
            Err(Refused::NoApp) => {
                refused(StatusCode::NOT_FOUND, &format!("App '{app}' does not exist"))
            }
            Err(Refused::Locked(ids)) => {
                let message = format!(
                    "App is locked by one or more deployments. Override with the option \
                     '?force=true'. View details at '/v2/deployments/{}'.",
                    ids.join(", ")
                );
                let ids: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
                (StatusCode::CONFLICT, json!({ "message": message, "deployments": ids }))
            }
        }
    }

    fn cancel(&mut self, id: &str) -> Answer {
        let before = self.deployments.len();
        self.deployments.retain(|it| it.id != id);
        if self.deployments.len() == before {
            let message = format!("DeploymentPlan {id} does not exist");
            return refused(StatusCode::NOT_FOUND, &message);
        }
        (StatusCode::ACCEPTED, Value::Null)
    }

    /// Reads the knobs, and turns those that are named.
    fn turn(&mut self, asked: &Asked) -> Answer {
        let mut knobs = serde_json::to_value(&self.knobs).unwrap_or_default();
        for (name, value) in asked.body.as_object().into_iter().flatten() {
            knobs[name] = value.clone();
        }
        match serde_json::from_value::<LabSettings>(knobs.clone()) {
            Ok(turned) => {
                self.set(turned);
                fine(knobs)
            }
            Err(error) => refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
        }
    }

    /// Turns knobs; streams of events end where there are none, or there is no leader.
    pub(crate) fn set(&mut self, knobs: LabSettings) {
        if knobs.mute || knobs.electing || knobs.leader != self.knobs.leader {
            let _receivers = self.events.send(None);
        }
        self.knobs = knobs;
    }
}
