//! `cargo xtask dist`: the packages. One statically linked program goes into a `.deb`, a `.tar.gz`
//! and an image for `docker load`. All of it ends up in `target/dist`, with checksums.

mod deb;
mod image;
mod licences;
mod stage;
mod tarball;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::step::{self, Steps};
use stage::Stage;

/// The only target that the toolchain has a standard library for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What Debian and Docker call its architecture.
const ARCHITECTURE: &str = "amd64";

/// What to make.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Make only these.
    #[arg(value_enum)]
    packages: Vec<Package>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Package {
    /// A `.deb` for Debian 12 and later.
    Deb,
    /// The program with its manual pages, completions and unit file.
    Tarball,
    /// An image for `docker load`.
    Image,
}

/// Makes the packages and lists them.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let wanted = |package| arguments.packages.is_empty() || arguments.packages.contains(&package);
    let folder = root.join("target/dist");
    let mut steps = Steps::default();
    steps.take("build", || build(root))?;
    let stage = Stage { folder: folder.join("stage"), version: version(root)? };
    steps.take("stage", || stage.fill(root, &program(root)))?;
    steps.take("licences", || licences::collect(root, &stage))?;
    let mut made = Vec::new();
    if wanted(Package::Deb) {
        steps.take("deb", || deb::make(root, &folder).map(|path| made.push(path)))?;
    }
    if wanted(Package::Tarball) {
        steps.take("tarball", || tarball::make(&stage, &folder).map(|path| made.push(path)))?;
    }
    if wanted(Package::Image) {
        steps.take("image", || image::make(&stage, &folder).map(|path| made.push(path)))?;
    }
    let sums = write_sums(&folder, &made)?;
    println!("\n{}\n\nin {}:\n{sums}", steps.summary(), folder.display());
    Ok(())
}

/// Builds the program without a shared library, so that it runs on any release of any distribution.
fn build(root: &Path) -> Result<()> {
    let mut cargo = step::cargo(root);
    cargo.args(["build", "--release", "--locked", "--package", "flyball", "--bin", "flyball"]);
    // With a target named, the flags are not those of build scripts and macros.
    cargo.args(["--target", TARGET]);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols");
    step::run(&mut cargo)
}

fn program(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    target.join(TARGET).join("release/flyball")
}

fn version(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join("Cargo.toml"))?;
    let manifest: toml::Value = toml::from_str(&text)?;
    let version = manifest["workspace"]["package"]["version"].as_str();
    version.map(str::to_owned).context("the workspace's Cargo.toml has no version")
}

/// Writes `SHA256SUMS` for `sha256sum --check`; gives its text.
fn write_sums(folder: &Path, made: &[PathBuf]) -> Result<String> {
    let mut text = String::new();
    for path in made {
        let name = path.file_name().context("a package without a name")?.to_string_lossy();
        text += &format!("{}  {name}\n", sha256(&fs::read(path)?));
    }
    fs::write(folder.join("SHA256SUMS"), &text)?;
    Ok(text)
}

/// The digest in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Installs a cargo command once, where it is not there.
fn install_command(root: &Path, name: &str) -> Result<()> {
    let mut probe = step::cargo(root);
    probe.args([name.trim_start_matches("cargo-"), "--version"]);
    let probed = probe.output();
    if probed.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    eprintln!("{name} is not installed; installing it once with `cargo install`");
    let mut install = step::cargo(root);
    install.args(["install", "--locked", name]);
    // Without this feature cargo-about is a library alone.
    install.args((name == "cargo-about").then_some("--features=cli"));
    step::run(&mut install)
}

/// Removes what an earlier run left at `folder`, and makes it anew.
fn make_anew(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    ensure!(folder.is_dir(), "{} is no folder", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), known);
    }

    #[test]
    fn sums_name_files_without_their_folder() {
        let folder = std::env::temp_dir().join(format!("flyball-sums-{}", std::process::id()));
        make_anew(&folder).unwrap();
        let path = folder.join("a.deb");
        fs::write(&path, "abc").unwrap();
        let text = write_sums(&folder, &[path]).unwrap();
        assert!(text.starts_with("ba7816bf") && text.ends_with("  a.deb\n"), "{text}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
