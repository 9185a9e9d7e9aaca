//! The faults and delays that can be switched on. By default there are none.

use serde::{Deserialize, Serialize};

/// What can be set while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabSettings {
    /// From the launch of a task until it runs, in milliseconds.
    pub launch_ms: u64,
    /// From then until its health checks report it, in milliseconds, where the app has any.
    pub healthy_ms: u64,
    /// How many tasks the cluster has room for; the others wait in the queue.
    pub capacity: usize,
    /// Every request is answered with this status.
    pub status: Option<u16>,
    /// Every answer takes so long, in milliseconds.
    pub answer_ms: u64,
    /// There are no events, and streams of them end.
    pub mute: bool,
    /// There is no leader.
    pub electing: bool,
    /// Which of the addresses leads.
    pub leader: usize,
    /// Before 1.5 there is no PATCH.
    pub version: String,
    /// What requests must carry as `Authorization`.
    pub authorization: Option<String>,
}

impl Default for LabSettings {
    fn default() -> Self {
        Self {
            launch_ms: 100,
            healthy_ms: 50,
            capacity: 100_000,
            status: None,
            answer_ms: 0,
            mute: false,
            electing: false,
            leader: 0,
            version: "1.11.24".to_owned(),
            authorization: None,
        }
    }
}
