//! The folder that flyball may write in, and one file of its own there.
//!
//! Every step of the way is opened by itself and follows no link, so nobody who can make a link
//! moves the file elsewhere. Two spellings of one folder are one: its device and inode tell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat, fstat, fsync, linkat, openat,
    renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::error::HaproxyError;

/// More than the first line of a file of flyball's.
const HEAD_MAX: u64 = 4_096;

/// Which file is meant, however its folder was spelt: device and inode of that, and its name.
type Identity = (u64, u64, OsString);

/// The files that flyball keeps, each for one service. Shared by all services of one flyball.
#[derive(Clone, Debug, Default)]
pub struct OwnedFiles {
    taken: Arc<Mutex<BTreeMap<Identity, String>>>,
}

/// A place for one file, reached without a link.
pub(crate) struct Place {
    folder: OwnedFd,
    name: OsString,
    path: PathBuf,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// An empty file, or one of flyball's own.
    Replaceable {
        ours: bool,
    },
}

impl OwnedFiles {
    /// Takes the file at `place` for `service`, which may take it again.
    pub(crate) fn take(&self, place: &Place, service: &str) -> Result<(), HaproxyError> {
        let identity = place.identity()?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get(&identity).filter(|other| *other != service) {
            None => {
                taken.insert(identity, service.to_owned());
                Ok(())
            }
            Some(other) => {
                Err(place.refused(format!("it is the file of service {other}, spelt otherwise")))
            }
        }
    }

    /// Lets go of what `service` has.
    pub(crate) fn let_go(&self, service: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, owner| owner != service);
    }
}

