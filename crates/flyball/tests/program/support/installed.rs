//! Other programs that a test needs, installed where possible. A missing one fails under `CI=true`,
//! and is otherwise noted by name.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program `name` from Debian's `package`; `None` where it cannot be had, which is noted.
#[track_caller]
pub(crate) fn installed(name: &str, package: &str) -> Option<PathBuf> {
    let found = find(name).or_else(|| {
        install(package);
        find(name)
    });
    if found.is_none() {
        missing(name, "it is not installed, and apt-get could not install it");
    }
    found
}

/// Notes that `what` could not be run here; fails where nothing may be left out.
#[track_caller]
pub(crate) fn missing(what: &str, reason: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "{what}: {reason}");
    let notes = env::var_os("FLYBALL_NOT_RUN").unwrap_or_else(|| panic!("{what}: {reason}"));
    let mut notes = OpenOptions::new().append(true).create(true).open(notes).unwrap();
    writeln!(notes, "{what}: {reason}").unwrap();
}

fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn install(package: &str) {
    let output = Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"])
        .arg(package)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => eprintln!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("apt-get: {error}"),
    }
}
