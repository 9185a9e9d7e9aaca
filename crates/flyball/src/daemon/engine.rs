//! The engines behind one enum. No call blocks; the next look shows what an order did.

use flyball_config as config;
use flyball_config::{Balancer, Reach, TaskReach};
use flyball_core::nodes::Node;
use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_docker::swarm::{SwarmEngine, SwarmReach, SwarmSettings};
use flyball_docker::{DockerEngine, DockerSettings, ExtraRights, Members, Owner, Publish};
use flyball_mesos::marathon::{AppSettings, MarathonEngine};
use flyball_mesos::{MesosEngine, MesosSettings, Network};
use flyball_process::{ProcessEngine, ProcessSettings};
use flyball_web::NodeView;

use super::hosts::Hosts;
use crate::clock;
use crate::failure::Failure;

/// An engine of one service.
pub(crate) enum Engine {
    /// Child processes on this machine.
    Process(ProcessEngine),
    /// Containers of a Docker host.
    Docker(DockerEngine),
    /// Tasks of a service of a Swarm.
    Swarm(SwarmEngine),
    /// Tasks of a Mesos cluster.
    Mesos(MesosEngine),
    /// Tasks of an app of Marathon.
    Marathon(MarathonEngine),
    /// What a test wants.
    #[cfg(test)]
    Scripted(super::scripted::ScriptedEngine),
}

impl Engine {
    /// The engine that `service` asks for. `owner`: to whom it belongs, if it exists by its labels.
    pub(crate) fn build(
        service: &config::Service,
        hosts: &Hosts,
        owner: Option<&Owner>,
    ) -> Result<Self, Failure> {
        match &service.engine {
            config::Engine::Process(process) => {
                let settings = process_settings(&service.name, process);
                Ok(Self::Process(ProcessEngine::new(hosts.launcher()?, settings, clock::now)?))
            }
            config::Engine::Docker(container) => {
                let settings = docker_settings(&service.name, container, owner);
                Ok(Self::Docker(DockerEngine::new(hosts.docker()?, settings)?))
            }
            config::Engine::Swarm(swarm) => {
                let settings = swarm_settings(service, swarm, hosts.obeys_hold().swarm);
                Ok(Self::Swarm(SwarmEngine::new(hosts.swarm()?, settings)?))
            }
            config::Engine::Mesos(task) => {
                let settings = mesos_settings(&service.name, task);
                Ok(Self::Mesos(MesosEngine::new(hosts.mesos()?, settings)?))
            }
            config::Engine::Marathon(app) => {
                let settings = app_settings(service, app, hosts.obeys_hold().marathon);
                Ok(Self::Marathon(MarathonEngine::new(hosts.marathon()?, settings)?))
            }
        }
    }

