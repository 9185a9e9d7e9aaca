//! The facts flyball takes from the inspection of a container.
//!
//! What the daemon did not report is `None`, never a guess.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum as Status, HealthStatusEnum,
    NetworkSettings, PortBinding,
};
use flyball_core::units::ReplicaId;

use crate::DockerError;
use crate::labels::{self, COMPOSE_NUMBER, PORT, PROTECT, REPLICA};
use crate::limits::cores_of;
use crate::networks::{BalancerPlace, Networks, mode_of};
use crate::settings::Publish;
use crate::signals;
use crate::standing::Standing;

/// What flyball knows of one container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) id: String,
    pub(crate) name: String,
    /// What the replica is called: by its mark if flyball started it, otherwise as its container.
    pub(crate) replica: ReplicaId,
    pub(crate) managed: bool,
    pub(crate) protected: bool,
    /// Whether its owner says so: then it does not even sleep.
    pub(crate) stays: bool,
    pub(crate) state: State,
    /// When it was created, in milliseconds since 1970-01-01 UTC.
    pub(crate) created_wall_ms: Option<i64>,
    /// When it was last started, on the same clock; `None` if it never was.
    pub(crate) started_wall_ms: Option<i64>,
    /// Its first process, while it has one.
    pub(crate) pid: Option<u32>,
    /// What its own health check says; `None` if it has none.
    pub(crate) health: Option<Health>,
    pub(crate) address: Option<SocketAddr>,
    /// How many networks it is in.
    pub(crate) networks: usize,
    /// Why requests cannot reach it, where that is not for want of an address so far.
    pub(crate) unreachable: Option<DockerError>,
    /// From the stop signal to the kill, in seconds, where it sets that; below 0 for no kill.
    pub(crate) stop_timeout_s: Option<i64>,
    /// The number of the signal that asks it to stop.
    pub(crate) stop_signal: i32,
    /// `None` where nothing limits it.
    pub(crate) limit_cores: Option<f64>,
    /// Its number within a Compose service.
    pub(crate) compose_number: Option<u64>,
}

/// How far a container has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Created,
    Running,
    /// It exists and does not answer: it is being restarted by the daemon.
    Absent,
    /// Frozen.
    Paused,
    Exited {
        code: Option<i64>,
        oom: bool,
        error: String,
    },
    /// Being removed.
    Leaving,
}

/// What a container's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Unknown,
    Good,
    Bad,
}

/// How the containers of a service are reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    pub(crate) publish: &'a Publish,
    pub(crate) port: u16,
    /// An address of the Docker host.
    pub(crate) machine: IpAddr,
    /// Where requests come from.
    pub(crate) balancer: &'a BalancerPlace,
}

impl Facts {
    /// Reads `answer`; `None` without an id, which no daemon leaves out. Only labels that mean
    /// something by its `standing` are read: all of those of a container that flyball started.
    pub(crate) fn of(
        answer: &ContainerInspectResponse,
        standing: &Standing,
        way: Way<'_>,
    ) -> Option<Self> {
        let id = answer.id.clone()?;
        let name = answer.name.as_deref().unwrap_or(&id).trim_start_matches('/').to_owned();
        let none = HashMap::new();
        let config = answer.config.as_ref();
        let all = config.and_then(|config| config.labels.as_ref()).unwrap_or(&none);
        let managed = standing.is_started();
        let own = standing.labels().filter(|_| !managed);
        let label = |name: &str| match own {
            Some(own) => own.get(name),
            None => all.get(name).filter(|_| managed),
        };
        let mark = label(REPLICA).filter(|_| managed);
        let port = label(PORT).and_then(|port| port.parse().ok());
        let state = answer.state.as_ref();
        let pid = state.and_then(|state| u32::try_from(state.pid?).ok()).filter(|pid| *pid > 0);
        let started = state.and_then(|state| wall_ms(state.started_at.as_deref()?));
        let address = address_of(answer, port, managed, way);
        Some(Self {
            replica: ReplicaId::new(mark.unwrap_or(&name)),
            managed,
            protected: labels::protected(label(PROTECT).map(String::as_str), managed),
            stays: labels::stays(label(PROTECT).map(String::as_str)),
            state: state_of(answer),
            created_wall_ms: answer.created.as_deref().and_then(wall_ms),
            // One that was never started has the year 1.
            started_wall_ms: started.filter(|ms| *ms > 0),
            pid,
            health: health_of(answer),
            address: address.clone().unwrap_or_default(),
            networks: Networks::of(answer).names().len(),
            unreachable: address.err(),
            stop_timeout_s: config.and_then(|config| config.stop_timeout),
            stop_signal: signals::number(config.and_then(|c| c.stop_signal.as_deref())),
            limit_cores: answer.host_config.as_ref().and_then(cores_of),
            compose_number: label(COMPOSE_NUMBER).and_then(|number| number.parse().ok()),
            id,
            name,
        })
    }
}

