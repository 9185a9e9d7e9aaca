//! The text of every file in the workspace, read once. Build output, foreign hidden folders and
//! non-UTF-8 files are left out. Paths are relative, with `/`, and sorted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Hidden folders that belong to the project.
const OWN_HIDDEN: [&str; 3] = [".cargo", ".ci", ".config"];

/// Relative path to text.
#[derive(Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads everything below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            let path = format!("{prefix}{name}");
            if kind.is_dir() && is_ours(&name, prefix) {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let bytes =
                    fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
                self.files.extend(String::from_utf8(bytes).ok().map(|text| (path, text)));
            }
        }
        Ok(())
    }

    /// Every file whose path ends in `ending`; all files for an empty one.
    pub(crate) fn ending<'a>(
        &'a self,
        ending: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(move |(path, _)| path.ends_with(ending))
    }

    /// The text at exactly this path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file or a folder has this path.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }
}

fn is_ours(name: &str, prefix: &str) -> bool {
    let build_output = prefix.is_empty() && name == "target";
    !build_output && (!name.starts_with('.') || OWN_HIDDEN.contains(&name))
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Self {
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        Self { files: files.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_output_and_foreign_hidden_folders_are_left_out() {
        assert!(!is_ours("target", ""));
        assert!(!is_ours(".git", ""));
        assert!(is_ours(".ci", ""));
        assert!(is_ours("target", "crates/a/src/"));
    }

    #[test]
    fn a_path_may_be_a_file_or_a_folder() {
        let tree = Tree::from([("crates/a/src/lib.rs", "")]);
        assert!(tree.holds("crates/a") && tree.holds("crates/a/src/lib.rs"));
        assert!(!tree.holds("crates/a/src/li"));
    }
}
