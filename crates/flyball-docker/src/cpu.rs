//! CPU usage of containers: from cgroup files where the process is visible, otherwise from the
//! daemon, and not at all where the daemon does not separate containers. A missing value is `None`,
//! never 0.

use std::time::Duration;

use bollard::models::{ContainerStatsResponse, SystemInfoCgroupDriverEnum};
use bollard::query_parameters::StatsOptionsBuilder;
use flyball_cgroup::{CgroupError, Group, GroupMeter, Hierarchies};
use futures_util::StreamExt;

use crate::DockerError;
use crate::client::{ASK_LIMIT, Client};

/// The daemon answers at its next tick, once a second.
const STATS_LIMIT: Duration = Duration::from_secs(5);

/// What the daemon reports about one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) used_ns: u64,
    /// How long it was throttled; `None` where that is not counted.
    pub(crate) held_ns: Option<u64>,
}

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
            tracing::debug!(container, %error, "reading CPU usage from docker");
            None
        })
    }

    pub(crate) fn used_ns(&self) -> Option<u64> {
        self.0.used_ns().ok()
    }

    /// How long it was throttled; `None` without a limit or a count.
    pub(crate) fn held_ns(&self) -> Option<u64> {
        Some(self.0.throttling().ok()??.held_ns)
    }
}

/// Asks the daemon what it counted for a container; `None` if it does not say.
pub(crate) async fn ask_for(client: &Client, id: &str) -> Option<Counters> {
    if keeps_apart(client).await { ask(client, id).await.unwrap_or(None) } else { None }
}

/// Whether the daemon counts CPU time for each container. One that does without cgroups answers with
/// the time of the whole machine. Asked once; a daemon that does not let itself be asked is believed.
async fn keeps_apart(client: &Client) -> bool {
    if let Some(known) = client.counts_cpu() {
        return known;
    }
    let info = client
        .call("read its cgroup driver", ASK_LIMIT, |docker| async move { docker.info().await });
    let driver = info.await.ok().and_then(|info| info.cgroup_driver);
    let apart = driver != Some(SystemInfoCgroupDriverEnum::NONE);
    client.set_counts_cpu(apart);
    if apart {
        tracing::info!(
            "reading CPU usage of containers from docker every 2 s: their cgroup files are not \
             visible; hint: in a container, flyball needs the host's /sys/fs/cgroup ([docker] \
             cgroup_mount)"
        );
    }
    apart
}

async fn ask(client: &Client, id: &str) -> Result<Option<Counters>, DockerError> {
    let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let answer = client
        .call("read CPU usage", STATS_LIMIT, |docker| async move {
            docker.stats(id, Some(options)).next().await.transpose()
        })
        .await?;
    Ok(answer.and_then(|answer| counters_of(&answer)))
}

fn counters_of(answer: &ContainerStatsResponse) -> Option<Counters> {
    let cpu = answer.cpu_stats.as_ref()?;
    // A container that has just ended is answered with zeros.
    let used_ns = cpu.cpu_usage.as_ref()?.total_usage.filter(|used_ns| *used_ns > 0)?;
    let throttling = cpu.throttling_data.as_ref();
    // Periods are counted where there is a limit, and only then.
    let limited = throttling.filter(|counted| counted.periods.is_some_and(|periods| periods > 0));
    Some(Counters { used_ns, held_ns: limited.and_then(|counted| counted.throttled_time) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counters(cpu: serde_json::Value) -> Option<Counters> {
        counters_of(&serde_json::from_value(json!({ "cpu_stats": cpu })).unwrap())
    }

    #[test]
    fn the_daemon_tells_how_long_a_limit_held_a_container_back() {
        let limited = counters(json!({
            "cpu_usage": { "total_usage": 9 },
            "throttling_data": { "periods": 3, "throttled_periods": 2, "throttled_time": 7 },
        }));
        assert_eq!(limited, Some(Counters { used_ns: 9, held_ns: Some(7) }));
        let free = counters(json!({
            "cpu_usage": { "total_usage": 9 },
            "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
        }));
        assert_eq!(free, Some(Counters { used_ns: 9, held_ns: None }));
        assert_eq!(counters(json!({ "cpu_usage": { "total_usage": 0 } })), None);
    }
}
