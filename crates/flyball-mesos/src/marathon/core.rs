//! A Marathon as its watcher, its engines and their orders share it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use flyball_core::nodes::Node;
use flyball_core::units::Timestamp;
use flyball_engine::counted::{Counted, CountedService};

use super::settings::MarathonSettings;
use crate::Access;
use crate::agents::Agent;
use crate::nodes::nodes_of;
use crate::task::Used;
use crate::usage::{Meters, UsageSource};

pub(super) type Core = Counted<Apps>;

/// One app.
pub(super) type Service = CountedService<Apps>;

/// The apps of a Marathon.
pub(super) struct Apps {
    pub(super) settings: MarathonSettings,
    agents: Mutex<BTreeMap<String, Agent>>,
    /// Who is asked for CPU time.
    meters: Meters,
}

/// The Marathon that answers.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Its `HOST:PORT`.
    pub(super) at: String,
    /// Whether a count is changed by PATCH, which versions before 1.5 do not know.
    pub(super) patches: bool,
    /// The Mesos framework whose tasks are Marathon's.
    pub(super) framework: Option<String>,
}

impl Apps {
    pub(super) fn shared(settings: MarathonSettings) -> Arc<Core> {
        Counted::new(Self { settings, agents: Mutex::default(), meters: Meters::default() })
    }

    /// The agents that Mesos has now.
    pub(super) fn set_agents(&self, agents: BTreeMap<String, Agent>) {
        *self.agents.lock().unwrap_or_else(PoisonError::into_inner) = agents;
    }
}

/// Which agents the replicas are on.
pub(super) fn nodes(service: &Service) -> Vec<Node> {
    let apps = &service.core.system;
    service.with_state(|state| {
        let agents = apps.agents.lock().unwrap_or_else(PoisonError::into_inner);
        nodes_of(&state.placed(), &agents, &apps.meters)
    })
}

impl UsageSource for Core {
    fn now(&self) -> Timestamp {
        Counted::now(self)
    }

    fn access(&self) -> &Access {
        &self.system.settings.mesos_access
    }

    fn meters(&self) -> &Meters {
        &self.system.meters
    }

    fn busy_agents(&self) -> BTreeMap<String, Agent> {
        let agents = self.system.agents.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut busy = BTreeMap::new();
        for service in self.services() {
            service.with_state(|state| {
                for id in state.running() {
                    if let Some(agent) = agents.get(id) {
                        busy.entry(id.to_owned()).or_insert_with(|| agent.clone());
                    }
                }
            });
        }
        busy
    }

    fn counted(&self, framework: &str, task: &str, used: Used) {
        let ours = self.connection().ok().and_then(|site| site.framework);
        // A Marathon that does not name its framework still has task ids that are unique.
        if ours.is_none_or(|ours| ours == framework) {
            let counted = |service: &Arc<Service>| service.with_state(|it| it.counted(task, used));
            let _found = self.services().iter().any(counted);
        }
    }
}
