//! The `.deb`, made by cargo-deb from the staged files; what it contains stands in the manifest of
//! the crate `flyball`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{TARGET, install_command};
use crate::step;

/// Makes it in `folder`; gives its path.
pub(super) fn make(root: &Path, folder: &Path) -> Result<PathBuf> {
    install_command(root, "cargo-deb")?;
    for old in packages(folder)? {
        fs::remove_file(old)?;
    }
    let mut cargo = step::cargo(root);
    cargo.args(["deb", "--no-build", "--no-strip", "--package", "flyball", "--target", TARGET]);
    step::run(cargo.arg("--output").arg(folder))?;
    packages(folder)?.pop().context("cargo-deb made no package")
}

fn packages(folder: &Path) -> Result<Vec<PathBuf>> {
    let all = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    Ok(all.filter(|path| path.extension().is_some_and(|name| name == "deb")).collect())
}
