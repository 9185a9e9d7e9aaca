//! The demo's image and HAProxy. [`Containers::remove`] removes everything created here; HAProxy
//! stops at the latest on drop. Nothing else in Docker or HAProxy is touched.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use flyball_docker::{DockerError, DockerHost, HostSettings, Signer, USUAL_HOST};
use flyball_engine::Hint as _;
use tokio::time::{Instant, sleep};

use super::free_or_any;
use crate::clock;
use crate::failure::Failure;

/// Without Docker or HAProxy there is still a demo.
const OTHERWISE: &str = "`flyball demo` alone needs neither";
/// HAProxy has so long to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(10);
/// The folder of an image that its libraries are in.
const LIBRARIES: &str = "/lib";

/// The surroundings of one demo.
pub(super) struct Containers {
    /// The service's name, unique on this host.
    pub(super) service: String,
    /// Where requests are taken.
    pub(super) front: SocketAddr,
    pub(super) docker: String,
    pub(super) socket: PathBuf,
    pub(super) image: String,
    /// What runs the program in the image.
    pub(super) command: Vec<String>,
    host: Arc<DockerHost>,
    haproxy: Haproxy,
}

impl Containers {
    /// Looks for Docker and HAProxy, starts the one and makes an image for the other.
    ///
    /// # Errors
    /// What is missing, with what to do; nothing is left then.
    pub(super) async fn make(folder: &Path) -> Result<Self, Failure> {
        let program = find(&env::var_os("PATH").unwrap_or_default()).ok_or_else(no_haproxy)?;
        let docker = env::var("DOCKER_HOST").unwrap_or_else(|_| USUAL_HOST.to_owned());
        let signer = Arc::new(Signer::passing().map_err(Failure::new)?);
        let (host, cgroup_mount, clock) = (docker.clone(), None, clock::now);
        let settings = HostSettings {
            host,
            cgroup_mount,
            clock,
            signer,
            labels_from_images: false,
            docker_config: None,
        };
        let host = DockerHost::open(settings)?;
        host.check().await.map_err(|error| no_docker(&error))?;
        let haproxy = Haproxy::start(&program, folder).await?;
        let (root, command) = root_of_image()?;
        let name = format!("flyball-demo-{}", std::process::id());
        if let Err(error) = host.import_image(&name, "1", root).await {
            // It may be there all the same; that it cannot be removed says nothing new.
            let _unknown = host.remove_image(&format!("{name}:1")).await;
            return Err(error.into());
        }
        Ok(Self {
            service: name.clone(),
            front: haproxy.front,
            docker,
            socket: haproxy.socket.clone(),
            image: format!("{name}:1"),
            command,
            host,
            haproxy,
        })
    }

    /// Removes everything, whatever of it is there.
    ///
    /// # Errors
    /// What is still there.
    pub(super) async fn remove(self) -> Result<(), Failure> {
        drop(self.haproxy);
        let containers = self.host.remove_service(&self.service).await;
        let image = self.host.remove_image(&self.image).await;
        containers.and(image).map_err(|error| {
            let left = format!("the demo could not remove everything from Docker: {error}");
            let (service, image) = (&self.service, &self.image);
            Failure::new(left).hint(format!(
                "docker rm -f $(docker ps -aq -f label=flyball.service={service}); docker rmi {image}"
            ))
        })
    }
}

fn no_docker(error: &DockerError) -> Failure {
    let hint = match error {
        DockerError::NotRunning { .. } | DockerError::Address { .. } => {
            "start it (systemctl start docker), or name it in DOCKER_HOST".to_owned()
        }
        other => other.hint().unwrap_or_default(),
    };
    let hint = if hint.is_empty() { OTHERWISE.to_owned() } else { format!("{hint}; {OTHERWISE}") };
    Failure::new(error).hint(hint)
}

fn no_haproxy() -> Failure {
    Failure::new("haproxy is not installed")
        .hint(format!("install it (apt-get install haproxy); {OTHERWISE}"))
}

/// The program `haproxy`: on `path`, or where systems keep what only root needs.
fn find(path: &OsStr) -> Option<PathBuf> {
    let usual = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    let folders = env::split_paths(path).chain(usual);
    folders.map(|folder| folder.join("haproxy")).find(|program| program.is_file())
}

