//! Docker Compose as Debian 12 and Debian 13 have it: 1.29, which is a Python program that this
//! machine installs, and 2.26, one static binary, which is unpacked and not installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::docker::not_run_here;

/// Where the package of Debian 13 has the program.
const PROGRAM: &str = "usr/libexec/docker/cli-plugins/docker-compose";

/// One program that takes the words of `docker compose`.
#[derive(Clone, Debug)]
pub struct Compose {
    program: PathBuf,
    /// What it says of its version.
    pub version: String,
}

impl Compose {
    /// The one of this machine, installed where it is not there: 1.29 on Debian 12. `None` where it
    /// cannot be had, which is noted, or is a failure under `CI=true`.
    pub fn installed() -> Option<Self> {
        let program = PathBuf::from("docker-compose");
        had(Self::of(program.clone()).or_else(|_| {
            let mut apt = Command::new("apt-get");
            apt.args(["-o", "DPkg::Lock::Timeout=120", "install", "-y"]);
            run(apt.args(["--no-install-recommends", "docker-compose"]))?;
            Self::of(program)
        }))
    }

    /// The one of Debian 13; `None` as above.
    pub fn new() -> Option<Self> {
        had(unpacked().and_then(Self::of))
    }

    fn of(program: PathBuf) -> Result<Self, String> {
        let version = run(Command::new(&program).args(["version", "--short"]))?;
        Ok(Self { program, version: version.trim().trim_start_matches('v').to_owned() })
    }

    /// A command of the project in `folder`, at the Docker of `host`.
    pub fn command(&self, folder: &Path, host: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).env("DOCKER_HOST", host).stdin(Stdio::null());
        command
    }

    /// What it calls the container `number` of `service`.
    pub fn container(&self, project: &str, service: &str, number: u32) -> String {
        let dash = if self.version.starts_with("1.") { "_" } else { "-" };
        [project, service, &number.to_string()].join(dash)
    }
}

fn had(found: Result<Compose, String>) -> Option<Compose> {
    found.inspect_err(|reason| not_run_here("docker-compose", reason)).ok()
}

/// Fetches the package with lists of apt's own, and unpacks it once.
fn unpacked() -> Result<PathBuf, String> {
    let folder = std::env::temp_dir().join("flyball-compose");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(folder.join("lock")).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| error.to_string())?;
    let program = folder.join("root").join(PROGRAM);
    if !program.exists() {
        let making = tempfile::tempdir_in(&folder).map_err(|error| error.to_string())?;
        fetch(making.path())?;
        let whole = fs::rename(making.path().join("root"), folder.join("root"));
        whole.map_err(|error| error.to_string())?;
    }
    Ok(program)
}

fn fetch(folder: &Path) -> Result<(), String> {
    for name in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(name)).map_err(|error| error.to_string())?;
    }
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let source = format!("deb [signed-by={keys}] {} trixie main\n", mirror()?);
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
        "APT::Sandbox::User=".to_owned(),
    ];
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(folder).args(options.iter().flat_map(|option| ["-o", option]));
        run(command.args(words))
    };
    apt(&["-q", "update"])?;
    apt(&["-q", "download", "docker-compose"])?;
    let files = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut files = files.flatten().map(|file| file.path());
    let package = files.find(|path| path.extension().is_some_and(|name| name == "deb"));
    let package = package.ok_or("apt-get downloaded nothing")?;
    run(Command::new("dpkg").arg("-x").arg(package).arg(folder.join("root"))).map(drop)
}

/// Where apt has its packages from here.
fn mirror() -> Result<String, String> {
    let mut command = Command::new("apt-get");
    let words = ["indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"];
    let listing = run(command.args(words))?;
    let plain = listing.lines().filter_map(|line| line.split_once(' '));
    let mut main = plain.filter(|(uri, suite)| uri.ends_with("/debian/") && !suite.contains('-'));
    main.next().map(|(uri, _)| uri.to_owned()).ok_or_else(|| "apt has no mirror of Debian".into())
}

fn run(command: &mut Command) -> Result<String, String> {
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output =
        command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let error = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
    Err(format!("{:?} failed: {error}", command.get_program()))
}
