//! Checks a path in ZooKeeper before an election there. Nothing is changed.
//!
//! At most a hundred nodes are read.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zookeeper_client::{Client, Error, Permission};

use crate::candidate::standing;
use crate::{Ensemble, ZookeeperError};

/// A server in the same building takes a connection in a millisecond.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Flyballs at one place are two or three.
const NODES_MAX: usize = 100;

/// A place in ZooKeeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionReport {
    /// The session that was granted, in milliseconds.
    pub session_ms: u64,
    /// Whether the place is there already.
    pub exists: bool,
    /// Whether anyone can create a node there.
    pub open: bool,
    /// The identities of the candidates there, the leader first.
    pub standing: Vec<String>,
}

impl Ensemble {
    /// Which of the servers take no connection, by their `HOST:PORT`.
    pub async fn unreachable(&self) -> Vec<String> {
        let mut tries = JoinSet::new();
        for server in self.servers.split(',').map(str::to_owned) {
            tries.spawn(async move {
                let connected = timeout(CONNECT_LIMIT, TcpStream::connect(&server)).await;
                (server, matches!(connected, Ok(Ok(_))))
            });
        }
        let mut away = Vec::new();
        while let Some(tried) = tries.join_next().await {
            away.extend(tried.ok().and_then(|(server, up)| (!up).then_some(server)));
        }
        away.sort();
        away
    }

    /// Looks at the place, with a session of its own of `session_ms` if that is granted.
    ///
    /// # Errors
    /// No session can be had, as without more than half of the servers, or no answer.
    pub async fn survey(&self, session_ms: u64) -> Result<ElectionReport, ZookeeperError> {
        let client = self.connect(Duration::from_millis(session_ms)).await?;
        let granted = client.session_timeout().as_millis();
        let looking = client.check_stat(&self.path);
        let exists = self.ask("check its path", ASK_LIMIT, looking).await?.is_some();
        let standing = if exists { self.words(&client).await? } else { Vec::new() };
        Ok(ElectionReport {
            session_ms: u64::try_from(granted).unwrap_or(u64::MAX),
            exists,
            open: self.is_open(&client).await?,
            standing,
        })
    }

    async fn words(&self, client: &Client) -> Result<Vec<String>, ZookeeperError> {
        let listing = client.list_children(&self.path);
        let names = self.ask("list candidates", ASK_LIMIT, listing).await?;
        let mut words = Vec::new();
        for name in standing(names).into_iter().take(NODES_MAX) {
            words.extend(self.leader_at(client, &name, ASK_LIMIT).await?.map(|it| it.word));
        }
        Ok(words)
    }

    /// Whether anyone may create nodes in the place, or in what is there of the way to it.
    async fn is_open(&self, client: &Client) -> Result<bool, ZookeeperError> {
        let mut path = self.path.as_str();
        loop {
            let asking = async {
                match client.get_acl(path).await {
                    Ok((acls, _)) => Ok(Some(acls)),
                    Err(Error::NoNode) => Ok(None),
                    // Not even that may be read.
                    Err(Error::NoAuth) => Ok(Some(Vec::new())),
                    Err(error) => Err(error),
                }
            };
            if let Some(acls) = self.ask("read the access control list", ASK_LIMIT, asking).await? {
                let anyone = acls.iter().filter(|acl| acl.scheme() == "world");
                let mut may = anyone.map(|acl| acl.permission());
                return Ok(may.any(|may| may.has(Permission::CREATE)));
            }
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            path = if parent.is_empty() { "/" } else { parent };
        }
    }
}
