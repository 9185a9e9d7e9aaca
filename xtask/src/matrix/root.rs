//! The root of another Debian release: a folder that its programs run in, on this kernel. Created
//! once by debootstrap and kept. A root is complete or absent, no package starts a service in it,
//! and a lock keeps two commands from changing it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{step, systems};

/// Where roots are kept, unless `FLYBALL_ROOTS` names another folder. A root takes 1 GB.
const CACHE: &str = "/var/cache/flyball-roots";
/// Runs a program in the root that it lies in.
const ENTER: &str = include_str!("enter.sh");

/// A root.
pub(super) struct Root {
    folder: PathBuf,
}

impl Root {
    /// The root of a release with `packages` in it; made if it is not there yet, which takes minutes.
    pub(super) fn ready(release: &str, packages: &[&str]) -> Result<Self> {
        let cache = std::env::var_os("FLYBALL_ROOTS").map_or_else(|| CACHE.into(), PathBuf::from);
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        let lock = File::create(cache.join(format!("{release}.lock")))?;
        lock.lock().with_context(|| format!("cannot lock the root {release}"))?;
        let folder = cache.join(release);
        if !folder.exists() {
            make(release, &folder)?;
        }
        let root = Self { folder };
        write_program(&root.folder.join("enter"), ENTER)?;
        root.install(packages)?;
        Ok(root)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Installs those of `packages` that are missing.
    fn install(&self, packages: &[&str]) -> Result<()> {
        let missing: Vec<&str> =
            packages.iter().copied().filter(|package| self.version(package).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        eprintln!("    installing {}", missing.join(", "));
        let install = [["install", "--no-install-recommends"].as_slice(), &missing].concat();
        if self.apt(&install).is_err() {
            // What is known of the archive is older than what it has.
            self.apt(&["update"])?;
            self.apt(&install)?;
        }
        self.apt(&["clean"])
    }

    /// The version of a package that is installed there.
    pub(super) fn version(&self, package: &str) -> Option<String> {
        let mut query = self.command("dpkg-query");
        version_from(&mut query, package)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join("enter"));
        command.arg(program);
        command
    }

    fn apt(&self, words: &[&str]) -> Result<()> {
        let mut apt = self.command("apt-get");
        apt.args(["-qq", "-y"]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
        step::run(apt.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()))
    }
}

/// The version of a package that is installed on this machine.
pub(super) fn version_here(package: &str) -> Option<String> {
    version_from(&mut Command::new("dpkg-query"), package)
}

fn version_from(query: &mut Command, package: &str) -> Option<String> {
    let format = "--showformat=${db:Status-Abbrev} ${Version}";
    let output = query.args(["--show", format, package]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix("ii ").map(|version| version.trim().to_owned())
}

fn make(release: &str, folder: &Path) -> Result<()> {
    systems::install_one("debootstrap", "debootstrap")?;
    eprintln!("    creating the root of Debian {release} in {}", folder.display());
    let part = folder.with_extension("part");
    let _old = fs::remove_dir_all(&part);
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", release]).arg(&part);
    step::run(debootstrap.stdin(Stdio::null()).stdout(Stdio::null()))?;
    ensure!(
        part.join("usr/bin/dpkg").exists(),
        "debootstrap created no Debian in {}",
        part.display()
    );
    write_program(&part.join("usr/sbin/policy-rc.d"), systems::NO_SERVICES)?;
    // What is lost in a crash is created again.
    fs::write(part.join("etc/dpkg/dpkg.cfg.d/flyball"), "force-unsafe-io\n")?;
    fs::rename(&part, folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", path.display()))
}
