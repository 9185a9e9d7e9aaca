//! Why a file could not be read. The caller names the file.

use std::io;
use std::path::PathBuf;
use std::string::FromUtf8Error;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is something that has no end, or none yet.
    #[error("it is {kind}, not a regular file")]
    NotRegular {
        /// What it is: "a FIFO", "a device".
        kind: &'static str,
    },
    /// It is larger than what is expected there.
    #[error("it is larger than {bytes_max} bytes")]
    TooLarge {
        /// The most that is read.
        bytes_max: u64,
    },
    /// It is not UTF-8.
    #[error("byte {byte:#04x} at offset {offset}, in line {line}, is not UTF-8")]
    NotText {
        /// The first byte that is not.
        byte: u8,
        /// Where it is, from 0.
        offset: usize,
        /// In which line, from 1.
        line: usize,
    },
    /// The system's message.
    #[error(transparent)]
    Unreadable(io::Error),
}

/// Why a file below a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It is a link, or a step of the way to it is.
    #[error("{} is a link, and links are not followed", at.display())]
    Link {
        /// The link.
        at: PathBuf,
    },
    /// A step of the way to it is not there.
    #[error("there is no directory {}", at.display())]
    NoDirectory {
        /// The first such step.
        at: PathBuf,
    },
    /// It is spelt with `..`, which could lead elsewhere.
    #[error("it contains ..")]
    ParentDirectory,
    /// It is the root.
    #[error("it does not name a file")]
    Nameless,
    /// It is not where it may be.
    #[error("it is not below {}", directory.display())]
    Outside {
        /// The directory that it must be below.
        directory: PathBuf,
    },
    /// The same as with any other file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FileError {
    pub(crate) fn of(error: impl Into<io::Error>) -> Self {
        let error = error.into();
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }

    pub(crate) fn not_text(error: &FromUtf8Error) -> Self {
        let offset = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at(offset);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Self::NotText { byte: rest.first().copied().unwrap_or(0), offset, line }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::of(error)
    }
}

impl From<io::Error> for PlaceError {
    fn from(error: io::Error) -> Self {
        Self::File(error.into())
    }
}
