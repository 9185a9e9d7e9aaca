//! The engine of a service, from its keys, and what several engines make of them in the same way.

use super::ServiceKeys;
use super::docker::container;
use super::marathon::app;
use super::mesos::task;
use super::process::process;
use super::swarm::swarm_service;
use super::{Container, MarathonApp, Process, SwarmService, Task};
use crate::reader::{ConfigError, Reports};

/// What container engines give a process between SIGTERM and SIGKILL.
pub(super) const GRACE_MS: u64 = 10_000;
/// Docker's own least share of a core, and Mesos's.
const CONTAINER_CPUS_MIN: f64 = 0.01;

/// What runs the replicas of a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// Child processes of flyball on this machine.
    Process(Process),
    /// Containers on the Docker host.
    Docker(Container),
    /// Tasks of a service of the Swarm.
    Swarm(SwarmService),
    /// Tasks of the Mesos cluster.
    Mesos(Task),
    /// Tasks of an app of Marathon.
    Marathon(MarathonApp),
}

/// The engine of the service `name`.
pub(super) fn engine(keys: &ServiceKeys, name: &str, reports: &mut Reports) -> Option<Engine> {
    match keys.engine.value? {
        None => {
            keys.engine.report_missing("\"docker\" or \"process\"", reports);
            None
        }
        Some("docker") => container(keys, reports).map(Engine::Docker),
        Some("swarm") => swarm_service(keys, name, reports).map(Engine::Swarm),
        Some("mesos") => task(keys, reports).map(Engine::Mesos),
        Some("marathon") => app(keys, name).map(Engine::Marathon),
        Some("process") => process(keys, reports).map(Engine::Process),
        // A name in ENGINES without an arm above: refused, never a process by accident.
        Some(name) => {
            keys.engine.refuse(&format!("{name} cannot be built"), "use another engine", reports);
            None
        }
    }
}

/// The start lag until it has been measured, in milliseconds: of an interpreter with a few
/// modules, and of the same in a container on a busy host.
pub(super) fn start_lag_ms(keys: &ServiceKeys) -> u64 {
    match keys.engine.value.flatten() {
        Some("process") | None => 1_000,
        Some(_) => 2_000,
    }
}

/// The port inside, which must be there.
pub(super) fn port(keys: &ServiceKeys, reports: &mut Reports) -> Option<u16> {
    if keys.port.is_absent() {
        keys.port.report_missing("8080", reports);
    }
    keys.port.value?
}

pub(super) fn container_cpus(keys: &ServiceKeys, reports: &mut Reports) -> Option<Option<f64>> {
    let cpus = keys.cpus.value?;
    if let Some(cores) = cpus.filter(|cores| *cores < CONTAINER_CPUS_MIN) {
        let limit = format!("at least {CONTAINER_CPUS_MIN}");
        let fault = ConfigError::out_of_range(&keys.cpus.path, &cores.to_string(), &limit);
        keys.cpus.report(fault, reports);
    }
    Some(cpus)
}

/// That no label of a replica is one of flyball's own.
pub(super) fn refuse_reserved_labels(keys: &ServiceKeys, reports: &mut Reports) {
    let labels = keys.labels.value.iter().flat_map(|labels| labels.keys());
    for name in labels.filter(|name| name.starts_with("flyball.")) {
        let instead = "labels that begin with flyball. are reserved for flyball".to_owned();
        let path = keys.labels.path_of(name);
        let fault = ConfigError::not_a(&path, "this name", "a name for your own label", instead);
        keys.labels.report(fault, reports);
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{BALANCERS, ENGINES};
    use crate::{Env, parse};

    #[test]
    fn every_engine_and_balancer_that_can_be_named_can_be_built() {
        for engine in ENGINES {
            for balancer in BALANCERS {
                let keys = format!("engine = \"{engine}\"\nbalancer = \"{balancer}\"");
                let read = parse(&format!("[services.web]\n{keys}"), "f", &Env::default());
                let said = read.err().map(|errors| errors.to_string()).unwrap_or_default();
                assert!(!said.contains("cannot be built"), "{said}");
            }
        }
    }
}
