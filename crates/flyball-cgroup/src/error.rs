//! Errors when reading a counter, and which of them mean that its process is gone.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A counter that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file could not be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file was read and does not hold what it should.
    #[error("{} has no number for {field}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was looked for in it.
        field: &'static str,
    },
    /// A process, and all of its tree, has ended.
    #[error("process {pid} has ended")]
    Ended {
        /// Its id.
        pid: u32,
    },
    /// No hierarchy that counts CPU time is mounted there.
    #[error("no cgroup hierarchy is mounted at {}", mount.display())]
    NoHierarchy {
        /// Where it was looked for.
        mount: PathBuf,
    },
    /// A process shares its cgroups with processes it has nothing to do with.
    #[error("process {pid} is in no cgroup of its own")]
    NotItsOwn {
        /// Its id.
        pid: u32,
    },
    /// A container is at none of the usual places.
    #[error("container {id} has no cgroup in a usual place")]
    NoContainer {
        /// Its id.
        id: String,
    },
    /// A process is in a cgroup that cannot be seen from this cgroup namespace.
    #[error("the cgroup of process {pid} is outside of this cgroup namespace")]
    OutOfView {
        /// Its id.
        pid: u32,
    },
}

impl CgroupError {
    pub(crate) fn read(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Read { path: path.to_owned(), source: source.into() }
    }

    /// Whether the group or process has ceased to exist, so that asking again is useless.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Ended { .. } => true,
            Self::Read { source, .. } => {
                let gone = [Errno::NOENT, Errno::NODEV, Errno::SRCH];
                gone.iter().any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
            }
            _ => false,
        }
    }

    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoHierarchy { .. } => {
                Some("set the directory where cgroups are mounted (usually /sys/fs/cgroup)".into())
            }
            Self::OutOfView { .. } => Some(
                "give flyball's container the host's cgroup namespace (docker run --cgroupns=host)"
                    .into(),
            ),
            _ => None,
        }
    }
}
