//! A Swarm as its watcher, its engines and their orders share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use flyball_engine::counted::{Counted, CountedService};

use super::settings::ManagerSettings;

pub(super) type Core = Counted<Swarm>;

/// One service of a Swarm.
pub(super) type Service = CountedService<Swarm>;

pub(super) struct Swarm {
    pub(super) settings: ManagerSettings,
    /// Whether the Swarm had no service of agents at the latest look.
    lacks_agents: AtomicBool,
}

impl Swarm {
    pub(super) fn shared(settings: ManagerSettings) -> Arc<Core> {
        Counted::new(Self { settings, lacks_agents: AtomicBool::new(false) })
    }

    pub(super) fn set_lacks_agents(&self, lacks: bool) {
        self.lacks_agents.store(lacks, Relaxed);
    }

    pub(super) fn lacks_agents(&self) -> bool {
        self.lacks_agents.load(Relaxed)
    }
}