impl Place {
    /// The place of the file `path`, which must be below `directory`.
    pub(crate) fn open(path: &Path, directory: &Path) -> Result<Self, HaproxyError> {
        let refused = |why: String| HaproxyError::Place { path: path.to_owned(), why };
        let unusable = |source| HaproxyError::File { path: path.to_owned(), source };
        let absolute = std::path::absolute(path).map_err(unusable)?;
        let directory = std::path::absolute(directory).map_err(unusable)?;
        if absolute.components().any(|part| part == Component::ParentDir) {
            return Err(refused("there is .. in it".to_owned()));
        }
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(refused("it names no file".to_owned()));
        };
        if !parent.starts_with(&directory) {
            return Err(refused(format!("it is not below {}", directory.display())));
        }
        let folder = walk(parent).map_err(|(at, errno)| why_not(path, &at, errno))?;
        Ok(Self { folder, name: name.to_owned(), path: path.to_owned() })
    }

    /// As it was written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn identity(&self) -> Result<Identity, HaproxyError> {
        let seen = fstat(&self.folder).map_err(|errno| self.unusable(errno))?;
        Ok((seen.st_dev, seen.st_ino, self.name.clone()))
    }

    /// What is there. Waits for nobody: only a regular file is opened, and only its head is read.
    ///
    /// # Errors
    /// It is no regular file, or one that does not begin with `mark`.
    pub(crate) fn look(&self, mark: &str) -> Result<Found, HaproxyError> {
        let seen = match statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(errno) => return Err(self.unusable(errno)),
            Ok(seen) => seen,
        };
        self.must_be_regular(&seen)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&self.folder, &self.name, flags, Mode::empty());
        let file = opened.map_err(|errno| self.unusable(errno))?;
        // It may be another one by now.
        self.must_be_regular(&fstat(&file).map_err(|errno| self.unusable(errno))?)?;
        let mut head = Vec::new();
        let read = File::from(file).take(HEAD_MAX).read_to_end(&mut head);
        read.map_err(|source| HaproxyError::File { path: self.path.clone(), source })?;
        let whole = u64::try_from(seen.st_size).unwrap_or(u64::MAX) < HEAD_MAX;
        if head.starts_with(mark.as_bytes()) {
            Ok(Found::Replaceable { ours: true })
        } else if whole && head.iter().all(u8::is_ascii_whitespace) {
            Ok(Found::Replaceable { ours: false })
        } else {
            Err(HaproxyError::ForeignFile { path: self.path.clone() })
        }
    }

    fn must_be_regular(&self, seen: &Stat) -> Result<(), HaproxyError> {
        let what = match FileType::from_raw_mode(seen.st_mode) {
            FileType::RegularFile => return Ok(()),
            FileType::Directory => "a directory",
            FileType::Symlink => "a link",
            FileType::Fifo => "a pipe",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::Unknown => "no regular file",
        };
        Err(self.refused(format!("there is {what}")))
    }

    /// Puts `text` there as a whole: written beside it, synced, renamed. Blocks. What is there
    /// must still be nothing, or carry `mark`.
    pub(crate) fn write(&self, mark: &str, text: &str) -> Result<(), HaproxyError> {
        let found = self.look(mark)?;
        let mut beside = OsString::from(".");
        beside.push(&self.name);
        // Hidden, so that a HAProxy that reads a whole folder passes it over.
        beside.push(".new");
        let written = self.write_beside(&beside, text).and_then(|()| {
            match found {
                Found::Nothing => self.make(&beside),
                Found::Replaceable { .. } => {
                    renameat(&self.folder, &beside, &self.folder, &self.name)
                }
            }
            .map_err(io::Error::from)
        });
        if written.is_err() {
            // What is left of it, if anything is.
            let _ = unlinkat(&self.folder, &beside, AtFlags::empty());
        }
        written
            .and_then(|()| fsync(&self.folder).map_err(io::Error::from))
            .map_err(|source| HaproxyError::File { path: self.path.clone(), source })
    }

    /// Gives what was written beside the file its name. Nobody else's, made in between, is replaced.
    fn make(&self, beside: &OsString) -> Result<(), Errno> {
        let folder = &self.folder;
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(folder, beside, folder, &self.name, flags) {
            // Not every file system can do that; all of them refuse a second name for another file.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(folder, beside, folder, &self.name, AtFlags::empty())?;
                unlinkat(folder, beside, AtFlags::empty())
            }
            renamed => renamed,
        }
    }

    fn write_beside(&self, beside: &OsString, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o644);
        let open = || openat(&self.folder, beside, flags | OFlags::CLOEXEC, mode);
        let file = match open() {
            // Left by a flyball that was killed.
            Err(Errno::EXIST) => {
                unlinkat(&self.folder, beside, AtFlags::empty())?;
                open()?
            }
            opened => opened?,
        };
        let mut file = File::from(file);
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn refused(&self, why: String) -> HaproxyError {
        HaproxyError::Place { path: self.path.clone(), why }
    }

    fn unusable(&self, errno: Errno) -> HaproxyError {
        HaproxyError::File { path: self.path.clone(), source: errno.into() }
    }
}

/// Opens the folder `path` step by step; where it stopped, and why.
fn walk(path: &Path) -> Result<OwnedFd, (PathBuf, Errno)> {
    let mut at = PathBuf::from("/");
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |from: &OwnedFd, name: &Path, flags| openat(from, name, flags, Mode::empty());
    let first = openat(CWD, "/", flags | OFlags::PATH, Mode::empty());
    let mut folder = first.map_err(|errno| (at.clone(), errno))?;
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        at.push(name);
        let next = open(&folder, Path::new(name), flags | OFlags::PATH);
        folder = next.map_err(|errno| (at.clone(), errno))?;
    }
    // A descriptor that only names a place cannot be synced.
    open(&folder, Path::new("."), flags | OFlags::RDONLY).map_err(|errno| (at, errno))
}

fn why_not(path: &Path, at: &Path, errno: Errno) -> HaproxyError {
    let link = matches!(errno, Errno::LOOP | Errno::NOTDIR)
        && std::fs::symlink_metadata(at).is_ok_and(|seen| seen.is_symlink());
    if link {
        let why = format!("{} is a link, and none is followed", at.display());
        return HaproxyError::Place { path: path.to_owned(), why };
    }
    HaproxyError::File { path: path.to_owned(), source: errno.into() }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
