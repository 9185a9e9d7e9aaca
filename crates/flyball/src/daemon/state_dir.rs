//! The state directory, locked by one daemon, because two on one directory would stop each other's
//! replicas. A directory that cannot be written is locked all the same.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use flyball_file::{keep_private, open_lock};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::clock;
use crate::failure::Failure;

// What flyball keeps in the directory besides the journal and the lock. Each is named from here, so
// that none counts as somebody else's and keeps the directory open to others.

/// With what flyball signs its containers.
pub(super) const CONTAINERS_KEY: &str = "containers-key";
/// To whom services by the labels of containers belong.
pub(super) const CONTAINER_OWNERS: &str = "container-owners";
/// To whom services by the labels of a Swarm belong.
pub(super) const SWARM_OWNERS: &str = "swarm-owners";
/// To whom services by the labels of apps belong.
pub(super) const APP_OWNERS: &str = "app-owners";
/// Which framework flyball is to Mesos.
pub(super) const MESOS_FRAMEWORK: &str = "mesos-framework";

const FILES: [&str; 6] =
    ["journal", CONTAINERS_KEY, CONTAINER_OWNERS, SWARM_OWNERS, APP_OWNERS, MESOS_FRAMEWORK];

/// A state directory in use.
pub(crate) struct StateDir {
    path: PathBuf,
    /// Locked while they are open.
    _locks: Vec<File>,
}

impl StateDir {
    /// Makes the directory if need be and takes it, from other users of this machine, too.
    ///
    /// # Errors
    /// Another daemon has it, or it is no directory.
    pub(crate) fn take(path: &Path) -> Result<Self, Failure> {
        let unusable = |error: io::Error| {
            Failure::new(format!("cannot use the state directory {}: {error}", path.display()))
                .hint("set state_dir under [flyball] to a directory")
        };
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            // The path is not a directory, which no disk repair changes.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotADirectory | ErrorKind::AlreadyExists) =>
            {
                return Err(unusable(error));
            }
            Err(error) => tracing::debug!(%error, "cannot create the state directory"),
            Ok(()) => close_to_others(path),
        }
        // The file is what earlier versions lock; the directory can be locked on a full disk, too.
        let own = open_lock(&path.join("lock")).ok();
        let mut locks = Vec::new();
        for file in [own, File::open(path).ok()].into_iter().flatten() {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => locks.push(file),
                Err(Errno::WOULDBLOCK) => {
                    let what =
                        format!("another flyball uses the state directory {}", path.display());
                    return Err(
                        Failure::new(what).hint("stop it, or give this one its own state_dir")
                    );
                }
                // A file system without locks of directories, such as NFS.
                Err(error) => tracing::debug!(%error, "no lock"),
            }
        }
        let path = path.canonicalize().or_else(|_| std::path::absolute(path)).map_err(unusable)?;
        Ok(Self { path, _locks: locks })
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

/// What to do about that.
pub(crate) const OWN_DIRECTORY: &str = "give flyball its own directory";

/// Files in it that are neither the journal's, which sees to its own, nor of others.
const OWN: [&str; 2] = ["lock", "mesos-framework"];

/// Journals hold the last log lines of replicas, which may be secret.
fn close_to_others(path: &Path) {
    for name in OWN {
        let _not_there_or_of_another = keep_private(&path.join(name));
    }
    if let Some(why) = open_to_others(path) {
        tracing::warn!("{why}; hint: {OWN_DIRECTORY}");
    } else if let Err(error) = keep_private(path) {
        tracing::warn!(
            "the state directory {} is open to other users of this machine: {error}; \
             hint: chmod 700 it, or make flyball's user its owner",
            path.display()
        );
    }
}

/// Why the rights of the state directory are not flyball's to change, if other users have any: it
/// is the place of others, too, such as /tmp or /var/lib.
pub(crate) fn open_to_others(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode();
    if mode & 0o077 == 0 {
        return None;
    }
    let entries = path.read_dir().ok()?.flatten().map(|entry| entry.file_name());
    let foreign = entries.into_iter().find(|name| !is_own(name))?;
    Some(format!(
        "the state directory {} is open to other users of this machine (mode {:03o}), and stays \
         open because it contains something else: {}",
        path.display(),
        mode & 0o777,
        foreign.display()
    ))
}

/// Whether a file in the state directory is flyball's, by its name. A file that is written anew has
/// a longer name until it takes the place of the old one.
fn is_own(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    FILES.iter().any(|file| name.starts_with(file))
        || ["lock", "lost+found"].contains(&name.as_ref())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_directory_is_closed_to_others_also_where_it_was_open() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/state");
        StateDir::take(&new).unwrap();
        assert_eq!(mode_of(&new), 0o700);
        fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        for own in ["journal.db", "containers-key", "swarm-owners", "mesos-framework.new"] {
            fs::write(new.join(own), "").unwrap();
        }
        StateDir::take(&new).unwrap();
        assert_eq!(mode_of(&new), 0o700);
        assert_eq!(mode_of(&new.join("lock")), 0o600);
    }

    #[test]
    fn a_directory_that_holds_what_is_not_flyballs_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("passwords"), "").unwrap();
        StateDir::take(dir.path()).unwrap();
        assert_eq!(mode_of(dir.path()), 0o755);
        assert!(open_to_others(dir.path()).unwrap().contains("passwords"));
    }

    #[test]
    fn one_that_cannot_be_made_is_used_and_one_that_is_a_file_is_not() {
        // Nobody can make a directory here, root neither.
        let home = StateDir::take(Path::new("/proc/flyball")).unwrap();
        assert_eq!(home.mark(), "/proc/flyball");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(StateDir::take(file.path()).is_err());
        assert!(StateDir::take(&file.path().join("below")).is_err());
    }

    #[test]
    fn nobody_else_can_take_it_meanwhile_even_without_a_file_to_lock() {
        let dir = tempfile::tempdir().unwrap();
        let _held = StateDir::take(dir.path()).unwrap();
        fs::remove_file(dir.path().join("lock")).unwrap();
        assert!(StateDir::take(dir.path()).is_err());
    }
}
