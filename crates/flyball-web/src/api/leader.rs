//! Which of several flyballs is the leader.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is the leader, as this flyball knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaderStatus {
    /// What this one does.
    pub role: Role,
    /// The leader: the address of its dashboard, and its host name, as it publishes them. Null if
    /// there is none, and for a standalone flyball.
    pub leader: Option<String>,
    /// The number of the leader's term, which only grows from one term to the next.
    pub term: Option<i64>,
    /// Since when it has been the leader, by ZooKeeper's clock, in milliseconds since 1970-01-01
    /// UTC.
    pub since_wall_ms: Option<i64>,
    /// Why this may be out of date: ZooKeeper cannot be asked.
    pub trouble: Option<String>,
    /// The time on this one's clock.
    pub now_wall_ms: i64,
}

/// What a flyball does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// There are no others.
    Standalone,
    /// It decides and acts; others are on standby.
    Leader,
    /// It takes over when there is no leader.
    Standby,
}

impl LeaderStatus {
    /// Of the only one.
    pub fn standalone(now_wall_ms: i64) -> Self {
        let (leader, term, since_wall_ms, trouble) = (None, None, None, None);
        Self { role: Role::Standalone, leader, term, since_wall_ms, trouble, now_wall_ms }
    }

    /// The leader in a few words.
    pub(crate) fn who(&self) -> String {
        let leader = self.leader.as_deref();
        leader.map_or_else(
            || "there is no leader now".to_owned(),
            |leader| format!("{leader} is the leader"),
        )
    }
}
