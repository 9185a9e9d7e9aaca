//! The ordered, fully specified actions that bring a service to its count.
//!
//! Decides which replica starts, is routed, drains and stops. Does not know how any of it is done.
//! Invariant: a routed replica is drained before it is stopped, and a plan made twice from the same
//! observation is the same plan, so that carrying it out twice changes nothing more.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::units::ReplicaId;

/// One action, to be tried once; whether it worked is seen on the next look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Start a replica of this name; nothing if it exists already.
    Start {
        /// Its name.
        replica: ReplicaId,
    },
    /// Send requests to a ready replica, also one that was draining.
    Route {
        /// Its name.
        replica: ReplicaId,
        /// Where it serves.
        address: SocketAddr,
    },
    /// Send a replica no more requests and let it finish those it has. The balancer forgets it
    /// once the last one ended.
    Drain {
        /// Its name.
        replica: ReplicaId,
    },
    /// Ask a replica to end, then make it end.
    Stop {
        /// Its name.
        replica: ReplicaId,
        /// Why, for the log.
        why: StopReason,
    },
}

/// Why a replica is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had not served yet and is not needed any more.
    NotNeeded,
    /// It finished its last request.
    Drained,
    /// It did not finish its requests within the drain limit.
    DrainLimit,
    /// It did not become ready within the start limit.
    NeverReady,
}

impl Step {
    /// The replica it acts on.
    pub fn replica(&self) -> &ReplicaId {
        match self {
            Self::Start { replica }
            | Self::Route { replica, .. }
            | Self::Drain { replica }
            | Self::Stop { replica, .. } => replica,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { replica } => write!(f, "start {replica}"),
            Self::Route { replica, address } => write!(f, "route {replica} at {address}"),
            Self::Drain { replica } => write!(f, "drain {replica}"),
            Self::Stop { replica, why } => write!(f, "stop {replica} ({why})"),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNeeded => "not needed",
            Self::Drained => "drained",
            Self::DrainLimit => "drain limit passed",
            Self::NeverReady => "never became ready",
        })
    }
}
