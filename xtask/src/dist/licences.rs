//! The licences of what is linked into the program, by cargo-about, and a bill of materials in the
//! form of CycloneDX, by cargo-cyclonedx. Both become documents of every package.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::install_command;
use super::stage::Stage;
use crate::step;

const TEMPLATE: &str = "packaging/licences.hbs";
/// How cargo-cyclonedx names what it writes beside the manifest.
const BILL: &str = "flyball.cdx.json";

/// Adds both documents to the stage.
pub(super) fn collect(root: &Path, stage: &Stage) -> Result<()> {
    install_command(root, "cargo-about")?;
    install_command(root, "cargo-cyclonedx")?;
    // cargo-about reads every crate of the lock file, also those of other systems, and would look
    // for licences elsewhere if it were not kept from the network.
    step::run(step::cargo(root).args(["fetch", "--locked"]))?;
    let manifest = root.join("crates/flyball/Cargo.toml");
    let mut about = step::cargo(root);
    about.args(["about", "generate", "--fail", "--locked", "--offline", "--config"]);
    about.arg(root.join("packaging/about.toml")).arg("--manifest-path").arg(&manifest);
    let output = about.arg(root.join(TEMPLATE)).output().context("cannot start cargo-about")?;
    anyhow::ensure!(
        output.status.success(),
        "cargo-about failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    stage.write("usr/share/doc/flyball/LICENCES-OF-LIBRARIES", &output.stdout)?;
    let mut bill = step::cargo(root);
    bill.args(["cyclonedx", "--format", "json", "--target", super::TARGET, "--override-filename"]);
    bill.arg(BILL.trim_end_matches(".json")).arg("--manifest-path").arg(&manifest);
    step::run(&mut bill)?;
    let written = root.join("crates/flyball").join(BILL);
    let text = fs::read(&written).with_context(|| format!("no {}", written.display()))?;
    stage.write("usr/share/doc/flyball/sbom.cdx.json", &text)?;
    remove_bills(root)
}

/// It writes one for each crate of the workspace.
fn remove_bills(root: &Path) -> Result<()> {
    let crates = fs::read_dir(root.join("crates"))?.flatten().map(|entry| entry.path());
    for folder in crates.chain([root.join("fuzz"), root.join("xtask")]) {
        let bill = folder.join(BILL);
        if bill.exists() {
            fs::remove_file(&bill)?;
        }
    }
    Ok(())
}
