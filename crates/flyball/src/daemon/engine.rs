//! What runs replicas, as the loop sees it.
//!
//! Decides nothing: one `match` from the closed list of engines to their crates. Invariant: no call
//! here blocks; an order is taken in at once and its outcome is seen on the next look.

use flyball_config as config;
use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::ReplicaId;
use flyball_process::{ProcessEngine, ProcessSettings};

use super::hosts::Hosts;
use crate::clock;
use crate::failure::Failure;

/// An engine of one service.
pub(crate) enum Engine {
    /// Child processes on this machine.
    Process(ProcessEngine),
}

impl Engine {
    /// The engine that `service` asks for.
    pub(crate) fn build(service: &config::Service, hosts: &Hosts) -> Result<Self, Failure> {
        match &service.engine {
            config::Engine::Process(process) => {
                let settings = ProcessSettings {
                    service: service.name.clone(),
                    command: process.command.clone(),
                    env: process.env.clone(),
                    directory: process.directory.clone(),
                    cpu_limit_cores: process.cpus,
                    grace_ms: process.grace_ms,
                };
                Ok(Self::Process(ProcessEngine::new(hosts.launcher()?, settings, clock::now)?))
            }
            config::Engine::Docker(_) => Err(Failure::new("engine docker: not connected yet")),
        }
    }

    /// As in `flyball.toml`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
        }
    }

    /// What the engine knows, with the time it knew it.
    pub(crate) fn observe(&self) -> Reading<EngineReport> {
        match self {
            Self::Process(engine) => Reading::Taken { at: clock::now(), value: engine.observe() },
        }
    }

    pub(crate) fn start(&self, replica: &ReplicaId) {
        match self {
            Self::Process(engine) => engine.start(replica),
        }
    }

    pub(crate) fn set_ready(&self, replica: &ReplicaId) {
        match self {
            Self::Process(engine) => engine.set_ready(replica),
        }
    }

    pub(crate) fn stop(&self, replica: &ReplicaId) {
        match self {
            Self::Process(engine) => engine.stop(replica),
        }
    }

    /// Returns when a replica came, went or changed.
    pub(crate) async fn changed(&self) {
        match self {
            Self::Process(engine) => engine.changed().await,
        }
    }

    /// Ends what cannot live on without flyball.
    pub(crate) async fn shutdown(&self) {
        match self {
            Self::Process(engine) => engine.shutdown().await,
        }
    }
}
