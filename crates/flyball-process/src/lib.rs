//! Engine `process`: replicas are child processes on this host.
//!
//! When flyball ends, however it ends, no process of a replica is left.
//!
//! One [`Launcher`] per daemon does every fork; one [`ProcessEngine`] per service keeps the replicas:
//!
//! | what ends | what ends the rest |
//! |---|---|
//! | a replica's first process | the engine kills its cgroup, or its session, markers and descendants |
//! | flyball, orderly | [`ProcessEngine::shutdown`], then the launcher on drop |
//! | flyball, `SIGKILL` | the kernel kills first processes, the watchdog everything else |
//! | flyball and watchdog | the next [`Launcher::start`] with the same state directory |
//!
//! A restarted flyball replaces what an earlier run left; it does not adopt it. Only the process that
//! started a child can reap it and read its output pipe, so an adopted replica would have neither exit
//! status nor log tail. Every replica would also have to outlive a crash of flyball, which this engine
//! promises not to happen.
//!
//! A process can escape if it leaves its session, clears its environment and loses its parent, on a
//! host without usable cgroups.

/// Descriptors that one replica takes: one reports its exit, two carry its standard output and
/// error (kept apart, because the reason of an end is the last error), one counts its CPU time.
/// Without a cgroup each of its further processes takes one, too.
pub const DESCRIPTORS_OF_A_REPLICA: u64 = 4;

mod containment;
mod engine;
mod env_markers;
mod error;
mod exit;
mod finder;
mod fork;
mod launcher;
mod meter;
mod output;
mod replica;
mod settings;
mod state;
mod version;
mod watchdog;

pub use containment::Containment;
pub use engine::ProcessEngine;
pub use error::ProcessError;
pub use launcher::Launcher;
pub use settings::{LauncherSettings, ProcessSettings};
pub use watchdog::watchdog_main;
