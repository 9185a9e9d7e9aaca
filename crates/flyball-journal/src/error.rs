//! What can go wrong with the journal. Every error that a person can fix has a hint.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the journal could not be opened, read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The directory cannot be made or written.
    #[error("cannot keep the journal in {}: {why}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// The system's message.
        why: String,
    },
    /// Another process has it.
    #[error("the journal in {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A newer flyball wrote it.
    #[error("{} has version {found}, but this flyball supports up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that can be read.
        known: i64,
    },
    /// The file system cannot hold a write-ahead log.
    #[error("the file system of {} does not support shared memory for SQLite's log", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
    },
    /// A record cannot be understood, because another version of flyball wrote it.
    #[error("cannot read the record of {wall_ms} ms: {why}")]
    Record {
        /// Its wall-clock time.
        wall_ms: i64,
        /// Why.
        why: String,
    },
    /// The journal is not open.
    #[error("the journal is not open")]
    Closed,
    /// It took too long.
    #[error("the journal did not answer in time")]
    Slow,
    /// SQLite's own words.
    #[error("journal: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl JournalError {
    /// What to do about it; `None` if nothing is known to help.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Directory { .. } => {
                "set state_dir in flyball.toml to a directory that flyball's user can write"
                    .to_owned()
            }
            Self::InUse { .. } => {
                "if another flyball is running, give each its own state_dir".to_owned()
            }
            Self::Newer { path, .. } => {
                format!("run the newer flyball again, or move {} away", path.display())
            }
            Self::NoLog { .. } => "set state_dir to a directory on a local disk".to_owned(),
            Self::Record { .. } => "it was written by another version of flyball".to_owned(),
            Self::Closed => return None,
            Self::Slow => "check whether the disk of state_dir is busy or gone".to_owned(),
            Self::Sqlite(error) => match error.sqlite_error_code()? {
                ErrorCode::DiskFull => "free some space on the disk of state_dir".to_owned(),
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                    "make state_dir writable for flyball's user".to_owned()
                }
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                    "restart flyball: it moves a damaged journal aside".to_owned()
                }
                _ => return None,
            },
        })
    }
}
