//! How the tasks of a Marathon app are reached, and when one counts as running.

use std::collections::BTreeSet;

use super::answers::{AppAnswer, PortAnswer};

/// `true` on an app that is being changed manually for a while.
pub(super) const HOLD: &str = "flyball.hold";
/// What Marathon gives a task between SIGTERM and SIGKILL by default.
const GRACE_MS: u64 = 3_000;

/// What flyball knows of an app.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) instances: u32,
    /// Cores that each task is given; above 0.
    pub(super) cpus: f64,
    pub(super) way: Way,
    /// Whether Marathon checks the health of tasks.
    pub(super) checked: bool,
    /// Whether tasks have to pass a readiness check of Marathon's, and those that did.
    pub(super) ready: Option<BTreeSet<String>>,
    pub(super) grace_ms: u64,
    pub(super) held: bool,
    /// The deployments that hold it.
    pub(super) deployments: Vec<String>,
    /// What each task takes of its agent, so that no two fit on one.
    pub(super) fixed_port: Option<u16>,
    /// The task that failed last, and what was said.
    pub(super) failure: Option<(String, String)>,
}

/// How requests reach a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// At its agent, and the port that it was given there under this index.
    Agent(usize),
    /// At its own address.
    Own(u16),
    /// Not at all.
    Nowhere(String),
}

impl App {
    /// As `answer` says; a label that asks to leave it alone counts if labels are `obeyed`.
    pub(super) fn of(answer: &AppAnswer, port: Option<u16>, obeyed: bool) -> Self {
        let held = answer.labels.get(HOLD).map(String::as_str) == Some("true") && obeyed;
        let results = answer.readiness_check_results.iter().filter(|result| result.ready);
        let ready = || results.map(|result| result.task_id.clone()).collect();
        let grace_s = answer.task_kill_grace_period_seconds.filter(|s| s.is_finite() && *s >= 0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float-to-int cast saturates: wanted here"
        )]
        let grace_ms = grace_s.map_or(GRACE_MS, |seconds| (seconds * 1_000.0) as u64);
        Self {
            id: answer.id.clone(),
            instances: answer.instances.unwrap_or(1),
            cpus: answer.cpus.filter(|cpus| cpus.is_finite() && *cpus > 0.0).unwrap_or(1.0),
            way: way(answer, port),
            checked: !answer.health_checks.is_empty(),
            ready: (!answer.readiness_checks.is_empty()).then(ready),
            grace_ms,
            held,
            deployments: answer.deployments.iter().map(|one| one.id.clone()).collect(),
            fixed_port: fixed_port(answer),
            failure: answer.last_task_failure.as_ref().map(|failure| {
                let state = failure.state.as_deref().unwrap_or("it failed");
                let said = failure.message.as_deref().unwrap_or_default().trim();
                let colon = if said.is_empty() { "" } else { ": " };
                (failure.task_id.clone(), format!("{state}{colon}{said}"))
            }),
        }
    }
}

/// Before 1.5 the ports of a container stood elsewhere.
fn mappings(answer: &AppAnswer) -> &[PortAnswer] {
    let container = &answer.container;
    if container.port_mappings.is_empty() {
        &container.docker.port_mappings
    } else {
        &container.port_mappings
    }
}

