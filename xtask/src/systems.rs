//! Installs the real programs that tests need, before the tests start. A failed installation stops
//! nothing here (the tests report a missing program), and no system service is started.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use anyhow::Result;

use crate::step;

/// Each program, or another file, and the package that brings it.
const REAL: [(&str, &str); 4] = [
    ("haproxy", "haproxy"),
    ("chromium", "chromium"),
    ("promtool", "prometheus"),
    // No program of its own: tests start its classes with java, which it brings.
    ("/usr/share/java/zookeeper.jar", "zookeeper"),
];

/// Installs what is missing, where the user may do so. A test could do so as well, but downloading
/// a browser takes longer than a test may.
pub(crate) fn install() {
    let missing: Vec<&str> = REAL
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return;
    }
    if let Err(error) = install_packages(&missing) {
        eprintln!("{error:#}");
    }
}

/// Installs the package that brings `program`, if that is missing.
pub(crate) fn install_one(program: &str, package: &str) -> Result<()> {
    if is_there(program) { Ok(()) } else { install_packages(&[package]) }
}

fn install_packages(missing: &[&str]) -> Result<()> {
    eprintln!("installing {}", missing.join(", "));
    let _fence = Fence::put_up();
    // Without the lists of packages, as on a fresh machine, nothing can be found in them.
    for arguments in [&["update"], [&["install"], missing].concat().as_slice()] {
        let mut apt = Command::new("apt-get");
        apt.args(["-qq", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]);
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        step::run(&mut apt)?;
    }
    Ok(())
}

/// What refuses every service a start.
pub(crate) const NO_SERVICES: &str = "#!/bin/sh\nexit 101\n";
/// Asked by Debian's packages whether a service may be started; answers no to all.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Keeps packages from starting the services they bring, until it is dropped.
struct Fence;

impl Fence {
    /// Nothing where there is a policy already, or where it may not be written: then nothing can be
    /// installed either.
    fn put_up() -> Option<Self> {
        if Path::new(POLICY).exists() {
            return None;
        }
        let written: io::Result<()> = fs::write(POLICY, NO_SERVICES)
            .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)));
        written.is_ok().then_some(Self)
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(POLICY) {
            eprintln!("cannot remove {POLICY}: {error}");
        }
    }
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).any(|folder| folder.join(program).is_file())
}
