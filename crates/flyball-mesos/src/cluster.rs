//! One Mesos cluster: flyball's framework there, shared by the engines of its services.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::http::host_and_port;
use crate::shared::{Core, read_id};
use crate::{ClusterSettings, Master, MesosError, session, usage};

/// One cluster, and one framework per daemon for all its services: an offer is seen once and can
/// hold replicas of several of them, and there is one id to keep. Mesos stays in charge of
/// placement: flyball accepts offers, spread over the agents, and requests none while nothing is
/// missing.
///
/// | source | reports | delay |
/// |---|---|---|
/// | update | start, end, loss of a task | a few milliseconds |
/// | heartbeat | the master | 1 s, lost after 3 s |
/// | listing | all tasks and agents | 10 s, and after every gap |
/// | reconciliation | tasks that no update mentioned | 10 s |
/// | statistics of the agents | CPU usage | 1 s |
///
/// Dropping it ends the connection; tasks stay: the framework's id is in a file, and the next run
/// that has it finds them.
pub struct MesosCluster {
    pub(crate) core: Arc<Core>,
    tasks: Vec<AbortHandle>,
}

impl MesosCluster {
    /// Begins to work with a cluster. It need not be there yet: until it answers, engines report
    /// nothing, and say why.
    ///
    /// # Errors
    /// [`MesosError::Address`], [`MesosError::IdFile`] if there is one that cannot be read, or
    /// [`MesosError::NoRuntime`] outside of a tokio runtime.
    pub fn open(settings: ClusterSettings) -> Result<Arc<Self>, MesosError> {
        let runtime = Handle::try_current().map_err(|_| MesosError::NoRuntime)?;
        if let Master::At(at) = &settings.master
            && host_and_port(at).is_none()
        {
            return Err(MesosError::Address { at: at.clone() });
        }
        let framework = read_id(&settings.id_file)?;
        let core = Arc::new(Core::new(settings, framework));
        let mut tasks = vec![
            runtime.spawn(session::follow(Arc::clone(&core))).abort_handle(),
            runtime.spawn(usage::follow(Arc::clone(&core))).abort_handle(),
        ];
        if let Some(credential) = core.settings.access.credential.clone() {
            tasks.push(runtime.spawn(credential.secret.follow()).abort_handle());
        }
        Ok(Arc::new(Self { core, tasks }))
    }
}

impl Drop for MesosCluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for MesosCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.core.settings;
        f.debug_struct("MesosCluster").field("master", &settings.master).finish_non_exhaustive()
    }
}
