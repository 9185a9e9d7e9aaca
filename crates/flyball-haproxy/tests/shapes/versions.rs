//! HAProxy of other releases of Debian, from the same mirror as everything else that apt installs.
//! Each is unpacked once with its libraries into the build's folder and run through its own loader;
//! nothing is installed. What cannot be had is noted, and fails under `CI=true`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flyball_testkit::haproxy::program;

/// One HAProxy.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// For example 2.6.
    pub(crate) release: (u32, u32),
    /// The program and the words before its own.
    command: Vec<OsString>,
}

impl Version {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).stdin(Stdio::null());
        command
    }
}

/// The HAProxy of Debian 11: no servers at run time.
pub(crate) fn old() -> Option<Version> {
    of_suite("bullseye", (2, 2))
}

/// The one that this machine has: 2.6 on Debian 12.
pub(crate) fn installed() -> Option<Version> {
    let path = program::haproxy()?;
    let output = Command::new(path).arg("-v").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.split("version ").nth(1).unwrap().split(['.', '-']);
    let mut next = || numbers.next().unwrap().parse().unwrap();
    Some(Version { release: (next(), next()), command: vec![path.into()] })
}

/// The HAProxy of Debian 13.
pub(crate) fn new() -> Option<Version> {
    of_suite("trixie", (3, 0))
}

fn of_suite(suite: &str, release: (u32, u32)) -> Option<Version> {
    match unpacked(suite) {
        Ok(command) => Some(Version { release, command }),
        Err(reason) => {
            program::refuse_gap_in_ci(&reason);
            program::note(&format!("of {suite}: {reason}"));
            None
        }
    }
}

fn unpacked(suite: &str) -> Result<Vec<OsString>, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    // Tests run side by side, each in a process of its own.
    let lock = File::create(folder.join(format!("haproxy-{suite}.lock")));
    let lock = lock.and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| error.to_string())?;
    let root = folder.join(format!("haproxy-{suite}"));
    if !root.exists() {
        let making = tempfile::tempdir_in(folder).map_err(|error| error.to_string())?;
        download(suite, making.path())?;
        fs::rename(making.path().join("root"), &root).map_err(|error| error.to_string())?;
    }
    let libraries = ["lib", "usr/lib"].map(|lib| root.join(lib).join(triplet()));
    let loader = loader(&root)?;
    let path = std::env::join_paths(libraries).map_err(|error| error.to_string())?;
    let program = root.join("usr/sbin/haproxy");
    Ok(vec![loader.into(), "--library-path".into(), path, program.into()])
}

/// The loader by its own name: the usual one is a link that leads out of the root.
fn loader(root: &Path) -> Result<PathBuf, String> {
    let folders = ["lib", "usr/lib"].map(|lib| root.join(lib).join(triplet()));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let is_loader = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let loads = name.starts_with("ld-2") || name.starts_with("ld-linux");
        loads && fs::symlink_metadata(path).is_ok_and(|file| file.is_file())
    };
    files.map(|file| file.path()).find(is_loader).ok_or_else(|| "it has no loader".to_owned())
}

fn triplet() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// Has apt fetch HAProxy and what it needs, with lists of its own, and unpacks all into `root`.
fn download(suite: &str, folder: &Path) -> Result<(), String> {
    for name in ["lists/partial", "cache/archives/partial", "root"] {
        fs::create_dir_all(folder.join(name)).map_err(|error| error.to_string())?;
    }
    let mirror = mirror()?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let source = format!("deb [signed-by={keys}] {mirror} {suite} main\n");
    fs::write(folder.join("sources.list"), source).map_err(|error| error.to_string())?;
    fs::write(folder.join("status"), "").map_err(|error| error.to_string())?;
    let place = |key: &str, name: &str| format!("{key}={}", folder.join(name).display());
    let options = [
        place("Dir::Etc::SourceList", "sources.list"),
        place("Dir::State::Lists", "lists"),
        place("Dir::State::status", "status"),
        place("Dir::Cache", "cache"),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::Check-Valid-Until=false".to_owned(),
        "APT::Sandbox::User=".to_owned(),
    ];
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(options.iter().flat_map(|option| ["-o", option])).args(words);
        run(command)
    };
    apt(&["-q", "update"])?;
    apt(&["-q", "-y", "--no-install-recommends", "--download-only", "install", "haproxy"])?;
    let packages =
        fs::read_dir(folder.join("cache/archives")).map_err(|error| error.to_string())?;
    for package in packages.flatten().map(|package| package.path()) {
        if package.extension().is_some_and(|extension| extension == "deb") {
            let mut command = Command::new("dpkg");
            command.arg("-x").arg(&package).arg(folder.join("root"));
            run(command)?;
        }
    }
    Ok(())
}

/// Where apt has its packages from here.
fn mirror() -> Result<String, String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"]);
    let listing = run(command)?;
    // Updates and backports have a suite of their own behind the same address.
    let main = listing.lines().filter_map(|line| line.split_once(' '));
    let plain = main.filter(|(uri, suite)| uri.ends_with("/debian/") && !suite.contains('-'));
    let uri = plain.map(|(uri, _)| uri.to_owned()).next();
    uri.ok_or_else(|| "apt has no mirror of Debian".to_owned())
}

fn run(mut command: Command) -> Result<String, String> {
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output =
        command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let error = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
    Err(format!("{:?} failed: {error}", command.get_program()))
}
