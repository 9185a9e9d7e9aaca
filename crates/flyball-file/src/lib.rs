//! Reads and writes the files that a configuration, a command line or the state directory names.
//! Refuses FIFOs, which would block forever, and devices, which would never end.

mod below;
mod error;
mod privacy;

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

pub use below::{FileBelow, FileIdentity};
pub use error::{FileError, PlaceError};
pub use privacy::{keep_private, may_others_read};

/// Opens the regular file at `path` for reading; links are followed. Never waits for a writer.
///
/// # Errors
/// There is no such file, it is of another kind, or the system refuses.
pub fn open(path: &Path) -> Result<File, FileError> {
    // Opening a device can do something, so the kind is looked at first; and once more behind the
    // descriptor, because the name may lead elsewhere by then.
    refuse_other_kinds(&path.metadata()?)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(FileError::of)?);
    refuse_other_kinds(&file.metadata()?)?;
    Ok(file)
}

/// All bytes of the regular file at `path`, `bytes_max` at most.
///
/// # Errors
/// Those of [`open`]; the file is larger, or cannot be read.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { bytes_max });
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// Those of [`read`]; the file is not UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, FileError> {
    String::from_utf8(read(path, bytes_max)?).map_err(|error| FileError::not_text(&error))
}

/// Opens the file at `path` to be locked, and makes it, for its owner alone, where it is missing.
///
/// # Errors
/// It is of another kind, or the system refuses.
pub fn open_lock(path: &Path) -> Result<File, FileError> {
    // Without waiting for the reader that a FIFO would want.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = File::from(rustix::fs::open(path, flags, mode).map_err(FileError::of)?);
    refuse_other_kinds(&file.metadata()?)?;
    Ok(file)
}

/// Puts a file of `bytes`, for its owner alone, in the place of the one at `path`: whole or not at
/// all, whatever happens meanwhile.
///
/// # Errors
/// The system refuses.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    // What an attempt that was cut short left, or whatever else has this name.
    match std::fs::remove_file(new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(std::fs::rename(new, path)?)
}

fn refuse_other_kinds(metadata: &Metadata) -> Result<(), FileError> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    Err(if kind.is_dir() {
        FileError::Directory
    } else if kind.is_fifo() {
        FileError::NotRegular { kind: "a FIFO" }
    } else if kind.is_socket() {
        FileError::NotRegular { kind: "a socket" }
    } else {
        FileError::NotRegular { kind: "a device" }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::{Duration, Instant};

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let link = dir.path().join("link");
        symlink("/dev/zero", &link).unwrap();
        let begun = Instant::now();
        let refused = |path: &Path| read_text(path, 10).unwrap_err().to_string();
        assert_eq!(refused(&fifo), "it is a FIFO, not a regular file");
        assert_eq!(refused(Path::new("/dev/zero")), "it is a device, not a regular file");
        assert_eq!(refused(&link), "it is a device, not a regular file");
        assert_eq!(refused(dir.path()), "it is a directory");
        assert_eq!(refused(&dir.path().join("none")), "there is no such file");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert_eq!(read(&path, 4).unwrap_err().to_string(), "it is larger than 4 bytes");
        std::fs::write(&path, b"\n\xff").unwrap();
        let error = read_text(&path, 5).unwrap_err();
        assert_eq!(error.to_string(), "byte 0xff at offset 1, in line 2, is not UTF-8");
    }

    #[test]
    fn a_lock_and_a_replacement_never_wait_and_are_their_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(open_lock(&fifo).is_err());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let lock = dir.path().join("lock");
        open_lock(&lock).unwrap();
        assert_eq!(mode(&lock), 0o600);
        let (path, new) = (dir.path().join("id"), dir.path().join("id.new"));
        mknodat(CWD, &new, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for text in ["one", "two"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(read_text(&path, 10).unwrap(), text);
        }
        assert_eq!((mode(&path), new.exists()), (0o600, false));
    }

    #[test]
    fn a_kernel_file_without_a_size_is_read_too() {
        assert!(read_text(Path::new("/proc/self/comm"), 64).unwrap().ends_with('\n'));
    }
}
