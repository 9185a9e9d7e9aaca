//! A cgroup for each replica, where cgroups can be created.
//!
//! Only directories that this crate created are killed or removed.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use flyball_cgroup::Hierarchies;
use rustix::fs::{Access, access};

/// What holds the processes of a replica together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Containment {
    /// A cgroup v2 for each replica, below this directory: nothing escapes without the rights of
    /// root, and CPU is exact.
    Cgroup {
        /// The group of the whole run.
        directory: PathBuf,
    },
    /// Session, mark and descent: CPU is summed over the processes that were seen.
    Session {
        /// Why there are no groups.
        why: String,
    },
}

impl Containment {
    /// Makes the group of a run, below the one that flyball itself is in.
    pub(crate) fn establish(mount: Option<&Path>, home: &str, run: &str) -> Self {
        let Some(mount) = mount else {
            return Self::Session { why: "cgroups are switched off".into() };
        };
        match place_for_groups(mount).and_then(|place| {
            remove_earlier(&place, home);
            create_run_group(&place.join(format!("{}{}", prefix(home), file_name(run))))
        }) {
            Ok(directory) => Self::Cgroup { directory },
            Err(why) => Self::Session { why },
        }
    }

    pub(crate) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Cgroup { directory } => Some(directory),
            Self::Session { .. } => None,
        }
    }
}

fn create_run_group(directory: &Path) -> Result<PathBuf, String> {
    let said =
        |what: &str, error: io::Error| format!("cannot {what} {}: {error}", directory.display());
    fs::create_dir(directory).map_err(|error| said("make", error))?;
    let usable = access(directory.join("cgroup.kill"), Access::WRITE_OK)
        .and_then(|()| access(directory.join("cgroup.procs"), Access::WRITE_OK));
    if let Err(errno) = usable {
        remove(directory);
        return Err(said("use", errno.into()));
    }
    Ok(directory.to_owned())
}

/// Moving a process needs the right to write to the group that holds both ends, too.
fn place_for_groups(mount: &Path) -> Result<PathBuf, String> {
    let hierarchies = Hierarchies::at(mount).map_err(|error| error.to_string())?;
    let place = hierarchies
        .unified_place_of(std::process::id())
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("no cgroup v2 below {}", mount.display()))?;
    let procs = place.join("cgroup.procs");
    access(&procs, Access::WRITE_OK)
        .map_err(|errno| format!("cannot write {}: {errno}", procs.display()))?;
    Ok(place)
}

fn remove_earlier(place: &Path, home: &str) {
    let Ok(entries) = fs::read_dir(place) else { return };
    let prefix = prefix(home);
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            kill_group(&entry.path(), KILL_LIMIT);
        }
    }
}

/// How long killed processes may take to be gone before the group is left behind.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// Kills everything in the group at `directory` and below, and removes it. Gives whether it is
/// gone when `limit` has passed.
pub(crate) fn kill_group(directory: &Path, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        let _ = fs::write(directory.join("cgroup.kill"), "1");
        if remove(directory) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Removes an empty group with the empty groups in it.
fn remove(directory: &Path) -> bool {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    match fs::remove_dir(directory) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The group of one replica.
#[derive(Debug)]
pub(crate) struct ReplicaGroup {
    directory: PathBuf,
}

impl ReplicaGroup {
    /// Makes it in the group of the run; `number` distinguishes `name` from others.
    pub(crate) fn create(run: &Path, number: u64, name: &str) -> io::Result<Self> {
        let directory = run.join(format!("{number}-{}", file_name(name)));
        fs::create_dir(&directory)?;
        Ok(Self { directory })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that a process joins by.
    pub(crate) fn door(&self) -> io::Result<OwnedFd> {
        File::options().write(true).open(self.directory.join("cgroup.procs")).map(OwnedFd::from)
    }

    /// Whether process `pid` is in.
    pub(crate) fn holds(&self, pid: u32) -> bool {
        let Some(name) = self.directory.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|list| list.lines().any(|l| l.starts_with("0::") && l.ends_with(name)))
    }
}

fn prefix(home: &str) -> String {
    format!("flyball-{:016x}-", fnv1a(home))
}

/// The same for the same home in every build, which the hasher of the standard library is not.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn file_name(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    text.chars().map(safe).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_mount_it_says_why_there_are_no_groups() {
        let off = Containment::establish(None, "/home", "r");
        assert_eq!(off, Containment::Session { why: "cgroups are switched off".into() });
        let empty = tempfile::tempdir().unwrap();
        let Containment::Session { why } = Containment::establish(Some(empty.path()), "/home", "r")
        else {
            panic!("groups in an empty directory")
        };
        assert!(why.contains(&empty.path().display().to_string()), "{why}");
    }

    #[test]
    fn names_of_groups_hold_no_slashes_and_do_not_mix_homes() {
        assert_eq!(file_name("a/../b c"), "a____b_c");
        assert_ne!(prefix("/a"), prefix("/b"));
    }
}
