//! A Docker daemon of the tests' own, with an image that needs no registry. One at a time on a
//! machine: a lock ensures it, and its holder ends what a killed test left.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig, Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt;

/// The image of `app.rs`.
pub const IMAGE: &str = "flyball-lab:1";
/// The bridge and its addresses, which no one else is likely to use.
const BRIDGE: &str = "fblab0";
/// What the names of all bridges of the lab begin with.
const BRIDGES: &str = "fblab";
const BRIDGE_ADDRESS: &str = "10.213.77.1/24";
/// Networks without addresses of their own get theirs from here: room for 16 at a time.
const POOL: &str = "10.213.80.0/20";
/// Fixed: else it follows the containers that come and go, and those that stay lose their way.
const BRIDGE_MAC: &str = "02:42:0a:d5:4d:01";
const UP_LIMIT: Duration = Duration::from_secs(20);
const APP: &str = include_str!("docker/app.rs");

/// [`Lab::up`] is all that another test needs; see [`Lab::docker`] and [`Lab::host`]. It has its own
/// data, bridge and socket, publishes on 127.0.0.1 only and touches no firewall rule, so that it can
/// run beside another daemon.
///
/// The daemon; on drop it ends, with every container, network and file.
pub struct Lab {
    directory: PathBuf,
    daemon: Option<Child>,
    _lock: File,
}

impl Lab {
    /// Brings the daemon up with [`IMAGE`] in it; `None` where this machine cannot have one, which
    /// is noted, or is a failure under `CI=true`.
    pub async fn up() -> Option<Self> {
        if let Err(reason) = ready_machine() {
            not_run(&reason);
            return None;
        }
        let directory = std::env::temp_dir().join("flyball-docker-lab");
        fs::create_dir_all(&directory).unwrap();
        let lock = File::create(directory.join("lock")).unwrap();
        lock.lock().unwrap();
        end_leftover(&directory);
        let mut lab = Self { directory, daemon: None, _lock: lock };
        lab.start_daemon().await;
        lab.import().await;
        Some(lab)
    }

    /// What `DockerHost` and `DOCKER_HOST` take.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    /// A client of its own, to do what other programs would.
    pub fn docker(&self) -> Docker {
        let path = self.socket().display().to_string();
        Docker::connect_with_unix(&path, 60, API_DEFAULT_VERSION).unwrap()
    }

    pub async fn client(&self) -> Docker {
        self.docker().negotiate_version().await.unwrap()
    }

