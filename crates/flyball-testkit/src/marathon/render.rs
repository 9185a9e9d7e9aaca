//! Apps, tasks, deployments, the queue and the agents in the JSON of Marathon 1.11 and Mesos.

use std::time::Instant;

use serde_json::{Value, json};

use crate::marathon::world::{Stage, Task, World};

/// The Mesos framework whose tasks these are.
pub(crate) const FRAMEWORK: &str = "lab-0000";

impl World {
    pub(crate) fn app(&self, id: &str, with_tasks: bool) -> Option<Value> {
        let app = self.apps.get(id)?;
        let mut value = app.definition.clone();
        value["instances"] = json!(app.instances);
        let mine = self.deployments.iter().filter(|it| it.app == id);
        value["deployments"] = mine.map(|it| json!({ "id": it.id })).collect();
        let tasks = || self.tasks.iter().filter(|(_, task)| task.app == id);
        value["tasksRunning"] = json!(tasks().filter(|(_, t)| t.stage == Stage::Running).count());
        if with_tasks {
            value["tasks"] = tasks().map(|(id, task)| self.task(id, task)).collect();
            value["lastTaskFailure"] = app.failure.clone().unwrap_or(Value::Null);
        }
        Some(value)
    }

    pub(crate) fn task(&self, id: &str, task: &Task) -> Value {
        let state = match task.stage {
            Stage::Staging => "TASK_STAGING",
            // Without the feature task_killing nothing distinguishes it from one that runs.
            Stage::Running | Stage::Killing => "TASK_RUNNING",
            Stage::Unreachable => "TASK_UNREACHABLE",
        };
        let health: Vec<Value> = if self.is_well(task) || task.stage == Stage::Killing {
            vec![json!({ "alive": true, "instanceId": id, "consecutiveFailures": 0 })]
        } else {
            Vec::new()
        };
        json!({
            "appId": task.app, "id": id, "host": "127.0.0.1", "ports": [task.port],
            "ipAddresses": [{ "ipAddress": "172.17.0.2", "protocol": "IPv4" }],
            "slaveId": format!("lab-S{}", task.agent), "state": state, "role": "*",
            "stagedAt": task.staged_wall, "startedAt": task.staged_wall,
            "version": "2026-01-01T00:00:00.000Z", "healthCheckResults": health,
        })
    }

    pub(crate) fn deployments(&self) -> Value {
        let one = |it: &crate::marathon::world::Deployment| {
            let action = json!({ "action": it.action, "app": it.app });
            json!({
                "id": it.id, "version": "2026-01-01T00:00:00.000Z", "affectedApps": [it.app],
                "steps": [{ "actions": [action] }], "currentActions": [action],
                "currentStep": 1, "totalSteps": 1,
            })
        };
        self.deployments.iter().map(one).collect()
    }

    pub(crate) fn queue(&self) -> Value {
        let mut queue = Vec::new();
        for (id, app) in &self.apps {
            let missing = app.instances.saturating_sub(self.active(id).len());
            if missing == 0 {
                continue;
            }
            let left = app.not_before.map(|at| at.saturating_duration_since(Instant::now()));
            let left_s = left.unwrap_or_default().as_secs_f64();
            let reason = json!({ "reason": "InsufficientCpus", "declined": 2, "processed": 2 });
            queue.push(json!({
                "app": { "id": id }, "count": missing, "role": "*",
                "delay": { "timeLeftSeconds": left_s.ceil(), "overdue": left_s <= 0.0 },
                "processedOffersSummary": {
                    "processedOffersCount": 2, "unusedOffersCount": 2,
                    "rejectSummaryLastOffers": [reason],
                },
            }));
        }
        json!({ "queue": queue })
    }

    /// The agents, as their master lists them; all of them answer at `at`.
    pub(crate) fn agents(at: &str) -> Value {
        let agent = |n: usize| {
            let (id, pid) = (format!("lab-S{n}"), format!("slave({})@{at}", n + 1));
            let resources = json!({ "cpus": 8.0, "mem": 16_384.0 });
            json!({ "id": id, "pid": pid, "hostname": "127.0.0.1", "active": true, "resources": resources })
        };
        json!({ "slaves": [agent(0), agent(1)] })
    }

    /// What one agent counts for its containers.
    pub(crate) fn statistics(&self, agent: usize) -> Value {
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        let one = |(id, task): (&String, &Task)| {
            let (user, system) = task.process.as_ref()?.cpu_s()?;
            let statistics = json!({
                "cpus_user_time_secs": user, "cpus_system_time_secs": system, "timestamp": now,
            });
            Some(json!({
                "executor_id": id, "source": id, "framework_id": FRAMEWORK, "statistics": statistics,
            }))
        };
        self.tasks.iter().filter(|(_, task)| task.agent == agent).filter_map(one).collect()
    }
}
