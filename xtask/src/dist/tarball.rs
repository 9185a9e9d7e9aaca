//! The `.tar.gz`: what the `.deb` installs, below one folder, for systems without `dpkg`.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, HeaderMode};

use super::stage::Stage;

/// Makes it in `folder`; gives its path.
pub(super) fn make(stage: &Stage, folder: &Path) -> Result<PathBuf> {
    let name = format!("flyball-{}-x86_64-linux", stage.version);
    let path = folder.join(format!("{name}.tar.gz"));
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut tar = Builder::new(GzEncoder::new(file, Compression::best()));
    // Neither times nor owners of this machine: the same program gives the same bytes.
    tar.mode(HeaderMode::Deterministic);
    tar.append_dir_all(&name, &stage.folder)?;
    tar.into_inner()?.finish()?.sync_all()?;
    Ok(path)
}
