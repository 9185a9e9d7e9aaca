//! Finds the configuration files of the running HAProxy, which may be in a container.
//!
//! Files that lack the backend that HAProxy has are not taken for its configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::configuration::Configuration;
use crate::settings::HaproxySettings;
use crate::socket::Socket;
use crate::wire::Wire;

/// A configuration of 10,000 backends has 2 MB.
const FILE_MAX: u64 = 8 << 20;
const FILES_MAX: usize = 64;

/// HAProxy's configuration, or why it cannot be read.
pub(crate) struct Source {
    pub(crate) configuration: Result<Configuration, String>,
    /// The files' names as HAProxy knows them, as far as they are known.
    pub(crate) files: Vec<PathBuf>,
}

/// Reads what `named` names, or else what the HAProxy behind `wire` says, whose process is `pid`.
pub(crate) async fn find(
    settings: &HaproxySettings,
    named: &[PathBuf],
    wire: &Wire,
    pid: Option<u32>,
) -> Source {
    if !named.is_empty() {
        let configuration = read_all(named.iter().map(|file| (file.as_path(), file.clone())));
        return Source { configuration, files: named.to_vec() };
    }
    let files = told_files(wire).await;
    let there = match &settings.socket {
        Socket::Unix(path) => {
            let limit = Duration::from_millis(settings.call_limit_ms);
            timeout(limit, listener(path)).await.ok().flatten().or(pid)
        }
        Socket::Tcp(_) => pid,
    };
    let configuration = match there.filter(|pid| is_haproxy(*pid)) {
        _ if files.is_empty() => Err("HAProxy does not report which files it read".to_owned()),
        None => Err("HAProxy's files are not visible from here".to_owned()),
        Some(pid) => read_all(files.iter().map(|file| (file.as_path(), seen_by(pid, file)))),
    };
    let configuration = configuration.and_then(|read| has_backend(settings, read));
    Source { configuration, files }
}

/// The value of the variable that HAProxy sets for itself. No other is asked for: they may be
/// secrets.
async fn told_files(wire: &Wire) -> Vec<PathBuf> {
    let answer = wire.ask("show env HAPROXY_CFGFILES").await.unwrap_or_default();
    let files = answer.trim().strip_prefix("HAPROXY_CFGFILES=").unwrap_or_default();
    files.split(';').filter(|file| !file.is_empty()).map(PathBuf::from).take(FILES_MAX).collect()
}

/// The process that listens at `path`, by the number that it has here.
async fn listener(path: &Path) -> Option<u32> {
    let stream = UnixStream::connect(path).await.ok()?;
    u32::try_from(stream.peer_cred().ok()?.pid()?).ok()
}

fn is_haproxy(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "haproxy")
}

/// Where the file that the process `pid` calls `file` is for us.
fn seen_by(pid: u32, file: &Path) -> PathBuf {
    let inside = if file.is_absolute() {
        file.to_owned()
    } else {
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        folder.join(file)
    };
    let files_of = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
    match (files_of(&pid.to_string()), files_of("self")) {
        // In a container. Its root is not asked for elsewhere: HAProxy's own `chroot` moves that.
        (Some(theirs), Some(ours)) if theirs != ours => {
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            root.join(inside.strip_prefix("/").unwrap_or(&inside))
        }
        _ => inside,
    }
}

fn read_all<'a>(files: impl Iterator<Item = (&'a Path, PathBuf)>) -> Result<Configuration, String> {
    let mut all = Configuration::default();
    for (name, place) in files {
        let text =
            read(&place).map_err(|why| format!("{} cannot be read: {why}", name.display()))?;
        all.read(name, &text);
    }
    Ok(all)
}

fn read(place: &Path) -> Result<String, String> {
    let text = flyball_file::read(place, FILE_MAX).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// HAProxy has the backend: a configuration without it is another's, or was edited since.
fn has_backend(
    settings: &HaproxySettings,
    configuration: Configuration,
) -> Result<Configuration, String> {
    let backend = &settings.backend;
    if settings.file.is_some() || configuration.backends(backend).next().is_some() {
        return Ok(configuration);
    }
    Err(format!("its files currently have no backend `{backend}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| folder.path().join(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            named("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(read(&named("pipe")), Err("it is a FIFO, not a regular file".to_owned()));
        assert!(read(&named("none")).unwrap_err().contains("no such file"));
        std::fs::write(named("a"), "global\n").unwrap();
        assert_eq!(read(&named("a")).as_deref(), Ok("global\n"));
    }

    #[test]
    fn a_relative_file_is_in_the_folder_of_its_process() {
        let own = std::process::id();
        let seen = seen_by(own, Path::new("Cargo.toml"));
        assert!(read(&seen).unwrap().contains("flyball-haproxy"), "{}", seen.display());
    }
}
