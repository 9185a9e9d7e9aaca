//! Where the cgroup hierarchies of this host are mounted. One counts only if its files are there.

use std::path::{Path, PathBuf};

use crate::CgroupError;

/// The hierarchies that count CPU time, as far as they are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchies {
    /// cgroup v2, alone or beside v1: CPU time in microseconds.
    pub unified: Option<PathBuf>,
    /// v1 `cpuacct`: CPU time in nanoseconds.
    pub cpuacct: Option<PathBuf>,
    /// v1 `cpu`: throttling.
    pub cpu: Option<PathBuf>,
}

impl Hierarchies {
    /// Where nearly every system mounts them.
    pub const USUAL_MOUNT: &str = "/sys/fs/cgroup";

    /// Looks for hierarchies below `mount`.
    ///
    /// # Errors
    /// [`CgroupError::NoHierarchy`] if none of them is there.
    pub fn at(mount: &Path) -> Result<Self, CgroupError> {
        let found = Self {
            unified: first_with("cgroup.controllers", [mount.to_owned(), mount.join("unified")]),
            cpuacct: first_with(
                "cpuacct.usage",
                ["cpuacct", "cpu,cpuacct", "cpuacct,cpu"].map(|name| mount.join(name)),
            ),
            cpu: first_with(
                "cpu.shares",
                ["cpu", "cpu,cpuacct", "cpuacct,cpu"].map(|name| mount.join(name)),
            ),
        };
        if found.unified.is_none() && found.cpuacct.is_none() {
            return Err(CgroupError::NoHierarchy { mount: mount.to_owned() });
        }
        Ok(found)
    }
}

fn first_with<const N: usize>(file: &str, candidates: [PathBuf; N]) -> Option<PathBuf> {
    candidates.into_iter().find(|dir| dir.join(file).exists())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mount(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    #[test]
    fn the_pure_layout_has_only_the_unified_hierarchy() {
        let root = mount(&["cgroup.controllers"]);
        let found = Hierarchies::at(root.path()).unwrap();
        assert_eq!(found.unified.as_deref(), Some(root.path()));
        assert_eq!((found.cpuacct, found.cpu), (None, None));
    }

    #[test]
    fn the_hybrid_layout_has_all_three() {
        let root = mount(&[
            "unified/cgroup.controllers",
            "cpu,cpuacct/cpuacct.usage",
            "cpu,cpuacct/cpu.shares",
        ]);
        let found = Hierarchies::at(root.path()).unwrap();
        assert_eq!(found.unified, Some(root.path().join("unified")));
        assert_eq!(found.cpuacct, Some(root.path().join("cpu,cpuacct")));
        assert_eq!(found.cpu, found.cpuacct);
    }

    #[test]
    fn an_empty_directory_is_an_error_with_a_hint() {
        let root = mount(&[]);
        let error = Hierarchies::at(root.path()).unwrap_err();
        assert!(matches!(error, CgroupError::NoHierarchy { .. }));
        assert!(error.hint().unwrap().contains("/sys/fs/cgroup"));
    }
}
