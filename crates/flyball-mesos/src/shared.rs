//! State shared by the session, the meters and the engines of a cluster. The framework's id is on
//! disk, and stored for the next leader where there is one, before any task is launched under it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use flyball_core::units::Timestamp;
use flyball_engine::Hint as _;
use flyball_file::FileError;
use flyball_zookeeper::ZookeeperError;
use tokio::sync::Notify;

use crate::agents::Agent;
use crate::state::State;
use crate::task::{Stage, Used};
use crate::usage::{Meters, UsageSource};
use crate::{Access, ClusterSettings, MesosError};

/// One cluster, as everything here works with it.
pub(crate) struct Core {
    pub(crate) settings: ClusterSettings,
    /// Something was asked for.
    pub(crate) wake: Notify,
    /// All that was to be said has been taken by the master, as far as is known.
    pub(crate) said: Notify,
    /// Who is asked for CPU time.
    pub(crate) meters: Meters,
    state: Mutex<State>,
}

impl Core {
    /// With the id of an earlier run, if there was one.
    pub(crate) fn new(settings: ClusterSettings, framework: Option<String>) -> Self {
        let state = Mutex::new(State::new(framework, (settings.clock)()));
        let (wake, said, meters) = (Notify::new(), Notify::new(), Meters::default());
        Self { settings, wake, said, meters, state }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The framework's id, if it has one.
    pub(crate) async fn known_id(&self) -> Result<Option<String>, MesosError> {
        if let Some(shared) = &self.settings.shared
            && let Some(id) = shared.noted(NOTE).await.map_err(of_note)?
        {
            return Ok(Some(id).filter(|id| !id.is_empty()));
        }
        Ok(self.state().framework.clone())
    }

    /// Keeps the framework's id, before anything is done under it.
    pub(crate) async fn keep_id(&self, id: &str) -> Result<(), MesosError> {
        let path = &self.settings.id_file;
        // A full disk is no reason to lose the tasks of an id that is kept already.
        if !matches!(read_id(path), Ok(Some(kept)) if kept == id) {
            let line = format!("{id}\n");
            flyball_file::replace(path, line.as_bytes()).map_err(|error| of_file(path, &error))?;
        }
        match &self.settings.shared {
            Some(shared) => shared.note(NOTE, id).await.map_err(of_note),
            None => Ok(()),
        }
    }

    /// The framework is no more: the next subscription is that of a new one.
    pub(crate) async fn forget(&self, why: &str) {
        tracing::warn!("mesos removed flyball's framework, and its tasks with it: {why}");
        if let Err(error) = fs::remove_file(&self.settings.id_file) {
            tracing::warn!("{}", of_file(&self.settings.id_file, &error));
        }
        if let Some(shared) = &self.settings.shared
            && let Err(error) = shared.note(NOTE, "").await
        {
            tracing::warn!("{}", of_note(error));
        }
        let now = self.now();
        self.state().forget(now);
    }

    /// The connection is lost, or could not be had: said once for each reason.
    pub(crate) fn lost(&self, why: &MesosError) {
        if self.state().lost(why.to_string()) {
            tracing::warn!("{}", why.with_hint());
        }
    }
}

impl UsageSource for Core {
    fn now(&self) -> Timestamp {
        Core::now(self)
    }

    fn access(&self) -> &Access {
        &self.settings.access
    }

    fn meters(&self) -> &Meters {
        &self.meters
    }

    fn busy_agents(&self) -> BTreeMap<String, Agent> {
        let state = self.state();
        let running = state.tasks.values().filter(|task| task.stage == Stage::Running);
        let agent = |id: &String| Some((id.clone(), state.agents.get(id)?.clone()));
        running.filter_map(|task| agent(&task.agent)).collect()
    }

    fn counted(&self, framework: &str, task: &str, used: Used) {
        let mut state = self.state();
        if state.framework.as_deref() == Some(framework) {
            state.counted(task, used);
        }
    }
}

/// Milliseconds since 1970, for ids that are never used again.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An id is 41 bytes.
const ID_BYTES_MAX: u64 = 4_096;

/// The id of an earlier run.
pub(crate) fn read_id(path: &Path) -> Result<Option<String>, MesosError> {
    match flyball_file::read_text(path, ID_BYTES_MAX) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty())),
        Err(FileError::Missing) => Ok(None),
        Err(error) => Err(of_file(path, &error)),
    }
}

/// What the id is noted under.
const NOTE: &str = "mesos-framework";

fn of_note(error: ZookeeperError) -> MesosError {
    MesosError::Note { why: error.to_string() }
}

fn of_file(path: &Path, error: &dyn std::error::Error) -> MesosError {
    MesosError::IdFile { path: path.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_after_a_restart_and_a_missing_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesos-framework");
        assert_eq!(read_id(&path), Ok(None));
        flyball_file::replace(&path, b"abf3dbcc-0000\n").unwrap();
        assert_eq!(read_id(&path), Ok(Some("abf3dbcc-0000".into())));
        assert!(read_id(folder.path()).is_err());
    }
}
