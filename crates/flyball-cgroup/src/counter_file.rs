//! A small kernel file that is opened once. Each reading starts at the beginning and must fit the
//! buffer.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::CgroupError;

/// The largest file read here is a `stat` of a process with a long name: well under 1 KiB.
const LIMIT_BYTES: usize = 4096;

/// Clones share one descriptor.
#[derive(Clone, Debug)]
pub(crate) struct CounterFile {
    path: PathBuf,
    file: Arc<File>,
}

impl CounterFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, CgroupError> {
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file: Arc::new(file) }),
            Err(source) => Err(CgroupError::read(&path, source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file now and gives `parse` its text; `None` from it means that `field` is missing.
    pub(crate) fn parse<T>(
        &self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, CgroupError> {
        let mut buffer = [0; LIMIT_BYTES];
        let length = self.fill(&mut buffer).map_err(|e| CgroupError::read(&self.path, e))?;
        let text = buffer.get(..length).unwrap_or_default();
        parse(&String::from_utf8_lossy(text))
            .ok_or_else(|| CgroupError::Malformed { path: self.path.clone(), field })
    }

    fn fill(&self, buffer: &mut [u8; LIMIT_BYTES]) -> io::Result<usize> {
        match self.file.read_at(buffer, 0)? {
            // A full buffer may end within a number, which would then read as a smaller one.
            LIMIT_BYTES => Err(io::ErrorKind::FileTooLarge.into()),
            length => Ok(length),
        }
    }
}

/// The number after `key` in a file of `key number` lines.
pub(crate) fn number_of(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, number)| number.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_only_begins_alike_is_not_taken() {
        assert_eq!(number_of("usage_usec_old 1\nusage_usec 22\n", "usage_usec"), Some(22));
        assert_eq!(number_of("usage_usec\n", "usage_usec"), None);
    }

    #[test]
    fn a_second_reading_sees_what_was_written_since_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cpuacct.usage");
        std::fs::write(&path, "1\n").unwrap();
        let counter = CounterFile::open(path.clone()).unwrap();
        let read = || counter.parse("usage", |text| text.trim().parse::<u64>().ok());
        assert_eq!(read().unwrap(), 1);
        std::fs::write(&path, "25\n").unwrap();
        assert_eq!(read().unwrap(), 25);
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(matches!(read(), Err(CgroupError::Read { .. })));
    }
}
