//! The program docker-compose of this machine, installed where it is not there.

use std::process::{Command, Stdio};

/// Installs it where that is possible and needed; why it cannot be had.
pub(crate) fn install() -> Result<(), String> {
    let there = || Command::new("docker-compose").arg("version").output().is_ok();
    if !there() {
        let install = Command::new("apt-get")
            .args(["-o", "DPkg::Lock::Timeout=120", "install", "-y"])
            .args(["--no-install-recommends", "docker-compose"])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output();
        drop(install.map_err(|error| format!("apt-get cannot be started: {error}"))?);
    }
    if there() { Ok(()) } else { Err("it is not installed, and cannot be".to_owned()) }
}
