//! Calls to a master, in the format of Mesos's v1 scheduler API.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::event::Update;
use crate::offer::Taken;
use crate::settings::{MesosSettings, Network};

/// How long Mesos keeps the tasks of a framework that says nothing, in seconds: a week, so that a
/// controller that is down over a holiday costs nothing.
const FAILOVER_S: f64 = 604_800.0;
/// Marks of a task: its service and its replica.
pub(crate) const SERVICE: &str = "flyball.service";
pub(crate) const REPLICA: &str = "flyball.replica";

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    /// Launches tasks on an offer and declines the rest of it.
    Accept {
        offer: String,
        tasks: Vec<Value>,
        refuse_s: u32,
    },
    /// Gives offers back, and their like for so long.
    Decline {
        offers: Vec<String>,
        refuse_s: u32,
    },
    /// No offers, please.
    Suppress,
    /// Offers, please, also of what was declined.
    Revive,
    Kill {
        task: String,
        agent: Option<String>,
        grace_ms: u64,
    },
    Acknowledge {
        task: String,
        agent: String,
        uuid: String,
    },
    /// What became of these tasks and agents?
    Reconcile(Vec<(String, Option<String>)>),
}

impl Call {
    /// The answer to an update, if it wants one.
    pub(crate) fn acknowledge(update: &Update) -> Option<Self> {
        let (agent, uuid) = (update.agent.clone()?, update.uuid.clone()?);
        Some(Self::Acknowledge { task: update.task.clone(), agent, uuid })
    }

    pub(crate) fn body(&self, framework: &str) -> Bytes {
        let id = |value: &str| json!({ "value": value });
        let filters = |refuse_s: &u32| json!({ "refuse_seconds": f64::from(*refuse_s) });
        let mut call = match self {
            Self::Accept { offer, tasks, refuse_s } => {
                let launch = json!({ "type": "LAUNCH", "launch": { "task_infos": tasks } });
                json!({ "type": "ACCEPT", "accept": {
                    "offer_ids": [id(offer)], "operations": [launch], "filters": filters(refuse_s),
                } })
            }
            Self::Decline { offers, refuse_s } => {
                let offers: Vec<_> = offers.iter().map(|offer| id(offer)).collect();
                json!({ "type": "DECLINE",
                    "decline": { "offer_ids": offers, "filters": filters(refuse_s) } })
            }
            Self::Suppress => json!({ "type": "SUPPRESS" }),
            Self::Revive => json!({ "type": "REVIVE" }),
            Self::Kill { task, agent, grace_ms } => json!({ "type": "KILL", "kill": {
                "task_id": id(task), "agent_id": agent.as_deref().map(id),
                "kill_policy": kill_policy(*grace_ms),
            } }),
            Self::Acknowledge { task, agent, uuid } => json!({ "type": "ACKNOWLEDGE",
                "acknowledge": { "task_id": id(task), "agent_id": id(agent), "uuid": uuid } }),
            Self::Reconcile(tasks) => {
                let task = |(task, agent): &(String, Option<String>)| json!({ "task_id": id(task), "agent_id": agent.as_deref().map(id) });
                let tasks: Vec<_> = tasks.iter().map(task).collect();
                json!({ "type": "RECONCILE", "reconcile": { "tasks": tasks } })
            }
        };
        call["framework_id"] = id(framework);
        without_nulls(&mut call);
        call.to_string().into()
    }
}

/// The first call, which opens the stream of events; as a framework of old if it has an id.
pub(crate) fn subscribe(framework: Option<&str>, role: &str, principal: Option<&str>) -> Bytes {
    let id = framework.map(|id| json!({ "value": id }));
    let mut call = json!({ "type": "SUBSCRIBE", "framework_id": id, "subscribe": {
        "framework_info": {
            "id": id, "name": "flyball", "user": "root", "roles": [role],
            "principal": principal, "failover_timeout": FAILOVER_S, "checkpoint": true,
            "capabilities": [{ "type": "MULTI_ROLE" }, { "type": "PARTITION_AWARE" }],
        },
    } });
    without_nulls(&mut call);
    call.to_string().into()
}

/// A task for an offer.
pub(crate) fn task(
    settings: &MesosSettings,
    (id, replica): (&str, &str),
    agent: &str,
    taken: Taken,
) -> Value {
    let port = taken.port.to_string();
    let words: Vec<String> = settings
        .command
        .iter()
        .map(|word| word.replace("{port}", &inner_port(settings, &port)))
        .collect();
    let (program, arguments) = match words.split_first() {
        Some((program, arguments)) => (Some(program), arguments),
        None => (None, &[][..]),
    };
    let port_variable = (settings.network == Network::Host).then_some(("PORT", port.as_str()));
    let names = [("FLYBALL_SERVICE", settings.service.as_str()), ("FLYBALL_REPLICA", replica)];
    let own = names.into_iter().chain(port_variable);
    let env = settings.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let variable = |(name, value): (&str, &str)| json!({ "name": name, "value": value });
    let label = |(key, value): (&str, &str)| json!({ "key": key, "value": value });
    let labels = settings.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let marks = [(SERVICE, settings.service.as_str()), (REPLICA, replica)];
    let discovered = json!({ "number": taken.port, "protocol": "tcp", "name": "http" });
    let mut task = json!({
        "name": replica,
        "task_id": { "value": id },
        "agent_id": { "value": agent },
        "resources": taken.resources,
        "command": {
            "shell": false,
            "value": program,
            "arguments": arguments,
            "environment": { "variables": env.chain(own).map(variable).collect::<Vec<_>>() },
        },
        "container": { "type": "DOCKER", "docker": docker(settings, taken.port) },
        "kill_policy": kill_policy(settings.grace_ms),
        "labels": { "labels": marks.into_iter().chain(labels).map(label).collect::<Vec<_>>() },
        "discovery": {
            "visibility": "FRAMEWORK", "name": settings.service, "ports": { "ports": [discovered] },
        },
    });
    without_nulls(&mut task);
    task
}

