//! The replicas of one service on Mesos. Orders return at once and run in the background; the next
//! report shows the result. Tasks outlive the engine, and the next one finds them by the
//! framework's id.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::nodes::Node;
use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::ReplicaId;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::nodes::nodes_of;
use crate::service_tasks::ServiceTasks;
use crate::{MesosCluster, MesosError, MesosSettings};

/// What a shutdown waits until the master has got the orders to end tasks.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// Runs the replicas of one service. Dropping it leaves them alone.
pub struct MesosEngine {
    cluster: Arc<MesosCluster>,
    settings: MesosSettings,
    changed: Arc<Notify>,
}

impl MesosEngine {
    /// Checks the settings; the service's tasks of earlier runs are found with the next listing.
    ///
    /// # Errors
    /// Every [`MesosError`] of [`MesosSettings::validate`].
    pub fn new(cluster: Arc<MesosCluster>, settings: MesosSettings) -> Result<Self, MesosError> {
        settings.validate()?;
        let core = &cluster.core;
        let pool = ServiceTasks::new(settings.clone(), core.now());
        let changed = Arc::clone(&pool.changed);
        let mut state = core.state();
        state.pools.insert(settings.service.clone(), pool);
        state.relist = true;
        drop(state);
        core.wake.notify_one();
        Ok(Self { cluster, settings, changed })
    }

    /// All that is known now, as old as the master's latest sign of life (a second, as a rule).
    /// CPU counters are those of the agents, at most 5 s old. Waits for nothing.
    ///
    /// Missing from the loss of the master until everything was listed again.
    pub fn observe(&self) -> Reading<EngineReport> {
        let now = self.cluster.core.now();
        self.cluster.core.state().observe(&self.settings.service, now)
    }

    /// The agents that replicas are on, in the order of their names, as far as is known now. Waits for
    /// nothing.
    pub fn nodes(&self) -> Vec<Node> {
        let core = &self.cluster.core;
        let state = core.state();
        nodes_of(&state.placed(&self.settings.service), &state.agents, &core.meters)
    }

    /// Asks for a replica: the next look sees it starting, and why it does not while no offer fits.
    /// Does nothing if there is one of that name, or after [`Self::shutdown`].
    pub fn start(&self, replica: &ReplicaId) {
        let core = &self.cluster.core;
        let now = core.now();
        if core.state().order(&self.settings.service, replica, now) {
            core.wake.notify_one();
        }
    }

    /// Takes note that a replica passed its readiness probe. Does nothing for one that is not
    /// running or is unknown.
    pub fn set_ready(&self, replica: &ReplicaId) {
        let now = self.cluster.core.now();
        self.cluster.core.state().set_ready(&self.settings.service, replica, now);
    }

    /// Asks a replica to end: its stop signal now, `SIGKILL` after the grace. One that waits for an
    /// offer is no longer wanted. Does nothing for one that is stopping or unknown.
    pub fn stop(&self, replica: &ReplicaId) {
        self.cluster.core.state().order_end(&self.settings.service, replica);
        self.cluster.core.wake.notify_one();
    }

    /// Waits until something has changed since the last call. For one caller at a time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Starts nothing any more, and waits at most 2 s until the master has the orders to end tasks.
    /// Tasks stay.
    pub async fn shutdown(&self) {
        let core = &self.cluster.core;
        let said = core.said.notified();
        if let Some(pool) = core.state().pools.get_mut(&self.settings.service) {
            pool.closed = true;
            pool.orders.clear();
        }
        core.wake.notify_one();
        if timeout(SHUTDOWN_LIMIT, said).await.is_err() {
            tracing::debug!(service = self.settings.service, "mesos is unreachable at shutdown");
        }
    }
}

impl fmt::Debug for MesosEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MesosEngine").field("settings", &self.settings).finish_non_exhaustive()
    }
}
