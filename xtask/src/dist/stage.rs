//! The files of a package, as they lie below `/` once it is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::make_anew;
use crate::step;

/// Shells, and where each looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/flyball"),
    ("zsh", "usr/share/zsh/vendor-completions/_flyball"),
    ("fish", "usr/share/fish/vendor_completions.d/flyball.fish"),
];
/// What is copied from the repository as it is.
const FILES: [(&str, &str); 11] = [
    ("packaging/flyball.service", "usr/lib/systemd/system/flyball.service"),
    ("packaging/flyball.toml", "etc/flyball/flyball.toml"),
    ("README.md", "usr/share/doc/flyball/README.md"),
    ("CHANGELOG.md", "usr/share/doc/flyball/CHANGELOG.md"),
    ("LICENSE-MIT", "usr/share/doc/flyball/LICENSE-MIT"),
    ("LICENSE-APACHE", "usr/share/doc/flyball/LICENSE-APACHE"),
    ("docs/reference/config.md", "usr/share/doc/flyball/config.md"),
    ("docs/guide/compose.md", "usr/share/doc/flyball/compose.md"),
    ("docs/guide/haproxy.md", "usr/share/doc/flyball/haproxy.md"),
    ("docs/guide/install.md", "usr/share/doc/flyball/install.md"),
    ("docs/guide/trust.md", "usr/share/doc/flyball/trust.md"),
];

/// A folder with those files.
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    pub(super) version: String,
}

impl Stage {
    pub(super) const PROGRAM: &str = "usr/bin/flyball";

    /// Fills the folder anew.
    pub(super) fn fill(&self, root: &Path, program: &Path) -> Result<()> {
        make_anew(&self.folder)?;
        self.copy(program, Self::PROGRAM, 0o755)?;
        let installed = self.folder.join(Self::PROGRAM);
        ensure_static(&installed)?;
        for (from, to) in FILES {
            self.copy(&root.join(from), to, 0o644)?;
        }
        for (shell, to) in COMPLETIONS {
            let output = Command::new(&installed).args(["completions", shell]).output()?;
            ensure!(output.status.success(), "no completions for {shell}");
            self.write(to, &output.stdout)?;
        }
        let pages = self.folder.join("usr/share/man/man1");
        step::run(Command::new(&installed).arg("man").arg(pages))
    }

    pub(super) fn write(&self, to: &str, bytes: &[u8]) -> Result<()> {
        let path = self.place(to)?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn copy(&self, from: &Path, to: &str, mode: u32) -> Result<()> {
        let path = self.place(to)?;
        fs::copy(from, &path).with_context(|| format!("cannot copy {}", from.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    fn place(&self, to: &str) -> Result<PathBuf> {
        let path = self.folder.join(to);
        let parent = path.parent().context("a file without a folder")?;
        fs::create_dir_all(parent)?;
        Ok(path)
    }
}

/// A program that needs a loader would run on this release and later ones only.
fn ensure_static(program: &Path) -> Result<()> {
    let output = Command::new("ldd").arg(program).output().context("cannot start `ldd`")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let is_static = said.contains("statically linked") || said.contains("not a dynamic executable");
    ensure!(is_static, "{} needs shared libraries: {said}", program.display());
    Ok(())
}