    /// As in `flyball.toml`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Docker(_) => "docker",
            Self::Swarm(_) => "swarm",
            Self::Mesos(_) => "mesos",
            Self::Marathon(_) => "marathon",
            #[cfg(test)]
            Self::Scripted(_) => "scripted",
        }
    }

    /// What the engine knows, with the time it knew it.
    pub(crate) fn observe(&self) -> Reading<EngineReport> {
        match self {
            Self::Process(engine) => Reading::Taken { at: clock::now(), value: engine.observe() },
            Self::Docker(engine) => engine.observe(),
            Self::Swarm(engine) => engine.observe(),
            Self::Mesos(engine) => engine.observe(),
            Self::Marathon(engine) => engine.observe(),
            #[cfg(test)]
            Self::Scripted(engine) => engine.observe(),
        }
    }

    /// The machines that replicas are on; none where the engine has but one, or does not know.
    pub(crate) fn nodes(&self) -> Vec<NodeView> {
        let nodes = match self {
            Self::Process(_) | Self::Docker(_) => Vec::new(),
            Self::Swarm(engine) => engine.nodes(),
            Self::Mesos(engine) => engine.nodes(),
            Self::Marathon(engine) => engine.nodes(),
            #[cfg(test)]
            Self::Scripted(_) => Vec::new(),
        };
        nodes.into_iter().map(node_view).collect()
    }

    /// Tells the engine where the balancer is, where that decides how replicas are reached. Asks the
    /// balancer at most once in some seconds.
    pub(crate) async fn place(&self, balancer: &super::balancer::Balancer) {
        match self {
            Self::Docker(engine) if engine.wants_balancer() => {
                engine.place_balancer(balancer.host_name().await);
            }
            Self::Process(_)
            | Self::Docker(_)
            | Self::Swarm(_)
            | Self::Mesos(_)
            | Self::Marathon(_) => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }

    pub(crate) fn start(&self, replica: &ReplicaId) {
        match self {
            Self::Process(engine) => engine.start(replica),
            Self::Docker(engine) => engine.start(replica),
            // They keep a count, so no plan starts a replica by name.
            Self::Swarm(_) | Self::Marathon(_) => {}
            Self::Mesos(engine) => engine.start(replica),
            #[cfg(test)]
            Self::Scripted(engine) => engine.start(replica),
        }
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        match self {
            Self::Process(engine) => engine.set_ready(replica),
            Self::Docker(engine) => engine.set_ready(replica),
            Self::Swarm(engine) => engine.set_ready(replica),
            Self::Mesos(engine) => engine.set_ready(replica),
            Self::Marathon(engine) => engine.set_ready(replica),
            #[cfg(test)]
            Self::Scripted(engine) => engine.set_ready(replica),
        }
    }

    pub(crate) fn stop(&self, replica: &ReplicaId) {
        match self {
            Self::Process(engine) => engine.stop(replica),
            Self::Docker(engine) => engine.stop(replica),
            Self::Swarm(_) | Self::Marathon(_) => {}
            Self::Mesos(engine) => engine.stop(replica),
            #[cfg(test)]
            Self::Scripted(engine) => engine.stop(replica),
        }
    }

    /// Tells an engine that keeps a count of its own how many to run, and who
    /// leaves for it, which Swarm chooses itself.
    pub(crate) fn scale(&self, to: u32, leaving: &[ReplicaId]) {
        match self {
            Self::Swarm(engine) => engine.scale(to),
            Self::Marathon(engine) => engine.scale(to, leaving),
            // None of them keeps a count, so no plan asks for one.
            Self::Process(_) | Self::Docker(_) | Self::Mesos(_) => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }

    /// Returns when a replica came, went or changed.
    pub(crate) async fn changed(&self) {
        match self {
            Self::Process(engine) => engine.changed().await,
            Self::Docker(engine) => engine.changed().await,
            Self::Swarm(engine) => engine.changed().await,
            Self::Mesos(engine) => engine.changed().await,
            Self::Marathon(engine) => engine.changed().await,
            #[cfg(test)]
            Self::Scripted(engine) => engine.changed().await,
        }
    }

    /// Ends what cannot live on without flyball; containers can.
    pub(crate) async fn shutdown(&self) {
        match self {
            Self::Process(engine) => engine.shutdown().await,
            Self::Docker(engine) => engine.shutdown().await,
            Self::Swarm(engine) => engine.shutdown().await,
            Self::Mesos(engine) => engine.shutdown().await,
            Self::Marathon(engine) => engine.shutdown().await,
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }
}

fn node_view(node: Node) -> NodeView {
    NodeView {
        name: node.name,
        up: node.up,
        silence: node.silence,
        replicas: node.replicas.iter().map(ToString::to_string).collect(),
    }
}

pub(crate) fn process_settings(service: &str, process: &config::Process) -> ProcessSettings {
    ProcessSettings {
        service: service.to_owned(),
        command: process.command.clone(),
        env: process.env.clone(),
        directory: process.directory.clone(),
        cpu_limit_cores: process.cpus,
        grace_ms: process.grace_ms,
    }
}

pub(crate) fn swarm_settings(
    service: &config::Service,
    swarm: &config::SwarmService,
    obeys_hold: bool,
) -> SwarmSettings {
    SwarmSettings {
        service: service.name.clone(),
        swarm_service: swarm.swarm_service.clone(),
        port: swarm.port,
        reach: match &swarm.reach {
            TaskReach::Node => SwarmReach::Node,
            TaskReach::Network(network) => SwarmReach::Network(network.clone()),
        },
        cpus: swarm.cpus,
        balanced: service.balancer != Balancer::None,
        obeys_hold,
    }
}

pub(crate) fn app_settings(
    service: &config::Service,
    app: &config::MarathonApp,
    obeys_hold: bool,
) -> AppSettings {
    AppSettings {
        service: service.name.clone(),
        app: app.app.clone(),
        port: app.port,
        balanced: service.balancer != Balancer::None,
        obeys_hold,
    }
}

pub(crate) fn mesos_settings(service: &str, task: &config::Task) -> MesosSettings {
    MesosSettings {
        service: service.to_owned(),
        image: task.image.clone(),
        command: task.command.clone(),
        env: task.env.clone(),
        labels: task.labels.clone(),
        cpus: task.cpus,
        memory_bytes: task.memory_bytes,
        network: task.port.map_or(Network::Host, |port| Network::Bridge { port }),
        grace_ms: task.grace_ms,
    }
}

/// `owner`: to whom a service by labels belongs.
pub(crate) fn docker_settings(
    service: &str,
    container: &config::Container,
    owner: Option<&Owner>,
) -> DockerSettings {
    let members = match owner {
        Some(owner) => Members::Owned(owner.clone()),
        None if container.adopt => Members::Adopted,
        None => Members::Started,
    };
    let config::ExtraRights { cpus, memory, networks, ports, log } = container.granted;
    let granted = ExtraRights { cpus, memory, networks, ports, log };
    let log = container.log.as_ref();
    let network = container.network.clone();
    let publish = match container.reach {
        Reach::Published(address) => Publish::Address(address),
        Reach::ContainerAddress => Publish::ContainerAddress { network: network.clone() },
        Reach::HostNetwork => Publish::HostNetwork,
    };
    DockerSettings {
        service: service.to_owned(),
        image: container.image.clone(),
        members,
        granted,
        command: container.command.clone(),
        env: container.env.clone(),
        labels: container.labels.clone(),
        cpus: container.cpus,
        memory_bytes: container.memory_bytes,
        port: container.port,
        publish,
        networks: network.into_iter().collect(),
        log_driver: log.map(|log| log.driver.clone()),
        log_options: log.map(|log| log.options.clone()).unwrap_or_default(),
        grace_ms: container.grace_ms,
    }
}
