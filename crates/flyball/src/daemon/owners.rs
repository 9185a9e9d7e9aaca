//! The owner of each label-defined service, kept across restarts. The first owner keeps a service
//! until its last container is gone, so nobody can take it over while flyball restarts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flyball_file::FileError;
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
    /// The owners in `file`. A file that cannot be read is logged and replaced: then the owner of
    /// the copied container, or else of the oldest one, is the owner.
    pub(crate) fn open(file: PathBuf) -> Self {
        let known = read(&file).unwrap_or_else(|error| {
            tracing::warn!("cannot read the owners of label-defined services: {error}");
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

    /// From now on `service` has no owner.
    pub(crate) fn release(&mut self, service: &str) {
        if self.known.remove(service).is_some() {
            self.keep();
        }
    }

    /// Without the file the next run goes by what it finds, so nothing else waits for it.
    fn keep(&self) {
        let text = serde_json::to_string(&self.known).unwrap_or_default();
        if let Err(error) = flyball_file::replace(&self.file, text.as_bytes()) {
            tracing::warn!("cannot write {}: {error}", self.file.display());
        }
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<BTreeMap<String, T>, String> {
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    match flyball_file::read(file, BYTES_MAX) {
        Err(FileError::Missing) => Ok(BTreeMap::new()),
        Err(error) => Err(named(&error)),
        Ok(text) => serde_json::from_slice(&text).map_err(|error| named(&error)),
    }
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
