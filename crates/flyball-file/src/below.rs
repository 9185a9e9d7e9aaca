//! One file below a directory that the operator names, reached without following links: every step
//! of the path is opened by itself, so that a planted link cannot redirect it. Device and inode
//! identify a directory, however it is spelt.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, fsync, linkat, openat, renameat, renameat_with,
    unlinkat,
};
use rustix::io::Errno;

use crate::error::{FileError, PlaceError};
use crate::refuse_other_kinds;

/// Opens what is there itself: a link, not what it leads to.
const ITSELF: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A place for one file below a directory. The file need not be there.
#[derive(Debug)]
pub struct FileBelow {
    folder: OwnedFd,
    name: OsString,
}

/// Which file is meant, however the way to it was spelt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIdentity {
    device: u64,
    folder: u64,
    name: OsString,
}

impl FileBelow {
    /// The place of the file `path`, which must be below `directory`. A relative path starts at the
    /// process's own directory.
    ///
    /// # Errors
    /// It is elsewhere, or spelt with `..`; a step of the way is a link or is not there.
    pub fn open(path: &Path, directory: &Path) -> Result<Self, PlaceError> {
        let (path, directory) = (std::path::absolute(path)?, std::path::absolute(directory)?);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(PlaceError::ParentDirectory);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(PlaceError::Nameless);
        };
        if !parent.starts_with(&directory) {
            return Err(PlaceError::Outside { directory });
        }
        let folder = walk(parent).map_err(|(at, errno)| no_step(at, errno))?;
        Ok(Self { folder, name: name.to_owned() })
    }

    /// Which file it is among all that anybody may name.
    ///
    /// # Errors
    /// The system refuses.
    pub fn identity(&self) -> Result<FileIdentity, PlaceError> {
        let folder = metadata(self.folder.try_clone()?)?;
        Ok(FileIdentity { device: folder.dev(), folder: folder.ino(), name: self.name.clone() })
    }

    /// The first `bytes_max` bytes of the file, or all where it has fewer; `None` where there is
    /// none. Never waits for a writer.
    ///
    /// # Errors
    /// It is a link, a directory or no regular file, or the system refuses.
    pub fn read_head(&self, bytes_max: u64) -> Result<Option<Vec<u8>>, PlaceError> {
        let itself = match openat(&self.folder, &self.name, ITSELF, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(FileError::of)?,
        };
        self.must_be_regular(&metadata(itself)?)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = openat(&self.folder, &self.name, flags | OFlags::CLOEXEC, Mode::empty());
        let file = File::from(opened.map_err(FileError::of)?);
        // It may be another one by now.
        self.must_be_regular(&file.metadata()?)?;
        let mut head = Vec::new();
        file.take(bytes_max).read_to_end(&mut head)?;
        Ok(Some(head))
    }

    fn must_be_regular(&self, metadata: &Metadata) -> Result<(), PlaceError> {
        if metadata.is_symlink() {
            return Err(PlaceError::Link { at: PathBuf::from(&self.name) });
        }
        Ok(refuse_other_kinds(metadata)?)
    }

    /// Makes the file with `text` in it, readable by every user: as a whole or not at all. Blocks.
    ///
    /// # Errors
    /// There is one by now, or the system refuses.
    pub fn create(&self, text: &str) -> Result<(), PlaceError> {
        self.write(text, |beside| self.rename_to_nothing(beside))
    }

    /// Puts a file with `text` in the place of the one that is there. The rest as with
    /// [`FileBelow::create`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn replace(&self, text: &str) -> Result<(), PlaceError> {
        self.write(text, |beside| renameat(&self.folder, beside, &self.folder, &self.name))
    }

    fn write(
        &self,
        text: &str,
        rename: impl FnOnce(&OsStr) -> Result<(), Errno>,
    ) -> Result<(), PlaceError> {
        // Hidden, so that a program that reads a whole folder passes it over.
        let mut beside = OsString::from(".");
        beside.push(&self.name);
        beside.push(".new");
        let written = self.write_beside(&beside, text);
        let written = written.and_then(|()| rename(&beside).map_err(io::Error::from));
        if written.is_err() {
            // What is left of it, if anything is.
            let _ = unlinkat(&self.folder, &beside, AtFlags::empty());
        }
        written?;
        Ok(fsync(&self.folder).map_err(FileError::of)?)
    }

    fn write_beside(&self, beside: &OsStr, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o644);
        let open = || openat(&self.folder, beside, flags | OFlags::CLOEXEC, mode);
        let file = match open() {
            // Left by a process that was killed.
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

    /// No file that another program made in between is replaced.
    fn rename_to_nothing(&self, beside: &OsStr) -> Result<(), Errno> {
        let folder = &self.folder;
        match renameat_with(folder, beside, folder, &self.name, RenameFlags::NOREPLACE) {
            // Not every file system can do that; all of them refuse a second name for another file.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(folder, beside, folder, &self.name, AtFlags::empty())?;
                unlinkat(folder, beside, AtFlags::empty())
            }
            renamed => renamed,
        }
    }
}

fn metadata(descriptor: OwnedFd) -> io::Result<Metadata> {
    File::from(descriptor).metadata()
}

/// Opens the folder `path` step by step; where it stopped, and why.
fn walk(path: &Path) -> Result<OwnedFd, (PathBuf, Errno)> {
    let mut at = PathBuf::from("/");
    let step = ITSELF | OFlags::DIRECTORY;
    let first = openat(CWD, "/", step, Mode::empty());
    let mut folder = first.map_err(|errno| (at.clone(), errno))?;
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        at.push(name);
        folder = openat(&folder, name, step, Mode::empty()).map_err(|errno| (at.clone(), errno))?;
    }
    // A descriptor that only names a place cannot be synced.
    let whole = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(&folder, ".", whole, Mode::empty()).map_err(|errno| (at, errno))
}

fn no_step(at: PathBuf, errno: Errno) -> PlaceError {
    let is_link = || at.symlink_metadata().is_ok_and(|seen| seen.is_symlink());
    match errno {
        Errno::LOOP | Errno::NOTDIR if is_link() => PlaceError::Link { at },
        Errno::NOENT | Errno::NOTDIR => PlaceError::NoDirectory { at },
        errno => FileError::of(errno).into(),
    }
}

#[cfg(test)]
mod tests;
