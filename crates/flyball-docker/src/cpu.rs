//! CPU time of containers.
//!
//! Decides where it is read: from cgroup files where the container's process can be seen, from the
//! daemon otherwise. Invariant: a figure that cannot be had is `None`, never 0.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use flyball_cgroup::{CgroupError, Group, GroupMeter, Hierarchies};
use futures_util::StreamExt;

use crate::DockerError;
use crate::host::Core;

/// The daemon answers at its next tick, once a second.
const STATS_LIMIT: Duration = Duration::from_secs(5);

/// The counters of one container, in files.
#[derive(Debug)]
pub(crate) struct Meter(GroupMeter);

impl Meter {
    /// `None` where the files are out of reach: on another machine, in another namespace.
    pub(crate) fn open(
        hierarchies: Option<&Hierarchies>,
        pid: Option<u32>,
        container: &str,
    ) -> Option<Self> {
        let open = || -> Result<Option<Self>, CgroupError> {
            let (Some(hierarchies), Some(pid)) = (hierarchies, pid) else { return Ok(None) };
            // In a container of its own, flyball sees the groups and not the processes.
            let group = Group::of_process(hierarchies, pid, Some(container))
                .or_else(|_| Group::of_container(hierarchies, container))?;
            GroupMeter::open(&group).map(|meter| Some(Self(meter)))
        };
        open().unwrap_or_else(|error| {
            tracing::debug!(container, %error, "CPU time is asked of docker");
            None
        })
    }

    pub(crate) fn used_ns(&self) -> Option<u64> {
        self.0.used_ns().ok()
    }

    /// How long its CPU limit has held it back; `None` where nothing limits it or nobody counts.
    pub(crate) fn held_ns(&self) -> Option<u64> {
        Some(self.0.throttling().ok()??.held_ns)
    }
}

/// Asks the daemon for every counter that no file gives; what is being asked for is left out.
pub(crate) fn ask_for_all(core: &Arc<Core>) {
    for service in core.services() {
        for id in service.unmetered() {
            let (core, service) = (Arc::clone(core), Arc::clone(&service));
            tokio::spawn(async move {
                let used_ns = ask(&core, &id).await.unwrap_or(None);
                service.counted(&id, used_ns);
            });
        }
    }
}

async fn ask(core: &Core, id: &str) -> Result<Option<u64>, DockerError> {
    let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let answer = core
        .call("tell CPU time", STATS_LIMIT, |docker| async move {
            docker.stats(id, Some(options)).next().await.transpose()
        })
        .await?;
    Ok(answer.and_then(|answer| used_of(&answer)))
}

fn used_of(answer: &ContainerStatsResponse) -> Option<u64> {
    // A container that has just ended is answered with zeros.
    answer.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage.filter(|used_ns| *used_ns > 0)
}
