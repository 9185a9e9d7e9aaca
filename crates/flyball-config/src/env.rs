//! The part of the environment that a configuration depends on, read once by the caller. Nothing
//! else in this crate looks at the environment.

use std::path::{Path, PathBuf};

/// The part of a process's surroundings that defaults are taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// Whether the process runs as root.
    pub root: bool,
}

impl Env {
    /// The surroundings of this process.
    pub fn of_process() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Self { state_home: path("XDG_STATE_HOME"), home: path("HOME"), root: runs_as_root() }
    }

    /// Where state is kept by default: `/var/lib/flyball` for root, otherwise
    /// `$XDG_STATE_HOME/flyball` or `~/.local/state/flyball`.
    ///
    /// `None` when neither variable holds an absolute path: a relative one is to be ignored by the
    /// XDG base directory specification.
    pub fn state_dir(&self) -> Option<PathBuf> {
        if self.root {
            return Some(PathBuf::from("/var/lib/flyball"));
        }
        let absolute = |path: &Option<PathBuf>| path.clone().filter(|p| p.is_absolute());
        absolute(&self.state_home)
            .or_else(|| absolute(&self.home).map(|home| home.join(".local/state")))
            .map(|base| base.join("flyball"))
    }
}

/// Whether this process's own entry in `/proc` belongs to root; where there is no `/proc`, not.
fn runs_as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self").metadata().is_ok_and(|owner| owner.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(state_home: &str, home: &str, root: bool) -> Option<PathBuf> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        Env { state_home: path(state_home), home: path(home), root }.state_dir()
    }

    #[test]
    fn state_goes_where_the_platform_keeps_it() {
        assert_eq!(of("/x", "/home/a", false), Some("/x/flyball".into()));
        assert_eq!(of("", "/home/a", false), Some("/home/a/.local/state/flyball".into()));
        assert_eq!(of("/x", "/root", true), Some("/var/lib/flyball".into()));
    }

    #[test]
    fn a_relative_path_in_the_environment_is_as_good_as_none() {
        assert_eq!(of("x", "/home/a", false), Some("/home/a/.local/state/flyball".into()));
        assert_eq!(of("x", "a", false), None);
        assert_eq!(of("", "", false), None);
    }
}