fn way(answer: &AppAnswer, port: Option<u16>) -> Way {
    let mode = answer.networks.first().and_then(|network| network.mode.as_deref());
    let old = answer.container.docker.network.as_deref();
    let mappings = mappings(answer);
    let own = mode == Some("container")
        || mode.is_none() && (answer.ip_address.is_some() || old == Some("USER"));
    if own {
        let first = mappings.first().and_then(|mapping| mapping.container_port);
        return match port.or(first).filter(|port| *port > 0) {
            Some(port) => Way::Own(port),
            None => Way::Nowhere("its port is unknown: set port".into()),
        };
    }
    let bridged = mode == Some("container/bridge") || old == Some("BRIDGE");
    let ports: Vec<Option<u16>> = if bridged || !mappings.is_empty() {
        mappings.iter().map(|mapping| mapping.container_port).collect()
    } else {
        answer.port_definitions.iter().map(|definition| definition.port).collect()
    };
    match port {
        // Tasks are given ports also where the app says nothing of them.
        None if ports.is_empty() && bridged => Way::Nowhere("it has no port mapping".into()),
        None => Way::Agent(0),
        Some(port) => match ports.iter().position(|known| *known == Some(port)) {
            Some(index) => Way::Agent(index),
            None => Way::Nowhere(format!("none of its ports is {port}")),
        },
    }
}

fn fixed_port(answer: &AppAnswer) -> Option<u16> {
    let above = |port: Option<u16>| port.filter(|port| *port > 0);
    let mapped = mappings(answer).iter().find_map(|mapping| above(mapping.host_port));
    let required = || {
        let defined = answer.port_definitions.iter().find_map(|port| above(port.port));
        defined.filter(|_| answer.require_ports)
    };
    mapped.or_else(required)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn app(answer: Value, port: Option<u16>) -> App {
        App::of(&serde_json::from_value(answer).unwrap(), port, true)
    }

    #[test]
    fn present_and_old_apps_are_reached_alike() {
        let ports = json!([{ "containerPort": 9000 }, { "containerPort": 8080, "hostPort": 0 }]);
        let present = json!({
            "id": "/web", "instances": 2, "networks": [{ "mode": "container/bridge" }],
            "container": { "docker": { "image": "web" }, "portMappings": ports },
        });
        let old = json!({
            "id": "/web", "instances": 2, "ipAddress": null,
            "container": { "docker": { "network": "BRIDGE", "portMappings": ports } },
        });
        for answer in [present, old] {
            assert_eq!(app(answer.clone(), None).way, Way::Agent(0));
            assert_eq!(app(answer.clone(), Some(8080)).way, Way::Agent(1));
            assert!(matches!(app(answer.clone(), Some(1)).way, Way::Nowhere(_)));
            assert_eq!(app(answer, None).fixed_port, None);
        }
        let network = json!({
            "networks": [{ "mode": "container", "name": "blue" }],
            "container": { "portMappings": [{ "containerPort": 80 }] },
        });
        assert_eq!(app(network.clone(), None).way, Way::Own(80));
        assert_eq!(app(network, Some(81)).way, Way::Own(81));
        let old = json!({ "ipAddress": { "networkName": "blue" } });
        assert_eq!(app(old.clone(), Some(81)).way, Way::Own(81));
        assert!(matches!(app(old, None).way, Way::Nowhere(_)));
    }

    #[test]
    fn a_port_that_an_app_takes_of_its_agents_is_known() {
        let mapped =
            json!({ "container": { "portMappings": [{ "containerPort": 8080, "hostPort": 80 }] } });
        assert_eq!(app(mapped, None).fixed_port, Some(80));
        let host = |required: bool| json!({ "portDefinitions": [{ "port": 81 }], "requirePorts": required });
        assert_eq!(app(host(true), Some(81)).fixed_port, Some(81));
        assert_eq!(app(host(false), Some(81)).fixed_port, None);
        assert_eq!(app(host(false), Some(81)).way, Way::Agent(0));
    }

    #[test]
    fn what_an_app_leaves_out_or_gives_wrong_is_taken_as_usual() {
        let bare = app(json!({ "id": "/web", "cpus": 0, "healthChecks": null }), None);
        assert_eq!((bare.instances, bare.cpus, bare.grace_ms), (1, 1.0, GRACE_MS));
        assert_eq!((bare.checked, bare.ready, bare.way), (false, None, Way::Agent(0)));
        assert_eq!(app(json!({ "instances": 0 }), None).instances, 0);
    }
}
