//! The file that flyball keeps current beside HAProxy, so that a reload by anybody finds the
//! servers in it.
//!
//! Decides what is in it. Never asks HAProxy to read it. Invariant: at every moment the file is
//! whole (written beside it, synced, renamed), and a file that flyball did not write stays as it is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flyball_file::FileError;

use crate::book::Line;
use crate::error::HaproxyError;
use crate::settings::{HaproxySettings, Mode, OwnedFile, ServerOptions, Slots};

const HEAD: &str = "# Written by flyball, which replaces it after every change. Edit flyball.toml.";

/// The largest file that is looked at: 10,000 servers are 1 MiB.
const BYTES_MAX: u64 = 4 << 20;

/// Keeps one file.
pub(crate) struct Keeper {
    path: PathBuf,
    above: String,
    options: ServerOptions,
    written: Option<String>,
}

impl Keeper {
    /// Makes the file, without servers, where there is none: HAProxy can be started with it.
    ///
    /// # Errors
    /// There is a file that flyball did not write, or it cannot be read or written.
    pub(crate) fn open(settings: &HaproxySettings) -> Result<Option<Self>, HaproxyError> {
        let Some(OwnedFile { path, lines }) = settings.file.clone() else { return Ok(None) };
        let body = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        let body: String = body.map(|line| format!("  {line}\n")).collect();
        let above = format!("{HEAD}\nbackend {}\n{body}", settings.backend);
        let options = settings.server_options.clone();
        let keeper = Self { path, above, options, written: None };
        // What an earlier run wrote is better than nothing until HAProxy has been seen.
        if !is_there(&keeper.path)? {
            let slot = |name| Line { name, address: None, id: None };
            let free: Vec<_> = settings.slots.iter().flat_map(Slots::names).map(slot).collect();
            // What the backend passes on is known once HAProxy has been seen.
            let text = keeper.text(&free, Mode::Tcp);
            let made = write(&keeper.path, &text);
            made.map_err(|source| HaproxyError::File { path: keeper.path.clone(), source })?;
        }
        Ok(Some(keeper))
    }

    /// Writes the file if `servers` are not in it as they are.
    pub(crate) async fn keep(&mut self, servers: &[Line], mode: Mode) -> Result<(), HaproxyError> {
        let text = self.text(servers, mode);
        if self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        let (path, shared) = (self.path.clone(), text.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &shared)).await;
        let written = written.unwrap_or_else(|failed| Err(io::Error::other(failed)));
        written.map_err(|source| HaproxyError::File { path: self.path.clone(), source })?;
        self.written = Some(text);
        Ok(())
    }

    fn text(&self, servers: &[Line], mode: Mode) -> String {
        let options = self.options.line(mode);
        let line = |Line { name, address, id }: &Line| {
            let id = id.map(|id| format!("id {id} ")).unwrap_or_default();
            match address {
                Some(address) => format!("  server {name} {address} {id}{options}\n"),
                None => format!("  server {name} 127.0.0.1:1 {options} disabled\n"),
            }
        };
        let servers: String = servers.iter().map(line).collect();
        format!("{}{servers}", self.above)
    }
}

/// Why the file could not be kept, as far as that shows without writing.
pub(crate) fn trouble(settings: &HaproxySettings) -> Option<HaproxyError> {
    let path = settings.file.as_ref()?.path.as_path();
    let of = |source| HaproxyError::File { path: path.to_owned(), source };
    match is_there(path) {
        Err(error) => Some(error),
        Ok(true) => None,
        Ok(false) => fs::metadata(folder(path)).err().map(of),
    }
}

/// Whether flyball's file is there; an empty one may be replaced.
fn is_there(path: &Path) -> Result<bool, HaproxyError> {
    match flyball_file::read_text(path, BYTES_MAX) {
        Ok(text) if text.starts_with(HEAD) => Ok(true),
        Ok(text) if text.trim().is_empty() => Ok(false),
        Ok(_) => Err(HaproxyError::ForeignFile { path: path.to_owned() }),
        Err(FileError::Missing) => Ok(false),
        Err(error) => {
            Err(HaproxyError::File { path: path.to_owned(), source: io::Error::other(error) })
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder(path);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // Hidden, so that a HAProxy that reads a whole folder passes it over.
    let beside = folder.join(format!(".{}.new", name.display()));
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Socket;

    fn settings(path: PathBuf) -> HaproxySettings {
        let lines = "balance leastconn\n\n    option redispatch 1".to_owned();
        let file = Some(OwnedFile { path, lines });
        HaproxySettings { file, ..HaproxySettings::new(Socket::Unix("/a".into()), "web") }
    }

    #[tokio::test]
    async fn the_file_is_the_backend_with_its_servers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flyball.cfg");
        let mut keeper = Keeper::open(&settings(path.clone())).unwrap().unwrap();
        let bare = format!("{HEAD}\nbackend web\n  balance leastconn\n  option redispatch 1\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), bare);
        let address = Some("127.0.0.1:8080".parse().unwrap());
        let server = Line { name: "fb-web-1".to_owned(), address, id: Some(1_001) };
        keeper.keep(&[server], Mode::Tcp).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{bare}  server fb-web-1 127.0.0.1:8080 id 1001 weight 100\n"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn free_slots_are_written_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flyball.cfg");
        let slots = Some(Slots { prefix: "dyn".to_owned(), count: 2 });
        Keeper::open(&HaproxySettings { slots, ..settings(path.clone()) }).unwrap().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\n  server dyn2 127.0.0.1:1 weight 100 disabled\n"), "{text}");
    }

    #[test]
    fn a_file_that_somebody_else_wrote_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, "global\n").unwrap();
        let refused = Keeper::open(&settings(path.clone())).map(drop).unwrap_err();
        assert!(matches!(refused, HaproxyError::ForeignFile { .. }), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "global\n");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let refused = Keeper::open(&settings("/no/such/folder/f.cfg".into())).map(drop);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("cannot keep /no/such/folder/f.cfg: "), "{said}");
    }
}