    /// Starts the daemon, or starts it again with what it had.
    pub async fn start_daemon(&mut self) {
        run("ip", &["link", "add", "name", BRIDGE, "address", BRIDGE_MAC, "type", "bridge"]);
        run("ip", &["addr", "add", BRIDGE_ADDRESS, "dev", BRIDGE]);
        run("ip", &["link", "set", BRIDGE, "up"]);
        let path = |name: &str| self.directory.join(name).display().to_string();
        let log = File::options().create(true).append(true).open(path("dockerd.log")).unwrap();
        let daemon = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("docker.pid"), "-H", &self.host(), "-b", BRIDGE])
            .args(["--iptables=false", "--ip6tables=false", "--ip-masq=false"])
            .args(["--ip-forward=false", "--default-address-pool", &format!("base={POOL},size=24")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        let deadline = Instant::now() + UP_LIMIT;
        while !self.answers().await {
            let log = fs::read_to_string(path("dockerd.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "dockerd is not up within 20 s: {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn answers(&self) -> bool {
        self.socket().exists() && self.docker().negotiate_version().await.is_ok()
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// Ends the daemon without a word; its containers are left to the next one.
    pub fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
        // The kernel kills its containerd with it; where no process reaps that, its id seems alive.
        for left in ["docker.pid", "exec/containerd/containerd.pid"] {
            let _ = fs::remove_file(self.directory.join(left));
        }
    }

    /// Ends the daemon in an orderly way: containers get their stop signal.
    pub fn stop_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            run("kill", &["-TERM", &daemon.id().to_string()]);
            daemon.wait().unwrap();
        }
    }

    /// Makes the image from the application alone.
    async fn import(&self) {
        self.image("1", &[]).await;
    }

    /// The application under another tag, with these lines of a Dockerfile.
    pub async fn image(&self, tag: &str, lines: &[&str]) {
        let tree = self.directory.join("image");
        fs::create_dir_all(&tree).unwrap();
        fs::copy(app(&self.directory), tree.join("app")).unwrap();
        let tar = Command::new("tar").arg("-C").arg(&tree).args(["-c", "app"]).output().unwrap();
        let lines = ["CMD [\"/app\"]", "EXPOSE 8080"].iter().chain(lines);
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo("flyball-lab")
            .tag(tag)
            .changes(lines.map(|line| (*line).to_owned()).collect::<Vec<_>>())
            .build();
        let docker = self.client().await;
        let body = bollard::body_full(tar.stdout.into());
        let steps: Vec<_> = docker.create_image(Some(options), Some(body), None).collect().await;
        steps.into_iter().for_each(|step| drop(step.unwrap()));
    }

    /// Runs a container as an external client would; gives its id.
    pub async fn run(&self, name: &str, labels: &[(&str, &str)], host: HostConfig) -> String {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            labels: Some(labels.collect::<HashMap<_, _>>()),
            host_config: Some(host),
            ..Default::default()
        };
        self.run_body(name, body).await
    }

    pub async fn run_body(&self, name: &str, body: ContainerCreateBody) -> String {
        let docker = self.client().await;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let id = docker.create_container(Some(options), body).await.unwrap().id;
        let start = None::<bollard::query_parameters::StartContainerOptions>;
        docker.start_container(&id, start).await.unwrap();
        id
    }

    pub async fn network(&self, name: &str) {
        self.network_of(name, None).await;
    }

    /// The same with addresses of `subnet`, which a container may then choose from.
    pub async fn network_of(&self, name: &str, subnet: Option<&str>) {
        // The system takes names of up to 15 characters.
        let bridge = format!("{BRIDGES}-{}", name.chars().take(9).collect::<String>());
        let options = HashMap::from([("com.docker.network.bridge.name".to_owned(), bridge)]);
        let name = name.to_owned();
        let ipam = subnet.map(|subnet| Ipam {
            config: Some(vec![IpamConfig { subnet: Some(subnet.into()), ..Default::default() }]),
            ..Default::default()
        });
        let options = Some(options);
        let request = NetworkCreateRequest { name, options, ipam, ..Default::default() };
        self.client().await.create_network(request).await.unwrap();
    }

    /// The names of all images.
    pub async fn images(&self) -> Vec<String> {
        let all = self.client().await.list_images(None::<ListImagesOptions>).await.unwrap();
        all.into_iter().flat_map(|image| image.repo_tags).collect()
    }

    /// The names of all containers, running or not.
    pub async fn names(&self) -> Vec<String> {
        let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true);
        let all = self.client().await.list_containers(Some(options.build())).await.unwrap();
        let mut names: Vec<String> = all.into_iter().flat_map(|c| c.names).flatten().collect();
        names.sort();
        names.into_iter().map(|name| name.trim_start_matches('/').to_owned()).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(daemon) = &self.daemon {
            // Quicker than their grace; the daemon sees that they are gone.
            for pid in containers_of(&self.directory) {
                run("kill", &["-KILL", &pid]);
            }
            run("kill", &["-TERM", &daemon.id().to_string()]);
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.wait();
        }
        end_leftover(&self.directory);
    }
}

/// Removes the cgroups of containers that a killed daemon left; `containers` has a folder for each.
/// One that is in use cannot be removed.
fn remove_cgroups(containers: &Path) {
    let root = Path::new("/sys/fs/cgroup");
    let names = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name())
    };
    for id in names(containers) {
        let _ = fs::remove_dir(root.join("docker").join(&id));
        for controller in names(root) {
            let _ = fs::remove_dir(root.join(controller).join("docker").join(&id));
        }
    }
}

