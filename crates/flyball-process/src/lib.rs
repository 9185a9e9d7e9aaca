//! Engine `process`: replicas are child processes of this machine.
//!
//! Decides how a replica is started, watched, metered and ended, down to its last grandchild. Does
//! not know how many there should be, whether one answers requests, or who sends them any.
//! Invariant: when flyball ends, however it ends, no process of a replica is left.
//!
//! One [`Launcher`] per daemon does every fork; one [`ProcessEngine`] per service keeps the
//! replicas. What ends with what:
//!
//! | ends | what ends the rest |
//! |---|---|
//! | replica's first process | the engine kills its cgroup, or its session, mark and descendants |
//! | flyball, orderly | [`ProcessEngine::shutdown`], then the launcher on drop |
//! | flyball, `SIGKILL` | the kernel kills first processes, the watchdog everything else |
//! | flyball and watchdog | the next [`Launcher::start`] with the same home |
//!
//! A restarted flyball replaces what an earlier run left; it does not adopt it. A process can only
//! be reaped, and the pipe with its last words only be read, by the process that started it; half
//! an adoption would have neither exit status nor last words, and would have to let every replica
//! outlive a crash of flyball, which is the one thing promised not to happen.
//!
//! What can escape: a process that leaves its session, clears its environment and loses its
//! parent, on a machine where no cgroup can be had.

/// Descriptors that one replica takes: one tells its death, two carry what it says on standard output
/// and error (kept apart, because the reason of an end is the last error), one counts its CPU time.
/// Without a cgroup each of its further processes takes one, too.
pub const DESCRIPTORS_OF_A_REPLICA: u64 = 4;

mod containment;
mod engine;
mod error;
mod exit;
mod fork;
mod hunt;
mod launcher;
mod marks;
mod output;
mod ports;
mod replica;
mod settings;
mod watchdog;

pub use containment::Containment;
pub use engine::ProcessEngine;
pub use error::ProcessError;
pub use launcher::Launcher;
pub use settings::{LauncherSettings, ProcessSettings};
pub use watchdog::watchdog_main;
