//! The port to whatever runs the loop: the daemon, or a scripted one in tests.
//!
//! Decides nothing. Knows neither HTTP nor SQLite. Invariant: what cannot be answered is said to
//! be so ([`Fault`], [`AskError`]); no call answers with made-up figures.

use flyball_core::decision::Decision;
use flyball_core::record::Sample;

use crate::feed::Feed;
use crate::office::OfficeView;
use crate::view::ServiceView;

/// What the door needs from the program behind it.
///
/// `services`, `service`, `office`, `history` and `feed` are called on the server's own threads and must answer from memory.
/// All others may wait for a disk or for the loop: they are called on threads kept for waiting, a
/// bounded number at a time, and the client is told when one took too long.
pub trait Daemon: Send + Sync + 'static {
    /// Every service as it is now, in the order of their names.
    fn services(&self) -> Vec<ServiceView>;

    /// Whether this flyball acts, where one of several does.
    fn office(&self) -> OfficeView;

    /// Whether history is being kept; `None` of whoever keeps none.
    fn history(&self) -> Option<History> {
        None
    }

    /// One service as it is now.
    fn service(&self, name: &str) -> Option<ServiceView> {
        self.services().into_iter().find(|view| view.name == name)
    }

    /// The latest decisions among `which`, newest first.
    fn decisions(&self, service: &str, which: &Which) -> Result<Vec<Decision>, Fault>;

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

    /// Looks at a service, and at whoever advises it, as soon as possible. Never waits.
    fn wake(&self, _service: &str) {}
    /// Where everything that happens is told.
    fn feed(&self) -> &Feed;

    /// Takes a wish made by hand and answers with the service as it is then. `for_ms` is how long
    /// it lasts: `None` for [`ManualAsk::Resume`], and for a count under an `external` policy that
    /// came without a time. `by` is the door: "api", "cli" or "dashboard".
    fn ask(
        &self,
        service: &str,
        ask: ManualAsk,
        for_ms: Option<u64>,
        by: &str,
    ) -> Result<ServiceView, AskError>;
}

/// How it stands with the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether it is being written.
    pub kept: bool,
    /// Records that could not be kept since the start.
    pub lost: u64,
}

/// Which decisions of a service are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// Made at or after this wall-clock time.
    pub from_wall_ms: i64,
    /// Made before this wall-clock time.
    pub before_wall_ms: i64,
    /// So many at most.
    pub limit: usize,
    /// Only those that want another count than was committed.
    pub moves_only: bool,
}

/// A wish made by hand.
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

/// Why a wish was refused.
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
    /// The loop does not take wishes at the moment.
    #[error("{0}")]
    Unavailable(String),
}
