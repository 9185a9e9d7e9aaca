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
use flyball_docker::swarm::SwarmEngine;
use flyball_docker::{DockerEngine, Owner};
use flyball_engine::GenerationInfo;
use flyball_mesos::MesosEngine;
use flyball_mesos::marathon::MarathonEngine;
use flyball_process::ProcessEngine;
use flyball_web::NodeView;

use super::balancers::Balancer;
use crate::clock;
use crate::failure::Failure;

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

/// The image that the configuration names, where it names one.
pub(crate) fn image(engine: &config::Engine) -> Option<String> {
    match engine {
        config::Engine::Docker(container) => container.image.clone(),
        config::Engine::Process(_)
        | config::Engine::Swarm(_)
        | config::Engine::Mesos(_)
        | config::Engine::Marathon(_) => None,
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
            Self::Scripted(engine) => engine.start(replica, generation),
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

    /// The generations that replicas can be made of, oldest first; the last one is what a start
    /// makes if it is told nothing else. None where the engine knows none.
    pub(crate) fn generations(&self) -> Vec<GenerationInfo> {
        match self {
            Self::Process(engine) => engine.generations(),
            Self::Docker(engine) => engine.generations(),
            Self::Swarm(_) | Self::Mesos(_) | Self::Marathon(_) => Vec::new(),
            #[cfg(test)]
            Self::Scripted(engine) => engine.generations(),
        }
    }

    /// Why replicas have no generations here, and what to do instead; `None` if they have.
    pub(crate) fn refusal_of_generations(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Process(_) | Self::Docker(_) => None,
            Self::Swarm(_) => Some((
                "is rolled out by Swarm itself",
                "use `docker service update --image IMAGE SERVICE` or `docker service rollback                  SERVICE`; flyball shows it while it lasts",
            )),
            Self::Marathon(_) => Some((
                "is rolled out by Marathon itself",
                "change the app in Marathon; flyball shows the deployment while it lasts",
            )),
            Self::Mesos(_) => Some((
                "cannot be rolled out: the engine mesos knows no generations",
                "use Marathon, or change the file and restart flyball",
            )),
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Whether replicas are made of an image.
    pub(crate) fn has_images(&self) -> bool {
        match self {
            Self::Docker(_) => true,
            Self::Process(_) | Self::Swarm(_) | Self::Mesos(_) | Self::Marathon(_) => false,
            #[cfg(test)]
            Self::Scripted(_) => false,
        }
    }

    /// Prepares a generation, of `image` if that is given, and makes replicas of it from now on.
    ///
    /// # Errors
    /// It cannot be had; nothing has changed then.
    pub(crate) async fn deploy(&self, image: Option<String>) -> Result<Generation, Failure> {
        match self {
            Self::Process(engine) => Ok(engine.deploy()?),
            Self::Docker(engine) => Ok(engine.deploy(image).await?),
            Self::Swarm(_) | Self::Mesos(_) | Self::Marathon(_) => {
                Err(Failure::new("this engine knows no generations"))
            }
            #[cfg(test)]
            Self::Scripted(engine) => Ok(engine.deploy()),
        }
    }

    /// Makes replicas as `wanted` says from now on, where that is possible while they run. `owner`: to
    /// whom a service by labels belongs.
    ///
    /// # Errors
    /// It is not possible, or not with these settings; nothing has changed then.
    pub(crate) fn reconfigure(
        &self,
        service: &str,
        own: &config::Engine,
        wanted: &config::Engine,
        owner: Option<&Owner>,
    ) -> Result<Reconfigured, Failure> {
        match (self, own, wanted) {
            (Self::Process(engine), _, config::Engine::Process(process)) => {
                Ok(Reconfigured::Generation(process::reconfigure(engine, service, process)?))
            }
            (
                Self::Docker(engine),
                config::Engine::Docker(own),
                config::Engine::Docker(container),
            ) => {
                let settings = docker::settings(service, container, owner);
                let other_image = container.image.clone().filter(|_| own.image != container.image);
                let made = engine.reconfigure(settings, other_image.is_some())?;
                Ok(other_image.map_or(Reconfigured::Settings(made), Reconfigured::Image))
            }
            _ => Err(fixed_settings(&format!("the settings of the engine {}", name(wanted)))),
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

/// What became of changed settings of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reconfigured {
    /// Replicas are made of this generation from now on.
    Generation(Generation),
    /// Replicas are made with other settings from now on, and of the same image or container: as
    /// this generation, where that is known yet.
    Settings(Option<Generation>),
    /// Replicas are to be made of this image, which is to be deployed.
    Image(String),
}

fn fixed_settings(what: &str) -> Failure {
    let what = format!("{what} cannot change while flyball runs: the old goes on until a restart");
    Failure::new(what)
}

fn node_view(node: Node) -> NodeView {
    NodeView {
        name: node.name,
        up: node.up,
        silence: node.silence,
        replicas: node.replicas.iter().map(ToString::to_string).collect(),
    }
}