impl State {
    /// What the state in a listing says about the one in an inspection; `None` for words unknown.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Absent => "absent",
            Self::Paused => "paused",
            Self::Exited { .. } => "exited",
            Self::Leaving => "leaving",
        }
    }

    /// The same for the word that a listing uses.
    pub(crate) fn word_of_listing(word: &str) -> &str {
        match word {
            "restarting" => "absent",
            "removing" | "dead" | "stopping" => "leaving",
            other => other,
        }
    }
}

fn state_of(answer: &ContainerInspectResponse) -> State {
    let Some(state) = &answer.state else { return State::Absent };
    match state.status {
        Some(Status::CREATED) => State::Created,
        Some(Status::RUNNING) => State::Running,
        Some(Status::EXITED) => State::Exited {
            code: state.exit_code,
            oom: state.oom_killed.unwrap_or(false),
            error: state.error.clone().unwrap_or_default(),
        },
        Some(Status::REMOVING | Status::DEAD | Status::STOPPING) => State::Leaving,
        Some(Status::PAUSED) => State::Paused,
        Some(Status::RESTARTING | Status::EMPTY) | None => State::Absent,
    }
}

fn health_of(answer: &ContainerInspectResponse) -> Option<Health> {
    match answer.state.as_ref()?.health.as_ref()?.status? {
        HealthStatusEnum::HEALTHY => Some(Health::Good),
        HealthStatusEnum::UNHEALTHY => Some(Health::Bad),
        HealthStatusEnum::STARTING => Some(Health::Unknown),
        HealthStatusEnum::NONE | HealthStatusEnum::EMPTY => None,
    }
}

pub(crate) fn wall_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

/// Where it serves; `None` while that is not known.
///
/// # Errors
/// Why it cannot be reached as the settings say.
fn address_of(
    answer: &ContainerInspectResponse,
    labelled: Option<u16>,
    managed: bool,
    way: Way<'_>,
) -> Result<Option<SocketAddr>, DockerError> {
    let port = labelled.unwrap_or(way.port);
    if mode_of(answer) == Some("host") {
        let told = labelled.or_else(|| told_port(answer)).unwrap_or(way.port);
        return Ok(Some((way.machine, told).into()));
    }
    let Some(settings) = answer.network_settings.as_ref() else { return Ok(None) };
    let networks = Networks::of(answer);
    let inside = |network: &str| {
        let address = networks.get(network).and_then(|joined| joined.ip_address.as_deref());
        Some((address?.parse::<IpAddr>().ok()?, port).into())
    };
    if let Publish::ContainerAddress { network } = way.publish {
        return networks.reached(network.as_deref(), way.balancer).map(inside);
    }
    let published = published(settings, port, way.machine);
    // An external container need not publish its port; its own address serves on this host.
    if published.is_some() || managed || !way.machine.is_loopback() {
        return Ok(published);
    }
    Ok(networks.reached(None, &BalancerPlace::Host).ok().and_then(inside))
}

/// The port in the environment: a container in the host's network was given it.
fn told_port(answer: &ContainerInspectResponse) -> Option<u16> {
    let env = answer.config.as_ref()?.env.as_ref()?;
    env.iter().find_map(|variable| variable.strip_prefix("PORT=")?.parse().ok())
}

