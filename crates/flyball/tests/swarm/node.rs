//! One machine of the tests' Swarm: a Docker daemon in a network namespace, with its own host name,
//! data and socket, and no way out: its only link ends at the tests' bridge. Everything it made is
//! found again by name or directory, even after a kill.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::swarm::{BRIDGE, NAME, NET, output, quietly};

/// A daemon, its namespace and its link.
pub(crate) struct Node {
    /// Its number, from 1; it is the last digit of its address, too.
    pub(crate) number: u32,
    directory: PathBuf,
    daemon: Option<Child>,
}

impl Node {
    /// Makes the namespace and the link. The daemon is started by [`Self::start`].
    pub(crate) fn new(number: u32, place: &Path) -> Self {
        let node = Self { number, directory: place.join(format!("n{number}")), daemon: None };
        fs::create_dir_all(&node.directory).unwrap();
        let (name, link) = (node.name(), node.link());
        output("ip", &["netns", "add", &name]);
        let peer = ["peer", "name", "eth0", "netns", &name];
        output("ip", &[&["link", "add", &link, "type", "veth"][..], &peer].concat());
        output("ip", &["link", "set", &link, "master", BRIDGE, "up"]);
        let address = format!("{}/24", node.address());
        node.inside(&["ip", "link", "set", "lo", "up"]);
        node.inside(&["ip", "addr", "add", &address, "dev", "eth0"]);
        node.inside(&["ip", "link", "set", "eth0", "up"]);
        node
    }

    pub(crate) fn name(&self) -> String {
        format!("{NAME}{}", self.number)
    }

    fn link(&self) -> String {
        format!("v{}", self.name())
    }

    pub(crate) fn address(&self) -> String {
        format!("{NET}.1{}", self.number)
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.directory.display())
    }

    /// Starts the daemon. `nsenter`, and not `ip netns exec`, which would hide `/sys/fs/cgroup`; a
    /// host name of its own, or all nodes are called the same; images that are here are not asked
    /// for elsewhere, or each task waits 20 s for a registry that cannot be reached.
    pub(crate) fn start(&mut self) {
        let path = |name: &str| self.directory.join(name).display().to_string();
        let log = File::options().create(true).append(true).open(path("log")).unwrap();
        let daemon = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.name()))
            .args([
                "unshare",
                "--uts",
                "sh",
                "-c",
                "hostname \"$1\"; shift; exec dockerd \"$@\"",
                "sh",
            ])
            .arg(self.name())
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("docker.pid"), "-H", &self.host()])
            .args(["--cgroup-parent", &format!("/{NAME}/{}", self.name())])
            .env("DOCKER_SERVICE_PREFER_OFFLINE_IMAGE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
    }

    /// Ends the daemon without a word; its containers live on.
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
        // The kernel kills its containerd with it; where no process reaps that, its id seems alive.
        for left in ["docker.pid", "exec/containerd/containerd.pid"] {
            let _ = fs::remove_file(self.directory.join(left));
        }
    }

    /// Cuts the node's link, or mends it.
    pub(crate) fn connect(&self, up: bool) {
        output("ip", &["link", "set", &self.link(), if up { "up" } else { "down" }]);
    }

    /// What `docker` prints; a failure is a panic.
    #[track_caller]
    pub(crate) fn docker(&self, words: &[&str]) -> String {
        let host = self.host();
        output("docker", &[&["-H", &host][..], words].concat())
    }

    /// The same where a failure is an answer, too.
    pub(crate) fn try_docker(&self, words: &[&str]) -> Option<String> {
        let host = self.host();
        quietly("docker", &[&["-H", &host][..], words].concat())
    }

    fn inside(&self, words: &[&str]) {
        let netns = format!("--net=/run/netns/{}", self.name());
        output("nsenter", &[&[netns.as_str()][..], words].concat());
    }
}
