//! The file with the current servers, so that a reload by anyone finds them. The file is complete
//! at every moment, and a file that flyball did not write is never changed. `folder` decides where
//! it may be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::desired_state::Line;
use crate::error::HaproxyError;
use crate::folder::{Found, OwnedFiles, Place};
use crate::mark::ACTIVATOR;
use crate::settings::{HaproxySettings, Mode, OwnedFile, ServerOptions, TemplateServers};

const HEAD: &str = "# Written by flyball, which replaces it after every change. Edit flyball.toml.";

/// Keeps one file, which no other service has meanwhile.
pub(crate) struct ServerFile {
    place: Arc<Place>,
    files: OwnedFiles,
    service: String,
    above: String,
    options: ServerOptions,
    activator: Option<SocketAddr>,
    written: Option<String>,
}

impl ServerFile {
    /// Makes the file, without servers, where there is none: HAProxy can be started with it.
    ///
    /// # Errors
    /// It may not be there, there is one that flyball did not write, or it cannot be read or
    /// written.
    pub(crate) fn open(settings: &HaproxySettings) -> Result<Option<Self>, HaproxyError> {
        let Some(file) = settings.file.clone() else { return Ok(None) };
        let (place, found) = taken(settings, &file)?;
        let body = file.lines.lines().map(str::trim).filter(|line| !line.is_empty());
        let body: String = body.map(|line| format!("  {line}\n")).collect();
        let above = format!("{HEAD}\nbackend {}\n{body}", settings.backend);
        let (files, service) = (settings.files.clone(), settings.service.clone());
        let (place, options) = (Arc::new(place), settings.server_options.clone());
        let activator = settings.activator;
        let file = Self { place, files, service, above, options, activator, written: None };
        // What an earlier run wrote is better than nothing until HAProxy has been seen.
        if found != (Found::Replaceable { ours: true }) {
            let template_server = |name| Line { name, address: None, id: None };
            let free: Vec<_> = settings
                .template_servers
                .iter()
                .flat_map(TemplateServers::names)
                .map(template_server)
                .collect();
            // What the backend passes on is known once HAProxy has been seen.
            let text = file.text(&free, Mode::Tcp, file.options.weight);
            file.place.write(HEAD, &text)?;
        }
        Ok(Some(file))
    }

    /// Writes the file if `servers` are not in it as they are, each with `weight`.
    pub(crate) async fn keep(
        &mut self,
        servers: &[Line],
        mode: Mode,
        weight: u16,
    ) -> Result<(), HaproxyError> {
        let text = self.text(servers, mode, weight);
        if self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        let (place, shared) = (Arc::clone(&self.place), text.clone());
        let written = tokio::task::spawn_blocking(move || place.write(HEAD, &shared)).await;
        let failed = |failed| {
            let source = io::Error::other(failed);
            Err(HaproxyError::File { path: self.place.path().to_owned(), source })
        };
        written.unwrap_or_else(failed)?;
        self.written = Some(text);
        Ok(())
    }

    fn text(&self, servers: &[Line], mode: Mode, weight: u16) -> String {
        let options = self.options.weighing(weight).line(mode);
        let line = |Line { name, address, id }: &Line| {
            let id = id.map(|id| format!("id {id} ")).unwrap_or_default();
            match address {
                Some(address) => format!("  server {name} {address} {id}{options}\n"),
                None => format!("  server {name} 127.0.0.1:1 {options} disabled\n"),
            }
        };
        // What the other servers have by default is not for this one.
        let activator = self.activator.filter(|_| mode == Mode::Http);
        let activator = activator.map(|at| format!("  server {ACTIVATOR} {at} backup no-check\n"));
        let servers: String = servers.iter().map(line).chain(activator).collect();
        format!("{}{servers}", self.above)
    }
}

impl Drop for ServerFile {
    fn drop(&mut self) {
        self.files.let_go(&self.service);
    }
}

/// Why the file could not be kept, as far as that shows without writing. The file stays taken, so
/// that the next service that is looked at cannot have it.
pub(crate) fn trouble(settings: &HaproxySettings) -> Option<HaproxyError> {
    taken(settings, settings.file.as_ref()?).err()
}

/// The place of the file, taken for the service, and what is there.
fn taken(settings: &HaproxySettings, file: &OwnedFile) -> Result<(Place, Found), HaproxyError> {
    let place = Place::open(&file.path, &file.directory)?;
    settings.files.take(&place, &settings.service)?;
    let found = place.look(HEAD)?;
    Ok((place, found))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::socket::Socket;

    fn settings(path: PathBuf) -> HaproxySettings {
        let lines = "balance leastconn\n\n    option redispatch 1".to_owned();
        let directory = path.parent().unwrap().to_owned();
        let file = Some(OwnedFile { path, directory, lines });
        HaproxySettings { file, ..HaproxySettings::new(Socket::Unix("/a".into()), "web") }
    }

    #[tokio::test]
    async fn the_file_is_the_backend_with_its_servers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flyball.cfg");
        let mut file = ServerFile::open(&settings(path.clone())).unwrap().unwrap();
        let bare = format!("{HEAD}\nbackend web\n  balance leastconn\n  option redispatch 1\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), bare);
        let address = Some("127.0.0.1:8080".parse().unwrap());
        let server = Line { name: "fb-web-1".to_owned(), address, id: Some(1_001) };
        file.keep(&[server], Mode::Tcp, 100).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{bare}  server fb-web-1 127.0.0.1:8080 id 1001 weight 100\n"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn no_two_services_keep_one_file_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let web = settings(folder.path().join("flyball.cfg"));
        let api = HaproxySettings { service: "api".into(), ..web.clone() };
        let file = ServerFile::open(&web).unwrap().unwrap();
        let refused = ServerFile::open(&api).map(drop).unwrap_err();
        assert!(refused.to_string().contains("the file of service web"), "{refused}");
        assert!(trouble(&api).is_some());
        drop(file);
        assert!(ServerFile::open(&api).unwrap().is_some());
    }

    #[test]
    fn free_template_servers_are_written_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flyball.cfg");
        let template_servers = Some(TemplateServers { prefix: "dyn".to_owned(), count: 2 });
        ServerFile::open(&HaproxySettings { template_servers, ..settings(path.clone()) })
            .unwrap()
            .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\n  server dyn2 127.0.0.1:1 weight 100 disabled\n"), "{text}");
    }

    #[test]
    fn a_file_that_somebody_else_wrote_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, "global\n").unwrap();
        let refused = ServerFile::open(&settings(path.clone())).map(drop).unwrap_err();
        assert!(matches!(refused, HaproxyError::ForeignFile { .. }), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "global\n");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let refused = ServerFile::open(&settings("/no/such/folder/f.cfg".into())).map(drop);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("cannot write /no/such/folder/f.cfg: "), "{said}");
    }
}