fn published(settings: &NetworkSettings, port: u16, machine: IpAddr) -> Option<SocketAddr> {
    let bindings = settings.ports.as_ref()?.get(&format!("{port}/tcp"))?.as_ref()?;
    let parse = |binding: &PortBinding| -> Option<SocketAddr> {
        let ip: IpAddr = binding.host_ip.as_deref()?.parse().unwrap_or(machine);
        Some((ip, binding.host_port.as_deref()?.parse().ok()?).into())
    };
    let first = bindings.iter().filter_map(parse).min_by_key(SocketAddr::is_ipv6)?;
    let ip = if first.ip().is_unspecified() { machine } else { first.ip() };
    Some((ip, first.port()).into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::provenance::Provenance;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// What is known of a container that says of itself whether flyball started it.
    fn facts(answer: Value, publish: &Publish) -> Facts {
        let answer: ContainerInspectResponse = serde_json::from_value(answer).unwrap();
        let labels = answer.config.as_ref().and_then(|config| config.labels.clone());
        let own = labels.clone().unwrap_or_default().into_iter().collect();
        let provenance = Arc::new(Provenance { own, ..Provenance::default() });
        let standing = match labels.as_ref().is_some_and(labels::managed) {
            true => Standing::Started(provenance),
            false => Standing::Declared(provenance),
        };
        let balancer = &BalancerPlace::Unknown;
        let way = Way { publish, port: 8080, machine: LOOPBACK, balancer };
        Facts::of(&answer, &standing, way).unwrap()
    }

    fn bridged(labels: Value) -> Value {
        json!({
            "Id": "4a9c", "Name": "/blue_web_1", "Created": "2026-01-02T03:04:05.678901234Z",
            "State": { "Status": "running", "Pid": 77 },
            "Config": { "Labels": labels },
            "HostConfig": { "NetworkMode": "blue", "CpuQuota": 50_000 },
            "NetworkSettings": {
                "Networks": { "blue": { "IPAddress": "172.18.0.5" } },
                "Ports": { "8080/tcp": [
                    { "HostIp": "::", "HostPort": "49200" },
                    { "HostIp": "0.0.0.0", "HostPort": "49153" },
                ] },
            },
        })
    }

    #[test]
    fn a_containers_own_name_serves_where_nobody_marked_it() {
        let found = facts(bridged(json!({ REPLICA: "web-9" })), &Publish::default());
        assert_eq!(found.replica, ReplicaId::new("blue_web_1"));
        assert_eq!(found.address, Some((LOOPBACK, 49153).into()));
        assert_eq!((found.managed, found.protected, found.pid), (false, true, Some(77)));
        assert_eq!(
            (found.limit_cores, found.created_wall_ms),
            (Some(0.5), Some(1_767_323_045_678))
        );
    }

    #[test]
    fn a_marked_container_is_called_by_its_mark() {
        let marks = json!({ REPLICA: "web-9", "flyball.managed": "true" });
        let network = Some("blue".to_owned());
        let found = facts(bridged(marks), &Publish::ContainerAddress { network });
        assert_eq!((found.replica.as_str(), found.protected), ("web-9", false));
        assert_eq!(found.address.unwrap().to_string(), "172.18.0.5:8080");
    }

    #[test]
    fn a_port_that_is_not_published_is_reached_inside_only_for_others_containers() {
        let mut answer = bridged(json!({ PORT: "9090" }));
        assert_eq!(
            facts(answer.clone(), &Publish::default()).address.unwrap().to_string(),
            "172.18.0.5:9090"
        );
        answer["Config"]["Labels"]["flyball.managed"] = json!("true");
        assert_eq!(facts(answer, &Publish::default()).address, None);
    }

    #[test]
    fn the_hosts_network_is_served_at_the_port_that_was_told() {
        let answer = json!({
            "Id": "4a", "State": { "Status": "running", "Health": { "Status": "starting" } },
            "Config": { "Env": ["A=1", "PORT=4711"] }, "HostConfig": { "NetworkMode": "host" },
        });
        let found = facts(answer, &Publish::HostNetwork);
        assert_eq!(found.address, Some((LOOPBACK, 4711).into()));
        assert_eq!((found.health, found.limit_cores), (Some(Health::Unknown), None));
    }

    #[test]
    fn a_container_in_two_networks_has_no_address_before_one_is_chosen() {
        let mut answer = bridged(json!({}));
        answer["NetworkSettings"]["Networks"]["back"] = json!({ "IPAddress": "172.19.0.5" });
        let found = facts(answer.clone(), &Publish::ContainerAddress { network: None });
        assert_eq!(found.address, None);
        assert!(matches!(found.unreachable, Some(DockerError::NetworkUnclear { .. })));
        let network = Some("back".to_owned());
        let found = facts(answer, &Publish::ContainerAddress { network });
        assert_eq!(found.address.unwrap().to_string(), "172.19.0.5:8080");
        assert_eq!(found.unreachable, None);
    }

    #[test]
    fn grace_signal_and_start_are_the_containers_own() {
        let mut answer = bridged(json!({}));
        answer["Config"]["StopTimeout"] = json!(30);
        answer["Config"]["StopSignal"] = json!("SIGQUIT");
        answer["State"]["StartedAt"] = json!("2026-01-02T03:04:15Z");
        let found = facts(answer.clone(), &Publish::default());
        assert_eq!((found.stop_timeout_s, found.stop_signal), (Some(30), 3));
        assert_eq!(found.started_wall_ms, Some(1_767_323_055_000));
        answer["State"]["StartedAt"] = json!("0001-01-01T00:00:00Z");
        assert_eq!(facts(answer, &Publish::default()).started_wall_ms, None);
    }

    #[test]
    fn an_exit_carries_its_status() {
        let answer = json!({
            "Id": "4a", "State": { "Status": "exited", "ExitCode": 137, "OOMKilled": true },
        });
        let exited = State::Exited { code: Some(137), oom: true, error: String::new() };
        assert_eq!(facts(answer, &Publish::default()).state, exited);
    }
}
