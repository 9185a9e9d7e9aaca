//! One Mesos cluster and flyball's framework on it, shared by the engines of its services.
//!
//! Decides what runs as long as it does: the session and the meters. Does not know what a master
//! says. Invariant: dropping it ends the connection and leaves the tasks.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::shared::{Core, read_id};
use crate::{ClusterSettings, Master, MesosError, session, usage};

/// One cluster. Dropping it ends the connection; tasks stay.
pub struct MesosCluster {
    pub(crate) core: Arc<Core>,
    tasks: [AbortHandle; 2],
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
            && !is_host_and_port(at)
        {
            return Err(MesosError::Address { at: at.clone() });
        }
        let framework = read_id(&settings.id_file)?;
        let core = Arc::new(Core::new(settings, framework));
        let tasks = [
            runtime.spawn(session::follow(Arc::clone(&core))).abort_handle(),
            runtime.spawn(usage::follow(Arc::clone(&core))).abort_handle(),
        ];
        Ok(Arc::new(Self { core, tasks }))
    }
}

impl Drop for MesosCluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn is_host_and_port(at: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    at.rsplit_once(':').is_some_and(|(host, rest)| !host.is_empty() && port(rest))
}

impl fmt::Debug for MesosCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.core.settings;
        f.debug_struct("MesosCluster").field("master", &settings.master).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_named_by_host_and_port() {
        assert!(is_host_and_port("10.0.0.1:5050") && is_host_and_port("mesos.example:5050"));
        for bad in ["", "host", ":5050", "host:", "host:0", "http://host"] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
