//! The public interface of this crate: connect, route, drain, report.
//!
//! Orders return at once and run in the adapter's own task.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::observation::{BalancerReport, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::HaproxyError;
use crate::finding::Finding;
use crate::preflight;
use crate::reconcile::{self, Shared};
use crate::server_file::ServerFile;
use crate::settings::HaproxySettings;

/// What a round under way gets to end beyond its calls: the file is being synced.
const ENDING_MS: u64 = 1_000;

/// One backend of a HAProxy that runs on its own. Dropping it changes nothing there.
pub struct Haproxy {
    pub(crate) shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Haproxy {
    /// Looks once and starts the adapter's task. Must be called inside a tokio runtime with I/O and
    /// time. Servers of flyball's that an earlier run left in the backend are taken over.
    ///
    /// A HAProxy that is away is no error: readings are missing until it is there. `clock` dates
    /// them.
    ///
    /// # Errors
    /// A setting could never work; the file cannot be kept; or HAProxy is there and lacks the
    /// backend (unless that is in the file and a reload will bring it), the level or the version;
    /// or only a label names the backend, which does not ask for flyball.
    pub async fn connect(
        settings: HaproxySettings,
        clock: fn() -> Timestamp,
    ) -> Result<Self, HaproxyError> {
        settings.verify()?;
        let file = ServerFile::open(&settings)?;
        let shared = Arc::new(Shared::new(settings, clock));
        match preflight::first_look(&shared).await {
            Ok(()) => {}
            Err(
                error @ (HaproxyError::NotAdmin { .. }
                | HaproxyError::TooOld { .. }
                | HaproxyError::NotAsked { .. }),
            ) => return Err(error),
            Err(error @ HaproxyError::NoBackend { .. }) if file.is_none() => return Err(error),
            Err(away) => shared.report(Some(&away)),
        }
        shared.work.notify_one();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(reconcile::run(Arc::clone(&shared), file, stopped));
        Ok(Self { shared, stop, task })
    }

    /// Asks HAProxy: one call, three after a reload that renumbered the backend. If it does not
    /// answer within the call limit, the last answer with its own time; before the first one, why
    /// there is none.
    ///
    /// Arrivals and errors are those of the whole backend, foreign servers included. Times of
    /// requests are never given: HAProxy has only means of the last 1024.
    pub async fn observe(&self) -> Reading<BalancerReport> {
        match self.shared.look().await {
            Ok(()) if self.shared.has_work() => self.shared.work.notify_one(),
            Ok(()) => {}
            Err(error) => self.shared.report(Some(&error)),
        }
        self.shared.state().reading()
    }

    /// Why HAProxy did not answer the last time it was asked, if it did not: until it does, what it
    /// said before is all there is. What it answers and refuses is in the report.
    pub fn silence(&self) -> Option<String> {
        self.shared.state().silence()
    }

    /// Orders that `replica` gets requests at `address`, which must be reachable from HAProxy.
    ///
    /// Does nothing if it gets them already; puts a draining one back. With another address than
    /// before, its server moves there: requests that are under way stay where they are.
    pub fn route(&self, replica: &ReplicaId, address: SocketAddr) {
        self.shared.state().route(replica, address, (self.shared.clock)());
        self.shared.work.notify_one();
    }

    /// Orders that `replica` gets no new requests, and that its server is deleted when the last of
    /// its own has ended. Does nothing if the replica is unknown.
    pub fn drain(&self, replica: &ReplicaId) {
        self.shared.state().drain(replica, (self.shared.clock)());
        self.shared.work.notify_one();
    }

    /// Returns when something has happened that a control loop should look at now: a draining
    /// server is idle, a server gave its first answer, another process took over.
    ///
    /// What happened between two calls is not missed. For one caller.
    pub async fn changed(&self) {
        self.shared.news.notified().await;
    }

    /// What HAProxy lacks to be kept as `settings` say, and the lines to add. Asks, and changes
    /// nothing: it may run beside a flyball that is at work.
    ///
    /// `configuration` names HAProxy's files as they can be read from here; where it is empty they
    /// are looked for where HAProxy says it has them.
    pub async fn check(settings: &HaproxySettings, configuration: &[PathBuf]) -> Vec<Finding> {
        preflight::check(settings, configuration).await
    }

    /// Ends the adapter's task. The servers stay: HAProxy serves on without flyball. But the
    /// activator leaves, as nobody listens there any more: HAProxy answers 503 at once then, and
    /// sends nothing to whoever has the port next.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let limit_ms = self.shared.settings.call_limit_ms.saturating_add(ENDING_MS);
        let _ = timeout(Duration::from_millis(limit_ms), &mut self.task).await;
        self.shared.retire_activator().await;
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
