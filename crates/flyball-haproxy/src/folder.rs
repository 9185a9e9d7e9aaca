//! Assigns server files to services: no file has two services, however its path is spelled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flyball_file::{FileBelow, FileIdentity, PlaceError};

use crate::error::HaproxyError;

/// More than the first line of a file of flyball's.
const HEAD_MAX: u64 = 4_096;

/// The files that flyball keeps, each for one service. Shared by all services of one flyball.
#[derive(Clone, Debug, Default)]
pub struct OwnedFiles {
    taken: Arc<Mutex<BTreeMap<FileIdentity, String>>>,
}

/// A place for one file of flyball's.
pub(crate) struct Place {
    file: FileBelow,
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
        let identity = place.file.identity().map_err(|error| place.refused(error))?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get(&identity).filter(|other| *other != service) {
            None => {
                taken.insert(identity, service.to_owned());
                Ok(())
            }
            Some(other) => {
                Err(HaproxyError::FileTaken { path: place.path.clone(), service: other.clone() })
            }
        }
    }

    /// Releases what `service` has.
    pub(crate) fn let_go(&self, service: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, owner| owner != service);
    }
}

impl Place {
    /// The place of the file `path`, which must be below `directory`.
    pub(crate) fn open(path: &Path, directory: &Path) -> Result<Self, HaproxyError> {
        let path = path.to_owned();
        match FileBelow::open(&path, directory) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => Err(HaproxyError::of_file(path, error)),
        }
    }

    /// As it was written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is there.
    ///
    /// # Errors
    /// It is no regular file, or one that does not begin with `mark`.
    pub(crate) fn look(&self, mark: &str) -> Result<Found, HaproxyError> {
        let head = self.file.read_head(HEAD_MAX).map_err(|error| self.refused(error))?;
        let Some(head) = head else { return Ok(Found::Nothing) };
        let is_whole = (head.len() as u64) < HEAD_MAX;
        if head.starts_with(mark.as_bytes()) {
            Ok(Found::Replaceable { ours: true })
        } else if is_whole && head.iter().all(u8::is_ascii_whitespace) {
            Ok(Found::Replaceable { ours: false })
        } else {
            Err(HaproxyError::ForeignFile { path: self.path.clone() })
        }
    }

    /// Puts `text` there as a whole. Blocks. What is there must still be nothing, or carry `mark`.
    pub(crate) fn write(&self, mark: &str, text: &str) -> Result<(), HaproxyError> {
        let written = match self.look(mark)? {
            Found::Nothing => self.file.create(text),
            Found::Replaceable { .. } => self.file.replace(text),
        };
        written.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: PlaceError) -> HaproxyError {
        HaproxyError::of_file(self.path.clone(), error)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flyball_engine::Hint as _;

    use super::*;

    const MARK: &str = "# ours";

    fn place(folder: &tempfile::TempDir, name: &str) -> Place {
        Place::open(&folder.path().join(name), folder.path()).unwrap()
    }

    #[test]
    fn a_file_is_made_replaced_and_left_alone_once_somebody_else_has_written_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder, "web.cfg");
        assert_eq!(place.look(MARK).unwrap(), Found::Nothing);
        place.write(MARK, "# ours\n1").unwrap();
        place.write(MARK, "# ours\n2").unwrap();
        let path = folder.path().join("web.cfg");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\n2");
        for theirs in ["theirs".to_owned(), " ".repeat(5_000)] {
            fs::write(&path, &theirs).unwrap();
            let refused = place.write(MARK, "# ours\n3").unwrap_err();
            assert!(matches!(refused, HaproxyError::ForeignFile { .. }), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
        }
    }

    #[test]
    fn a_place_that_cannot_be_taken_is_said_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        let refused = place(&folder, "inner").write(MARK, "# ours").unwrap_err();
        let path = folder.path().join("inner");
        assert_eq!(
            refused.to_string(),
            format!("cannot write {}: it is a directory", path.display())
        );
        assert!(refused.hint().unwrap().contains("set a regular file"));
    }

    #[test]
    fn a_file_is_one_services_until_that_lets_go_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = OwnedFiles::default();
        let (web, again) = (place(&folder, "web.cfg"), place(&folder, "./web.cfg"));
        files.take(&web, "web").unwrap();
        let refused = files.take(&again, "api").unwrap_err().to_string();
        assert!(refused.ends_with("web.cfg: it is the file of service web"), "{refused}");
        files.take(&again, "web").unwrap();
        files.take(&place(&folder, "api.cfg"), "api").unwrap();
        files.let_go("web");
        files.take(&web, "third").unwrap();
    }
}
