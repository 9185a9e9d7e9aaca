//! The wanted replicas of one service, and its report besides its tasks.
//!
//! A replica is either wanted or a task, never both.

use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_core::observation::{Exit, Phase, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::Exits;
use tokio::sync::Notify;

use crate::MesosSettings;
use crate::offer::Needs;

/// Offers come within one allocation of Mesos (1 s by default); two without any is a reason to say so.
const OFFER_MS: u64 = 2_000;

/// One service.
#[derive(Debug)]
pub(crate) struct ServiceTasks {
    pub(crate) settings: MesosSettings,
    pub(crate) changed: Arc<Notify>,
    pub(crate) made_at: Timestamp,
    /// Nothing is started any more.
    pub(crate) closed: bool,
    /// Replicas that no offer was found for yet, with the time they were asked for.
    pub(crate) orders: BTreeMap<ReplicaId, Timestamp>,
    /// Why the latest offers did not fit, and when that was.
    pub(crate) short: Option<(Timestamp, String)>,
    exits: Exits,
}

impl ServiceTasks {
    pub(crate) fn new(settings: MesosSettings, made_at: Timestamp) -> Self {
        Self {
            settings,
            changed: Arc::default(),
            made_at,
            closed: false,
            orders: BTreeMap::new(),
            short: None,
            exits: Exits::default(),
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        Needs { cpus: self.settings.cpus, memory_mib: self.settings.memory_mib() }
    }

    pub(crate) fn record_exit(&mut self, exit: Exit) {
        self.exits.push(exit);
    }

    pub(crate) fn exits(&self) -> Vec<Exit> {
        self.exits.to_vec()
    }

    /// Why what was asked for does not start, while it does not.
    pub(crate) fn pending(&self, now: Timestamp) -> Option<String> {
        let first = self.orders.values().min()?;
        if let Some((_, why)) = self.short.as_ref().filter(|(at, _)| at >= first) {
            return Some(why.clone());
        }
        let waited_ms = now.ms_since(*first);
        let none = || format!("mesos has offered nothing for {} s", waited_ms / 1_000);
        (waited_ms >= OFFER_MS).then(none)
    }

    /// The replicas that wait for an offer.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = ReplicaReport> {
        self.orders.iter().map(|(id, asked_at)| ReplicaReport {
            id: id.clone(),
            phase: Phase::Starting,
            asked_at: *asked_at,
            ready_at: None,
            address: None,
            cpu: None,
            throttled: None,
            cpu_limit_cores: self.settings.cpus,
            protected: false,
            may_sleep: false,
            generation: None,
        })
    }
}
