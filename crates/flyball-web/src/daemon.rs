//! The interface to the daemon, or to a scripted one in tests. What cannot be answered is an error
//! ([`Fault`], [`AskError`]), never an invented value.

use flyball_core::decision::Decision;
use flyball_core::record::{DecisionFilter, Sample};

use crate::api::{LeaderStatus, ReloadReport, ServiceView};
use crate::feed::Feed;

/// What the state needs from the program behind it.
///
/// `services`, `service`, `leader`, `history` and `feed` are called on the server's own threads and
/// must answer from memory. All others may wait for a disk or for the loop: they are called on
/// threads kept for waiting, a bounded number at a time, and the client is told when one took too
/// long.
pub trait Daemon: Send + Sync + 'static {
    /// Every service as it is now, in the order of their names.
    fn services(&self) -> Vec<ServiceView>;

    /// Whether this flyball is the leader, where there are several.
    fn leader(&self) -> LeaderStatus;

    /// Whether history is being kept; `None` if this flyball keeps none.
    fn history(&self) -> Option<History> {
        None
    }

    /// One service as it is now.
    fn service(&self, name: &str) -> Option<ServiceView> {
        self.services().into_iter().find(|view| view.name == name)
    }

    /// The latest decisions that `filter` lets through, newest first.
    fn decisions(&self, service: &str, filter: &DecisionFilter) -> Result<Vec<Decision>, Fault>;

    /// The decision in force at a wall-clock time: the latest made at or before it.
    fn decision_at(&self, service: &str, wall_ms: i64) -> Result<Option<Decision>, Fault>;

    /// Samples from `from_wall_ms` up to, but not including, `to_wall_ms`, oldest first, thinned
    /// out to at most `points_max`.
    fn samples(
        &self,
        service: &str,
        from_wall_ms: i64,
        to_wall_ms: i64,
        points_max: usize,
    ) -> Result<Vec<Sample>, Fault>;

    /// Observes a service, and the program that advises it, as soon as possible. Never waits.
    fn wake(&self, _service: &str) {}
    /// Where everything that happens is told.
    fn feed(&self) -> &Feed;

    /// Applies a manual override and returns the service after it. `for_ms` is how long
    /// it lasts: `None` for [`ManualAsk::Resume`], and for a count under an `external` policy that
    /// came without a time. `by` is the state: "api", "cli" or "dashboard".
    fn ask(
        &self,
        service: &str,
        ask: ManualAsk,
        for_ms: Option<u64>,
        by: &str,
    ) -> Result<ServiceView, AskError>;

    /// Takes an order about the generations of a service and returns the service after it; what
    /// has to be prepared for it goes on afterwards. `by` as in [`Daemon::ask`].
    fn roll(&self, service: &str, ask: RolloutAsk, by: &str) -> Result<ServiceView, AskError>;

    /// Reads the configuration file again and applies what changed.
    fn reload(&self) -> Result<ReloadReport, ReloadError>;
}

/// An order about the generations of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutAsk {
    /// A new generation: of this image, or of what is configured.
    Deploy {
        /// The image; `None`: the one in use.
        image: Option<String>,
    },
    /// The generation that served before.
    Rollback,
    /// No further replica is replaced.
    Pause,
    /// A paused rollout goes on.
    Resume,
}

/// Why the configuration file was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// It has errors; the old configuration goes on.
    #[error("{0}")]
    Invalid(String),
    /// It cannot be read again at the moment.
    #[error("{0}")]
    Unavailable(String),
}

/// How it stands with the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether it is being written.
    pub kept: bool,
    /// Records that could not be kept since the start.
    pub lost: u64,
}

/// A manual override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualAsk {
    /// This many more (or fewer) than are wanted now; never 0.
    By(i32),
    /// Keep this many.
    To(u32),
    /// Keep as many as there are.
    Pause,
    /// Let the policy decide again.
    Resume,
}

/// Why a question could not be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such service.
    #[error("there is no service \"{0}\"")]
    UnknownService(String),
    /// What would know the answer does not work at the moment.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a manual override was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There is no such service.
    #[error("there is no service \"{0}\"")]
    UnknownService(String),
    /// The count would leave the bounds.
    #[error("{asked} replicas are outside the bounds {min}..{max} of \"{service}\"")]
    OutsideBounds {
        /// The service.
        service: String,
        /// The count that was asked for, after adding `by` where that was given.
        asked: i64,
        /// The floor.
        min: u32,
        /// The ceiling.
        max: u32,
    },
    /// The service, or its engine, cannot do that.
    #[error("{what}")]
    NotPossible {
        /// What cannot be done.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// The loop does not accept manual overrides at the moment.
    #[error("{0}")]
    Unavailable(String),
}
