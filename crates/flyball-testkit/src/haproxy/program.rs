//! Finds the real HAProxy, and handles its absence.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The program, installed where that is possible. Without one: fails under `CI=true`, otherwise
/// notes that the tests were not run.
pub fn haproxy() -> Option<&'static Path> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOUND.get_or_init(find_or_install) {
        Ok(path) => Some(path),
        Err(reason) => {
            refuse_gap_in_ci(reason);
            note(reason);
            None
        }
    }
}

fn find_or_install() -> Result<PathBuf, String> {
    if let Some(path) = find() {
        return Ok(path);
    }
    if !rustix::process::geteuid().is_root() {
        return Err("it is not installed, and only root can install it".to_owned());
    }
    let install = Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"])
        .arg("haproxy")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output();
    let output = install.map_err(|error| format!("apt-get cannot be started: {error}"))?;
    let error = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
    find().ok_or_else(|| format!("apt-get could not install it: {error}"))
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let folders = env::split_paths(&path).chain(usual);
    folders.map(|folder| folder.join("haproxy")).find(|program| program.is_file())
}

pub fn refuse_gap_in_ci(reason: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "haproxy: {reason}");
}

pub fn note(reason: &str) {
    let Some(file) = env::var_os("FLYBALL_NOT_RUN") else {
        #[expect(clippy::print_stderr, reason = "for the user who runs the tests")]
        return eprintln!("not run: haproxy: {reason}");
    };
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    writeln!(file, "haproxy: {reason}").unwrap();
}
