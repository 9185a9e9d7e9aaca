//! Notes that a leader leaves for the next one.
//!
//! ZooKeeper checks in the same step that the writer still leads, so an overtaken leader overwrites
//! nothing.

use std::time::Duration;

use zookeeper_client::{Acls, CheckWriteError, CheckWriter, Client, CreateMode, Error};

use crate::{Candidate, Ensemble, ZookeeperError};

/// What a leader writes with.
#[derive(Clone)]
pub(crate) struct LeaderStore {
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
        let store = self.store()?;
        let path = store.path(name);
        let read = async {
            match store.client.get_data(&path).await {
                Ok((data, _)) => Ok(Some(data)),
                Err(Error::NoNode) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let data = store.ensemble.ask("read a note", store.limit, read).await?;
        Ok(data.and_then(|data| String::from_utf8(data).ok()))
    }

    /// Stores `text` under `name`, unless another flyball leads by now.
    ///
    /// # Errors
    /// This one does not lead, or ZooKeeper does not answer.
    pub async fn note(&self, name: &str, text: &str) -> Result<(), ZookeeperError> {
        let store = self.store()?;
        let write = async {
            match store.set(name, text).await {
                Err(CheckWriteError::OperationFailed { source: Error::NoNode, .. }) => {
                    store.create(name, text).await
                }
                written => written,
            }
            .map_err(Error::from)
        };
        store.ensemble.ask("write a note", store.limit, write).await
    }
}

impl LeaderStore {
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
