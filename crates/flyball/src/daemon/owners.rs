//! To whom each service by label belongs, from run to run.
//!
//! Whoever was first keeps a service until the last of its containers is gone: a restart of
//! flyball is no chance for somebody else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Ten thousand services; what is longer is none of flyball's.
const BYTES_MAX: u64 = 4 << 20;

/// The owners of all services by label of one kind.
pub(crate) struct Owners<T> {
    file: PathBuf,
    known: BTreeMap<String, T>,
}

impl<T: Clone + PartialEq + Serialize + DeserializeOwned> Owners<T> {
    /// Those that `file` holds. One that cannot be read is begun anew, which is said: then whoever
    /// has copies, or else the oldest container, is the owner.
    pub(crate) fn open(file: PathBuf) -> Self {
        let known = read(&file).unwrap_or_else(|error| {
            tracing::warn!("who owns which labelled service is not known: {error}");
            BTreeMap::new()
        });
        Self { file, known }
    }

    pub(crate) fn of(&self, service: &str) -> Option<&T> {
        self.known.get(service)
    }

    pub(crate) fn services(&self) -> Vec<String> {
        self.known.keys().cloned().collect()
    }

    /// From now on `service` belongs to `owner`.
    pub(crate) fn bind(&mut self, service: &str, owner: T) {
        if self.known.get(service) != Some(&owner) {
            self.known.insert(service.to_owned(), owner);
            self.keep();
        }
    }

    /// From now on `service` belongs to nobody.
    pub(crate) fn release(&mut self, service: &str) {
        if self.known.remove(service).is_some() {
            self.keep();
        }
    }

    /// Without the file the next run goes by what it finds, so nothing else waits for it.
    fn keep(&self) {
        let text = serde_json::to_string(&self.known).unwrap_or_default();
        if let Err(error) = write(&self.file, &text) {
            tracing::warn!("cannot write {}: {error}", self.file.display());
        }
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> io::Result<BTreeMap<String, T>> {
    let named = |error: io::Error| io::Error::other(format!("{}: {error}", file.display()));
    let seen = match std::fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        seen => seen.map_err(named)?,
    };
    if !seen.is_file() {
        return Err(named(io::Error::other("it is no regular file")));
    }
    let mut text = String::new();
    let opened = File::open(file).map_err(named)?;
    opened.take(BYTES_MAX).read_to_string(&mut text).map_err(named)?;
    serde_json::from_str(&text).map_err(|error| named(error.into()))
}

/// As a whole: written beside it and renamed.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new().prefix(".owners").tempfile_in(folder)?;
    beside.write_all(text.as_bytes())?;
    beside.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_known_to_the_next_run_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("owners");
        let mut owners = Owners::<String>::open(file.clone());
        owners.bind("web", "shop".into());
        assert_eq!(Owners::<String>::open(file.clone()).of("web"), Some(&"shop".to_owned()));
        owners.release("web");
        assert!(Owners::<String>::open(file).services().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("owners");
        std::fs::write(&file, "{").unwrap();
        assert!(Owners::<String>::open(file).services().is_empty());
        assert!(Owners::<String>::open(folder.path().to_owned()).services().is_empty());
    }
}
