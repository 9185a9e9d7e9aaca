//! The ZooKeeper servers and a path on them.
//!
//! Every request has a deadline, because the client library has none.

use std::time::Duration;

use tokio::time::timeout;
use zookeeper_client::{Client, Error};

/// Servers, and a path on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// `HOST:PORT`, separated by commas.
    pub servers: String,
    /// Begins with a slash and does not end with one.
    pub path: String,
}

/// ZooKeeper does not do what is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZookeeperError {
    /// Expected while servers start or elect their leader: no session can be had.
    #[error("zookeeper at {servers} cannot be reached: {why}")]
    Unreachable {
        /// The servers.
        servers: String,
        /// What was said.
        why: String,
    },
    /// No answer came in time.
    #[error("zookeeper at {servers} did not answer within {limit_ms} ms: {what}")]
    Silent {
        /// The servers.
        servers: String,
        /// What it was asked.
        what: &'static str,
        /// How long it had, in milliseconds.
        limit_ms: u64,
    },
    /// Expected once another one leads: what only a leader may do was refused.
    #[error("this flyball is not the leader")]
    NotLeading,
    /// It answered with a refusal.
    #[error("zookeeper at {servers}: {what}: {why}")]
    Refused {
        /// The servers.
        servers: String,
        /// What it was asked.
        what: &'static str,
        /// Its words.
        why: String,
    },
}

impl ZookeeperError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => {
                Some("are more than half of the servers running?".to_owned())
            }
            Self::NotLeading | Self::Refused { .. } => None,
        }
    }
}

impl Ensemble {
    /// A session of its own, which ends when its last client is dropped.
    pub(crate) async fn connect(&self, session: Duration) -> Result<Client, ZookeeperError> {
        let connecting = Client::connector().with_session_timeout(session).connect(&self.servers);
        let unreachable =
            |why: String| ZookeeperError::Unreachable { servers: self.servers.clone(), why };
        match timeout(session, connecting).await {
            Ok(client) => client.map_err(|error| unreachable(error.to_string())),
            Err(_) => Err(unreachable(format!("no session within {} ms", session.as_millis()))),
        }
    }

    /// What ZooKeeper answers, if it does in time.
    pub(crate) async fn ask<T>(
        &self,
        what: &'static str,
        limit: Duration,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ZookeeperError> {
        let servers = self.servers.clone();
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            // The client connects again by itself, within the same session.
            Ok(Err(Error::ConnectionLoss)) | Err(_) => {
                let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                Err(ZookeeperError::Silent { servers, what, limit_ms })
            }
            Ok(Err(error)) => {
                Err(ZookeeperError::Refused { servers, what, why: error.to_string() })
            }
        }
    }
}