/// An archive of this program and the libraries it runs with, and how it is started from it.
fn root_of_image() -> io::Result<(Vec<u8>, Vec<String>)> {
    let mut root = tar::Builder::new(Vec::new());
    // Docker does not know the form in which holes are left out.
    root.sparse(false);
    root.append_path_with_name(env::current_exe()?, "flyball")?;
    let mut loader = None;
    for (name, library) in libraries(&fs::read_to_string("/proc/self/maps")?)? {
        root.append_path_with_name(library, format!("{}/{name}", &LIBRARIES[1..]))?;
        if name.starts_with("ld-") {
            loader = Some(format!("{LIBRARIES}/{name}"));
        }
    }
    // A program without libraries starts by itself.
    let libraries = || ["--library-path", LIBRARIES].map(str::to_owned);
    let mut command: Vec<String> =
        loader.into_iter().flat_map(|loader| [loader].into_iter().chain(libraries())).collect();
    command.push("/flyball".to_owned());
    Ok((root.into_inner()?, command))
}

/// The libraries among the files that `maps` shows, by every name that they have in their folder:
/// a program asks for `libc.so.6`, and the file may be called `libc-2.31.so`.
fn libraries(maps: &str) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut all = BTreeMap::new();
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    for file in files.filter(|file| named(file).contains(".so")) {
        if all.insert(named(&file), file.clone()).is_some() {
            continue;
        }
        for entry in fs::read_dir(file.parent().unwrap_or(Path::new("/")))? {
            let entry = entry?;
            let link = entry.file_type()?.is_symlink();
            if link && fs::canonicalize(entry.path()).is_ok_and(|real| real == file) {
                all.insert(named(&entry.path()), file.clone());
            }
        }
    }
    Ok(all)
}

fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A HAProxy that ends when this is dropped.
struct Haproxy {
    child: Child,
    front: SocketAddr,
    socket: PathBuf,
}

impl Haproxy {
    async fn start(program: &Path, folder: &Path) -> Result<Self, Failure> {
        let front = free_front()?;
        let (socket, file) = (folder.join("admin.sock"), folder.join("haproxy.cfg"));
        let log = folder.join("haproxy.log");
        fs::write(&file, configuration(front, &socket))?;
        let child = Command::new(program)
            .args(["-db", "-f"])
            .arg(&file)
            // A signal from the terminal is for the demo, which ends everything in its order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut haproxy = Self { child, front, socket };
        let deadline = Instant::now() + LISTEN_LIMIT;
        while TcpStream::connect(front).is_err() || !haproxy.socket.exists() {
            if haproxy.child.try_wait()?.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(&log)?;
                let last = said.lines().rfind(|line| line.contains("ALERT")).unwrap_or(&said);
                return Err(Failure::new(format!("haproxy does not start: {}", last.trim()))
                    .hint(OTHERWISE));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(haproxy)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        let _ended = self.child.kill();
        let _collected = self.child.wait();
    }
}

/// HAProxy takes no port of its own choice.
fn free_front() -> io::Result<SocketAddr> {
    let wanted = free_or_any(8080);
    if wanted.port() == 0 { TcpListener::bind(wanted)?.local_addr() } else { Ok(wanted) }
}

fn configuration(front: SocketAddr, socket: &Path) -> String {
    format!(
        "global\n    stats socket {} mode 600 level admin\n    maxconn 4000\n\
         defaults\n    mode http\n    timeout connect 2s\n    timeout client 60s\n    timeout server 60s\n    \
         timeout queue 60s\n    option redispatch 1\n    retries 3\n    \
         retry-on conn-failure empty-response response-timeout\n\
         frontend demo\n    bind {front}\n    default_backend demo\n\
         backend demo\n    balance leastconn\n",
        socket.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_goes_along_under_every_name_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap().join("libx-1.2.so");
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, real.with_file_name("libx.so.1")).unwrap();
        fs::write(real.with_file_name("other"), "").unwrap();
        let maps = format!("7f00-7f01 r-xp 0 08:01 7  {0}\n7f01-7f02 rw-p 0 0 0\n", real.display());
        let found = libraries(&maps).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["libx-1.2.so", "libx.so.1"]);
        assert!(found.values().all(|file| *file == real));
    }

    #[test]
    fn what_is_missing_is_said_with_one_hint() {
        let host = "unix:///d.sock".to_owned();
        let away = DockerError::NotRunning { host, why: "there is no /d.sock".into() };
        assert_eq!(
            no_docker(&away).to_string(),
            "error: docker is not running at unix:///d.sock: there is no /d.sock\n\
             hint: start it (systemctl start docker), or name it in DOCKER_HOST; \
             `flyball demo` alone needs neither"
        );
        assert!(no_haproxy().to_string().contains("hint: install it (apt-get install haproxy)"));
    }
}
