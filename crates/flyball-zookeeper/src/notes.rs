//! What one leader writes down for the next.
//!
//! Decides nothing. Invariant: a note is written in the same step in which ZooKeeper makes sure
//! that the writer still leads, so that nobody who was overtaken overwrites anything.

use std::time::Duration;

use zookeeper_client::{Acls, CheckWriteError, CheckWriter, Client, CreateMode, Error};

use crate::{Candidate, Ensemble, ZookeeperError};

/// What a leader writes with.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) ensemble: Ensemble,
    pub(crate) client: Client,
    /// The node that is there as long as its leader leads.
    pub(crate) lock: String,
    /// How long an answer may take.
    pub(crate) limit: Duration,
}

impl Candidate {
    /// What was last written down under `name`, by whichever leader; `None` if nothing was.
    ///
    /// # Errors
    /// This one does not lead, or ZooKeeper does not answer.
    pub async fn noted(&self, name: &str) -> Result<Option<String>, ZookeeperError> {
        let desk = self.desk()?;
        let path = desk.path(name);
        let read = async {
            match desk.client.get_data(&path).await {
                Ok((data, _)) => Ok(Some(data)),
                Err(Error::NoNode) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let data = desk.ensemble.ask("read a note", desk.limit, read).await?;
        Ok(data.and_then(|data| String::from_utf8(data).ok()))
    }

    /// Writes `text` down under `name`, unless somebody else leads by now.
    ///
    /// # Errors
    /// This one does not lead, or ZooKeeper does not answer.
    pub async fn note(&self, name: &str, text: &str) -> Result<(), ZookeeperError> {
        let desk = self.desk()?;
        let write = async {
            match desk.set(name, text).await {
                Err(CheckWriteError::OperationFailed { source: Error::NoNode, .. }) => {
                    desk.create(name, text).await
                }
                written => written,
            }
            .map_err(Error::from)
        };
        desk.ensemble.ask("write a note", desk.limit, write).await
    }
}

impl Desk {
    fn path(&self, name: &str) -> String {
        format!("{}/note-{name}", self.ensemble.path)
    }

    async fn set(&self, name: &str, text: &str) -> Result<(), CheckWriteError> {
        let mut writer = self.writer()?;
        writer.add_set_data(&self.path(name), text.as_bytes(), None)?;
        writer.commit().await.map(drop)
    }

    async fn create(&self, name: &str, text: &str) -> Result<(), CheckWriteError> {
        let mut writer = self.writer()?;
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        writer.add_create(&self.path(name), text.as_bytes(), &options)?;
        writer.commit().await.map(drop)
    }

    /// Writes only while the lock is there.
    fn writer(&self) -> Result<CheckWriter<'_>, Error> {
        self.client.new_check_writer(&self.lock, None)
    }
}