fn docker(settings: &MesosSettings, host_port: u16) -> Value {
    let image = &settings.image;
    match settings.network {
        Network::Host => json!({ "image": image, "network": "HOST" }),
        Network::Bridge { port } => {
            let mapping =
                json!({ "host_port": host_port, "container_port": port, "protocol": "tcp" });
            json!({ "image": image, "network": "BRIDGE", "port_mappings": [mapping] })
        }
    }
}

/// The port that the program itself serves on.
fn inner_port(settings: &MesosSettings, host_port: &str) -> String {
    match settings.network {
        Network::Bridge { port } => port.to_string(),
        Network::Host => host_port.to_owned(),
    }
}

fn kill_policy(grace_ms: u64) -> Value {
    json!({ "grace_period": { "nanoseconds": grace_ms.saturating_mul(1_000_000) } })
}

/// Mesos takes a missing key for what is not there, and no `null`.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(without_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::Needs;
    use crate::offer::tests::offer;

    fn launched(settings: &MesosSettings) -> Value {
        let needs = Needs { cpus: 0.5, memory_mib: 64 };
        let taken = offer(1, 2.0, 512.0).take(needs, 0, |_| true).unwrap();
        task(settings, ("web-1.a", "web-1"), "S1", taken)
    }

    fn variables(task: &Value) -> Vec<String> {
        let all = task["command"]["environment"]["variables"].as_array().unwrap();
        let text = |v: &Value, key: &str| v[key].as_str().unwrap().to_owned();
        all.iter().map(|v| format!("{}={}", text(v, "name"), text(v, "value"))).collect()
    }

    #[test]
    fn a_bridged_task_maps_the_offered_port_and_knows_its_own() {
        let mut settings = MesosSettings::new("web", "web:1", 8080);
        settings.command = ["serve", "--port={port}"].map(str::to_owned).into();
        settings.env.insert("MODE".into(), "live".into());
        let task = launched(&settings);
        let mapping = &task["container"]["docker"]["port_mappings"][0];
        assert_eq!(
            (&mapping["host_port"], &mapping["container_port"]),
            (&31_000.into(), &8_080.into())
        );
        assert_eq!(task["command"]["arguments"], json!(["--port=8080"]));
        assert_eq!(variables(&task), ["MODE=live", "FLYBALL_SERVICE=web", "FLYBALL_REPLICA=web-1"]);
    }

    #[test]
    fn a_task_in_the_hosts_network_is_told_its_port() {
        let network = Network::Host;
        let mut settings = MesosSettings { network, ..MesosSettings::new("web", "web:1", 8080) };
        settings.command = ["serve".to_owned(), "{port}".to_owned()].into();
        let task = launched(&settings);
        assert_eq!(task["command"]["arguments"], json!(["31000"]));
        assert_eq!(variables(&task).last().map(String::as_str), Some("PORT=31000"));
        assert_eq!(task["container"]["docker"].get("port_mappings"), None);
    }

    #[test]
    fn without_a_command_the_image_has_its_own() {
        let task = launched(&MesosSettings::new("web", "web:1", 8080));
        assert_eq!(task["command"].get("value"), None);
        assert_eq!(task["command"]["shell"], json!(false));
    }

    #[test]
    fn no_call_holds_a_null_and_each_names_the_framework() {
        let kill = Call::Kill { task: "t".into(), agent: None, grace_ms: 1_500 };
        let body: Value = serde_json::from_slice(&kill.body("F")).unwrap();
        assert_eq!(body["framework_id"]["value"], "F");
        assert_eq!(body["kill"].get("agent_id"), None);
        assert_eq!(body["kill"]["kill_policy"]["grace_period"]["nanoseconds"], 1_500_000_000);
        let first: Value = serde_json::from_slice(&subscribe(None, "*", None)).unwrap();
        assert_eq!(first.get("framework_id"), None);
        assert_eq!(first["subscribe"]["framework_info"].get("principal"), None);
        let again: Value = serde_json::from_slice(&subscribe(Some("F"), "*", Some("web"))).unwrap();
        assert_eq!(again["subscribe"]["framework_info"]["id"], again["framework_id"]);
        assert_eq!(again["subscribe"]["framework_info"]["principal"], "web");
    }
}
