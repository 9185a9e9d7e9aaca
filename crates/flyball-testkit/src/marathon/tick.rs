//! What changes with time: the state of each task, and the end of deployments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::marathon::process::{Process, free_port};
use crate::marathon::world::{Stage, Task, World};

/// After the first crash; each one more takes 15 % longer, up to five minutes.
const BACKOFF_S: f64 = 1.0;
const BACKOFF_FACTOR: f64 = 1.15;
const BACKOFF_S_MAX: f64 = 300.0;
const GRACE_S: f64 = 3.0;

impl World {
    pub(crate) fn tick(&mut self) {
        self.move_tasks();
        let apps: Vec<String> = self.apps.keys().cloned().collect();
        for app in &apps {
            self.match_count(app);
        }
        self.end_deployments();
    }

    fn move_tasks(&mut self) {
        let launch = Duration::from_millis(self.knobs.launch_ms);
        let (mut over, mut running) = (Vec::new(), Vec::new());
        for (id, task) in &mut self.tasks {
            let ended = task.process.as_mut().is_none_or(Process::is_over);
            let waited = task.since.elapsed();
            match task.stage {
                Stage::Staging if waited >= launch => running.push(id.clone()),
                Stage::Killing if ended => over.push(id.clone()),
                Stage::Killing => {
                    let grace = &self.apps[&task.app].definition["taskKillGracePeriodSeconds"];
                    let grace = Duration::from_secs_f64(grace.as_f64().unwrap_or(GRACE_S));
                    if let Some(process) = task.process.as_ref().filter(|_| waited > grace) {
                        process.signal(Signal::KILL);
                    }
                }
                Stage::Running if ended && task.process.is_some() => over.push(id.clone()),
                _ => {}
            }
        }
        running.iter().for_each(|id| self.begin(id));
        over.iter().for_each(|id| self.remove_ended(id));
    }

    /// A task's process is started.
    fn begin(&mut self, id: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let cmd = self.apps[&task.app].definition["cmd"].as_str();
        task.process = cmd.map(|cmd| Process::start(cmd, task.port).expect("a shell"));
        (task.stage, task.since) = (Stage::Running, Instant::now());
        let app = task.app.clone();
        self.tell_status(id, &app, "TASK_RUNNING");
    }

    fn remove_ended(&mut self, id: &str) {
        let Some(task) = self.tasks.remove(id) else { return };
        let killed = task.stage == Stage::Killing;
        if !killed && let Some(app) = self.apps.get_mut(&task.app) {
            let message = "Command exited";
            let failure = json!({ "taskId": id, "state": "TASK_FAILED", "message": message });
            app.failure = Some(failure);
            let pause = (BACKOFF_S * BACKOFF_FACTOR.powi(app.crashes)).min(BACKOFF_S_MAX);
            app.not_before = Some(Instant::now() + Duration::from_secs_f64(pause));
            app.crashes += 1;
        }
        self.tell_status(id, &task.app, if killed { "TASK_KILLED" } else { "TASK_FAILED" });
    }

    /// Launches what is missing, ends what is too much.
    fn match_count(&mut self, app: &str) {
        let (active, wanted) = (self.active(app).len(), self.apps[app].instances);
        for id in self.surplus(app, active.saturating_sub(wanted)) {
            self.kill(&id);
        }
        let waits = self.apps[app].not_before.is_some_and(|at| Instant::now() < at);
        let room = self.knobs.capacity.saturating_sub(self.tasks.len());
        let missing = wanted.saturating_sub(active).min(room);
        for _ in 0..if waits { 0 } else { missing } {
            self.launch(app);
        }
    }

    fn launch(&mut self, app: &str) {
        let inside = app.trim_start_matches('/').replace('/', "_");
        let id = self.next_id(&format!("{inside}.instance-")) + "._app.1";
        let real = self.apps[app].definition["cmd"].is_string();
        let port = if real { free_port().expect("a free port") } else { 31_000 };
        let task = Task {
            app: app.to_owned(),
            agent: self.tasks.len() % 2,
            port,
            stage: Stage::Staging,
            since: Instant::now(),
            staged_wall: wall(),
            process: None,
        };
        self.tasks.insert(id.clone(), task);
        self.tell_status(&id, app, "TASK_STAGING");
    }

    fn end_deployments(&mut self) {
        let mut unmet: BTreeMap<&str, bool> = BTreeMap::new();
        for deployment in &self.deployments {
            let app = deployment.app.as_str();
            unmet.entry(app).or_insert_with(|| {
                let of_app = self.tasks.iter().filter(|(_, task)| task.app == app);
                let all: Vec<&Task> = of_app.map(|(_, task)| task).collect();
                let well = all.iter().filter(|task| self.is_well(task)).count();
                all.len() != well || well != self.apps.get(app).map_or(0, |app| app.instances)
            });
        }
        let over = |it: &crate::marathon::world::Deployment| {
            it.action == "ScaleApplication" && !unmet.get(it.app.as_str()).copied().unwrap_or(false)
        };
        let done: Vec<(String, String)> = self
            .deployments
            .iter()
            .filter(|it| over(it))
            .map(|it| (it.id.clone(), it.app.clone()))
            .collect();
        self.deployments.retain(|it| done.iter().all(|(id, _)| *id != it.id));
        for (id, app) in done {
            self.publish("deployment_success", json!({ "id": id, "app": app }));
        }
    }

    /// Whether a task runs and passes the checks that its app has.
    pub(crate) fn is_well(&self, task: &Task) -> bool {
        let checks = &self.apps[&task.app].definition["healthChecks"];
        let checked = checks.as_array().is_some_and(|checks| !checks.is_empty());
        let healthy = Duration::from_millis(if checked { self.knobs.healthy_ms } else { 0 });
        task.stage == Stage::Running && task.since.elapsed() >= healthy
    }
}

/// Now, as Marathon writes it.
fn wall() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Millisecond).unwrap_or(now).to_string()
}
