//! The Mesos agents under Marathon, as its master lists them.
//!
//! While the master does not answer, the last known agents are used.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::core::Core;
use crate::cluster_info::{ask, place};
use crate::listing;
use crate::{Master, MesosError};

/// An agent that is new has tasks of ours some seconds later.
const LIST_EVERY: Duration = Duration::from_secs(5);

/// Lists until aborted.
pub(super) async fn follow(core: Arc<Core>, master: Master) {
    let mut said = String::new();
    loop {
        let why = list(&core, &master).await.err().map(|why| why.to_string()).unwrap_or_default();
        if why != said && !why.is_empty() {
            tracing::warn!("CPU usage of marathon's tasks is unknown: {why}");
        }
        said = why;
        sleep(LIST_EVERY).await;
    }
}

async fn list(core: &Core, master: &Master) -> Result<(), MesosError> {
    let path = "/master/slaves";
    let (at, answer) = ask(&core.system.settings.mesos_access, place(master).await?, path).await?;
    let broken = |why: String| MesosError::Broken { at, what: path.to_owned(), why };
    core.system.set_agents(listing::agents_of(&answer).map_err(broken)?);
    Ok(())
}
