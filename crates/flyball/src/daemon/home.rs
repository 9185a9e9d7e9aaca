//! The state directory, held by one daemon at a time.
//!
//! Decides whether it may be used. Knows nothing of what is kept in it. Invariant: two daemons
//! never run on the same directory, since each would end the other's replicas.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::clock;
use crate::failure::Failure;

/// A state directory in use.
pub(crate) struct Home {
    path: PathBuf,
    /// Locked while it is open.
    _lock: File,
}

impl Home {
    /// Makes the directory if need be and takes it.
    ///
    /// # Errors
    /// It cannot be made or written to, or another daemon has it.
    pub(crate) fn take(path: &Path) -> Result<Self, Failure> {
        let unusable = |error: std::io::Error| {
            Failure::new(format!("cannot use the state directory {}: {error}", path.display()))
                .hint("set state_dir under [flyball] to a directory that this user may write to")
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let lock = path.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(lock).map_err(unusable)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let what = format!("another flyball runs on the state directory {}", path.display());
            return Err(Failure::new(what).hint("stop it, or give this one its own state_dir"));
        }
        let path = path.canonicalize().map_err(unusable)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where something is kept in it from run to run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Names this directory.
    pub(crate) fn mark(&self) -> String {
        self.path.display().to_string()
    }

    /// Names this run on it.
    pub(crate) fn run_mark(&self) -> String {
        format!("{}-{}", std::process::id(), clock::wall_ms())
    }
}
