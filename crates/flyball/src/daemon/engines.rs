//! The engines behind one enum. No call blocks; the next look shows what an order did.

pub(crate) mod docker;
pub(crate) mod hosts;
mod marathon;
mod mesos;
pub(crate) mod process;
mod swarm;

use flyball_config as config;
use flyball_core::generation::Generation;
use flyball_core::nodes::Node;
use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_docker::DockerEngine;
use flyball_docker::swarm::SwarmEngine;
use flyball_mesos::MesosEngine;
use flyball_mesos::marathon::MarathonEngine;
use flyball_process::ProcessEngine;
use flyball_web::NodeView;

use super::balancers::Balancer;
use crate::clock;

/// As in `flyball.toml`.
pub(crate) fn name(engine: &config::Engine) -> &'static str {
    match engine {
        config::Engine::Process(_) => "process",
        config::Engine::Docker(_) => "docker",
        config::Engine::Swarm(_) => "swarm",
        config::Engine::Mesos(_) => "mesos",
        config::Engine::Marathon(_) => "marathon",
    }
}

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

/// The same call, whichever engine it is.
macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            Self::Process($engine) => $call,
            Self::Docker($engine) => $call,
            Self::Swarm($engine) => $call,
            Self::Mesos($engine) => $call,
            Self::Marathon($engine) => $call,
            #[cfg(test)]
            Self::Scripted($engine) => $call,
        }
    };
}

impl Engine {
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
    pub(crate) async fn place(&self, balancer: &Balancer) {
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

    /// `generation`: what it is to be made as; `None` where the engine told none.
    pub(crate) fn start(&self, replica: &ReplicaId, generation: Option<Generation>) {
        match self {
            Self::Process(engine) => engine.start(replica, generation),
            Self::Docker(engine) => engine.start(replica, generation),
            // They keep a count, so no plan starts a replica by name.
            Self::Swarm(_) | Self::Marathon(_) => {}
            Self::Mesos(engine) => engine.start(replica),
            #[cfg(test)]
            Self::Scripted(engine) => engine.start(replica),
        }
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        each!(self, engine => engine.set_ready(replica))
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
        each!(self, engine => engine.changed().await)
    }

    /// Ends what cannot live on without flyball; containers can.
    pub(crate) async fn shutdown(&self) {
        each!(self, engine => engine.shutdown().await)
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
