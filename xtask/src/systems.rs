//! The real programs that tests work with, installed before the tests begin.
//!
//! Decides which package of Debian each comes from. Does not know which test needs it: a test that
//! misses its program says so by itself. Invariant: what cannot be installed here stops nothing
//! here.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::step;

/// Each program and the package that brings it.
const REAL: [(&str, &str); 3] =
    [("haproxy", "haproxy"), ("chromium", "chromium"), ("promtool", "prometheus")];

/// Installs what is missing, where somebody may who runs this. A test could do so as well, but
/// downloading a browser takes longer than a test may.
pub(crate) fn install() {
    let missing: Vec<&str> = REAL
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return;
    }
    eprintln!("installing {}", missing.join(", "));
    // Without the lists of packages, as on a fresh machine, nothing can be found in them.
    for arguments in [vec!["update"], [vec!["install"], missing].concat()] {
        let mut apt = Command::new("apt-get");
        apt.args(["-qq", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]);
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        if let Err(error) = step::run(&mut apt) {
            return eprintln!("{error:#}");
        }
    }
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).any(|folder| folder.join(program).is_file())
}