/// Ends what is left of a daemon with its data in `directory`, and removes that.
fn end_leftover(directory: &Path) {
    let mark = directory.join("exec").display().to_string();
    let data = directory.join("data").display().to_string();
    for _ in 0..50 {
        let left: Vec<String> = processes_with(&[&mark, &data]);
        if left.is_empty() {
            break;
        }
        left.iter().chain(&containers_of(directory)).for_each(|pid| run("kill", &["-KILL", pid]));
        std::thread::sleep(Duration::from_millis(20));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let place = directory.display().to_string();
    for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        if mount.starts_with(&place) {
            run("umount", &["-l", mount]);
        }
    }
    remove_cgroups(&directory.join("data/containers"));
    for name in ["data", "exec", "image", "docker.pid", "docker.sock", "dockerd.log"] {
        let path = directory.join(name);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    for bridge in bridges() {
        run("ip", &["link", "del", &bridge]);
    }
}

/// The bridges of the lab's networks: those that it named, and those of networks that others made,
/// such as Compose. A daemon leaves them when it ends, and each keeps its addresses from the next.
fn bridges() -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir("/sys/class/net")
        .unwrap()
        .flatten()
        .filter_map(|link| link.file_name().into_string().ok())
        .filter(|link| link.starts_with(BRIDGES))
        .collect();
    let pool = Command::new("ip").args(["-o", "-4", "addr", "show", "to", POOL]).output().unwrap();
    let pool = String::from_utf8_lossy(&pool.stdout).into_owned();
    found.extend(pool.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned));
    found.sort();
    found.dedup();
    found
}

/// The processes whose command line names one of `places`.
pub fn processes_with(places: &[&str]) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|pid| pid.parse::<u32>().is_ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            places.iter().any(|place| line.contains(place))
        })
        .collect()
}

/// The first processes of the containers: children of the lab's shims.
fn containers_of(directory: &Path) -> Vec<String> {
    let mark = directory.join("exec").display().to_string();
    children_of_shims(&processes_with(&[&mark]))
}

/// The children of those of `pids` that are shims.
pub fn children_of_shims(pids: &[String]) -> Vec<String> {
    let children = |pid: &String| {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let list = fs::read_to_string(path).unwrap_or_default();
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let list = if comm.starts_with("containerd-shim") { list } else { String::new() };
        list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    pids.iter().flat_map(children).collect()
}

/// The application, built once for its text.
pub fn app(directory: &Path) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    APP.hash(&mut hasher);
    let binary = directory.join(format!("app-{:x}", hasher.finish()));
    if binary.exists() {
        return binary;
    }
    let unfinished = directory.join("app-unfinished");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut compiler = Command::new(rustc)
        .args([
            "--edition",
            "2021",
            "-O",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
        ])
        .args(["--crate-name", "app", "-o"])
        .arg(&unfinished)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    compiler.stdin.take().unwrap().write_all(APP.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success(), "the lab's application cannot be built");
    fs::rename(unfinished, &binary).unwrap();
    binary
}

/// Installs Docker where that is possible and needed.
fn ready_machine() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("a daemon of its own needs root".into());
    }
    let there = || Command::new("dockerd").arg("--version").output().is_ok();
    if there() {
        return Ok(());
    }
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", "docker.io"]] {
        let mut apt = Command::new("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        let done = apt.stdout(Stdio::null()).status();
        if !done.is_ok_and(|status| status.success()) {
            return Err("dockerd is not installed, and apt-get cannot install it".into());
        }
    }
    if there() { Ok(()) } else { Err("dockerd cannot be run".into()) }
}

fn not_run(reason: &str) {
    not_run_here("docker", reason);
}

/// Notes that what needs `thing` was not run; a failure under `CI=true`.
pub fn not_run_here(thing: &str, reason: &str) {
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!strict, "{thing}: {reason}");
    if let Some(path) = std::env::var_os("FLYBALL_NOT_RUN") {
        let mut notes = File::options().create(true).append(true).open(path).unwrap();
        writeln!(notes, "{thing}: {reason}").unwrap();
    }
}

/// Runs a command whose failure does not matter.
fn run(command: &str, arguments: &[&str]) {
    let _ = Command::new(command).args(arguments).stderr(Stdio::null()).status();
}
