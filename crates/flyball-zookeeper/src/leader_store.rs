//! Notes that a leader leaves for the next one. ZooKeeper checks in the same step that the writer
//! still leads, so an overtaken leader overwrites nothing.

use std::time::Duration;

use zookeeper_client::{Acls, CheckWriteError, CheckWriter, Client, CreateMode, Error};

use crate::{Ensemble, ZookeeperError};

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

impl LeaderStore {
    /// What was last written down under `name`; `None` if nothing was.
    pub(crate) async fn read(&self, name: &str) -> Result<Option<String>, ZookeeperError> {
        let path = self.path(name);
        let read = async {
            match self.client.get_data(&path).await {
                Ok((data, _)) => Ok(Some(data)),
                Err(Error::NoNode) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let data = self.ensemble.ask("read a note", self.limit, read).await?;
        Ok(data.and_then(|data| String::from_utf8(data).ok()))
    }

    /// Writes `text` down under `name`, if the writer still leads.
    pub(crate) async fn write(&self, name: &str, text: &str) -> Result<(), ZookeeperError> {
        let write = async {
            match self.set(name, text).await {
                Err(CheckWriteError::OperationFailed { source: Error::NoNode, .. }) => {
                    self.create(name, text).await
                }
                written => written,
            }
            .map_err(Error::from)
        };
        self.ensemble.ask("write a note", self.limit, write).await
    }

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
