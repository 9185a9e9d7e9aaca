//! The engine of one service.

use std::sync::Arc;
use std::time::Duration;

use flyball_core::generation::Generation;
use flyball_core::observation::EngineReport;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::GenerationInfo;
use flyball_engine::command::PortFault;
use tokio::runtime::Handle;

use crate::replica::run_replica;
use crate::state::Shared;
use crate::{Launcher, ProcessError, ProcessSettings};

/// What a shutdown takes at most beyond the grace: a fork under way, and the killing.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(15);

/// Runs the replicas of one service. Dropping it stops them in the background.
#[derive(Debug)]
pub struct ProcessEngine {
    shared: Arc<Shared>,
    runtime: Handle,
}

impl ProcessEngine {
    /// Checks that the command can be run; starts nothing. Warns of a command that cannot mean
    /// what it says about the port.
    ///
    /// `clock` is what every reading is stamped with.
    ///
    /// # Errors
    /// Every [`ProcessError`] that names a service.
    pub fn new(
        launcher: Arc<Launcher>,
        settings: ProcessSettings,
        clock: fn() -> Timestamp,
    ) -> Result<Self, ProcessError> {
        settings.find_command()?;
        if let Some(fault) = settings.port_fault().filter(PortFault::is_certain) {
            tracing::warn!("{}: {fault}; hint: {}", settings.service, fault.hint());
        }
        let runtime = Handle::try_current()
            .map_err(|_| ProcessError::NoRuntime { service: settings.service.clone() })?;
        let shared = Shared::new(launcher, settings, clock)?;
        Ok(Self { shared: Arc::new(shared), runtime })
    }

    /// All that is known now. Reads the CPU counters, some microseconds each; waits for nothing.
    ///
    /// A counter that cannot be read now is the latest one, with the time it was read at.
    pub fn observe(&self) -> EngineReport {
        self.shared.report()
    }

    /// Asks for a replica of `generation`, or of the current one where that is not known: the next
    /// look sees it starting. Does nothing if there is one of that name, or after
    /// [`Self::shutdown`].
    pub fn start(&self, replica: &ReplicaId, generation: Option<Generation>) {
        if let Some(ordered) = self.shared.order(replica, generation) {
            self.runtime.spawn(run_replica(Arc::clone(&self.shared), replica.clone(), ordered));
        }
    }

    /// Replicas are made of `settings` from now on; those that run stay as they are.
    ///
    /// # Errors
    /// As [`Self::new`]; nothing has changed then.
    pub fn reconfigure(&self, settings: ProcessSettings) -> Result<Generation, ProcessError> {
        self.shared.change(Some(settings))
    }

    /// A new generation of the same settings, so that what runs is replaced.
    ///
    /// # Errors
    /// The command cannot be run any more; nothing has changed then.
    pub fn deploy(&self) -> Result<Generation, ProcessError> {
        self.shared.change(None)
    }

    /// The generations that replicas can be made of, oldest first; the last one is the current
    /// one. At most five.
    pub fn generations(&self) -> Vec<GenerationInfo> {
        self.shared.generations()
    }

    /// Takes note that a replica passed its readiness probe. Does nothing for one that is ready,
    /// stopping, unknown or without an address.
    pub fn set_ready(&self, replica: &ReplicaId) {
        self.shared.set_ready(replica);
    }

    /// Asks a replica to end: `SIGTERM` to its group now, `SIGKILL` to everything of it after the
    /// grace or the end of its first process. Does nothing for one that is stopping or unknown.
    pub fn stop(&self, replica: &ReplicaId) {
        self.shared.stop(replica);
    }

    /// Waits until something has changed since the last call: a replica was started or failed to,
    /// is ending or has ended. For one caller at a time.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Stops everything, for good, and waits until it is gone: at most the grace and 15 s.
    pub async fn shutdown(&self) {
        self.shared.close();
        let limit = Duration::from_millis(self.shared.grace_max_ms()) + SHUTDOWN_MARGIN;
        let mut population = self.shared.population.subscribe();
        let gone = tokio::time::timeout(limit, population.wait_for(|&count| count == 0)).await;
        if gone.is_err() {
            let left = *self.shared.population.borrow();
            tracing::warn!(service = self.shared.service, left, "replicas did not end in time");
        }
    }
}

impl Drop for ProcessEngine {
    fn drop(&mut self) {
        self.shared.close();
    }
}
