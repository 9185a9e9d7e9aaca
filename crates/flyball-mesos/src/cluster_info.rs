//! Information about a cluster before anything is started on it.
//!
//! It does not subscribe, so it disturbs no running flyball.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::{Access, Master, MesosError, MesosSettings, http};

const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Redirects before they are reported as a loop.
const HOPS_MAX: usize = 5;
/// Most elections are over far sooner; the longest take a session of ZooKeeper, 10 s by default.
const LEADER_LIMIT: Duration = Duration::from_secs(5);

/// A cluster, as its leading master reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterInfo {
    /// The master's `HOST:PORT`.
    pub at: String,
    /// Mesos's version.
    pub version: String,
    /// The agents that are active.
    rooms: Vec<Room>,
}

/// One agent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Room {
    cpus: f64,
    memory_mib: f64,
}

impl ClusterInfo {
    /// Asks the leading master.
    ///
    /// # Errors
    /// What keeps it from being asked: no leader, not running, silent.
    pub async fn of(master: &Master, access: &Access) -> Result<Self, MesosError> {
        let at = place(master).await?;
        let (at, slaves) = ask(access, at, "/master/slaves").await?;
        let (at, version) = ask(access, at, "/version").await?;
        let version = version.get("version").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { at, version, rooms: rooms(&slaves) })
    }

    /// How many agents there are.
    pub fn agents(&self) -> usize {
        self.rooms.len()
    }

    /// All of their cores.
    pub fn cpus(&self) -> f64 {
        self.rooms.iter().map(|room| room.cpus).sum()
    }

    /// Why no agent could ever hold a replica; `None` if one could.
    pub fn no_room_for(&self, settings: &MesosSettings) -> Option<String> {
        let mib = settings.memory_mib();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 MiB")]
        let fits = |room: &Room| room.cpus >= settings.cpus && room.memory_mib >= mib as f64;
        if self.rooms.iter().any(fits) {
            return None;
        }
        let most = |of: fn(&Room) -> f64| self.rooms.iter().map(of).fold(0.0, f64::max);
        Some(format!(
            "none of {} agents has {} cpus and {mib} MiB: the most are {} cpus and {:.0} MiB",
            self.rooms.len(),
            settings.cpus,
            most(|room| room.cpus),
            most(|room| room.memory_mib),
        ))
    }
}

fn rooms(slaves: &Value) -> Vec<Room> {
    let slaves = slaves.get("slaves").and_then(Value::as_array).into_iter().flatten();
    let active = slaves.filter(|slave| slave.get("active").and_then(Value::as_bool) != Some(false));
    let room = |slave: &Value| {
        let amount = |name: &str| slave.get("resources")?.get(name)?.as_f64();
        Some(Room { cpus: amount("cpus")?, memory_mib: amount("mem")? })
    };
    active.filter_map(room).collect()
}

/// Where to ask first.
pub(crate) async fn place(master: &Master) -> Result<String, MesosError> {
    match master {
        Master::At(at) => Ok(at.clone()),
        Master::Elected(leader) => {
            let mut leader = leader.clone();
            let found = timeout(LEADER_LIMIT, leader.wait_for(Option::is_some)).await;
            found.ok().and_then(|it| it.ok()?.clone()).ok_or(MesosError::NoLeader)
        }
    }
}

/// What the leader answers, and where it is.
pub(crate) async fn ask(
    access: &Access,
    mut at: String,
    path: &str,
) -> Result<(String, Value), MesosError> {
    for _ in 0..HOPS_MAX {
        let answer = match http::get(access, &at, path, ASK_LIMIT).await {
            Err(MesosError::Elsewhere { at: leader }) => {
                at = leader;
                continue;
            }
            answer => answer?,
        };
        let (what, broken) = (path.to_owned(), at.clone());
        let answer = serde_json::from_slice(&answer);
        let answer = answer.map_err(|error| MesosError::Broken {
            at: broken,
            what,
            why: error.to_string(),
        })?;
        return Ok((at, answer));
    }
    Err(MesosError::NoLeader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_fits_no_agent_is_told_with_the_most_there_is() {
        let slaves = serde_json::json!({ "slaves": [
            { "active": true, "resources": { "cpus": 4.0, "mem": 1024.0 } },
            { "active": false, "resources": { "cpus": 64.0, "mem": 65_536.0 } },
            { "resources": {} },
        ] });
        let rooms = rooms(&slaves);
        let survey = ClusterInfo { at: "m:5050".into(), version: "1.11.0".into(), rooms };
        let mut settings = MesosSettings::new("web", "web:1", 80);
        assert_eq!(survey.no_room_for(&settings), None);
        settings.cpus = 8.0;
        let why = "none of 1 agents has 8 cpus and 256 MiB: the most are 4 cpus and 1024 MiB";
        assert_eq!(survey.no_room_for(&settings).as_deref(), Some(why));
    }
}
