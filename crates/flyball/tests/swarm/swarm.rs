//! A Swarm of Docker daemons of the tests' own. One at a time on a machine: a lock ensures it, and
//! its holder ends what a killed test left.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::node::Node;
use crate::support::{installed, missing, until};
use flyball_testkit::docker;

/// What namespaces, interfaces and cgroups are called.
pub(crate) const NAME: &str = "fbsw";
pub(crate) const BRIDGE: &str = "fbsw0";
/// The first three numbers of their addresses.
pub(crate) const NET: &str = "10.213.120";
/// Where Swarm takes networks from, which no one else is likely to use.
const POOL: &str = "10.215.0.0/16";
const NODES: u32 = 3;
/// Frames between ports of a bridge pass the firewall where that is switched on.
const RULE: [&str; 7] = ["FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"];

/// Three nodes; on drop everything of theirs ends.
pub(crate) struct Swarm {
    pub(crate) nodes: Vec<Node>,
    directory: PathBuf,
    _lock: File,
}

impl Swarm {
    /// Brings it up with this many managers, the first one the leader, and the lab's image on each
    /// node; `None` where this machine cannot have one, which is noted.
    pub(crate) fn up(managers: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            missing("swarm", "daemons of its own need root");
            return None;
        }
        installed("dockerd", "docker.io")?;
        installed("docker", "docker.io")?;
        installed("iptables", "iptables")?;
        let directory = std::env::temp_dir().join("flyball-swarm-lab");
        fs::create_dir_all(&directory).unwrap();
        let lock = File::create(directory.join("lock")).unwrap();
        lock.lock().unwrap();
        end_leftover(&directory);
        let app = docker::app(&directory);
        let _there = quietly("ip", &["link", "add", BRIDGE, "type", "bridge"]);
        output("ip", &["addr", "add", &format!("{NET}.1/24"), "dev", BRIDGE]);
        output("ip", &["link", "set", BRIDGE, "up"]);
        output("iptables", &[&["-I"][..], &RULE].concat());
        let nodes = (1..=NODES).map(|number| Node::new(number, &directory)).collect();
        let mut swarm = Self { nodes, directory, _lock: lock };
        swarm.nodes.iter_mut().for_each(Node::start);
        swarm.join(managers);
        swarm.import(&app);
        Some(swarm)
    }

    fn join(&self, managers: u32) {
        for node in &self.nodes {
            until("a daemon", || node.try_docker(&["version"]));
        }
        let first = &self.nodes[0];
        let (address, mask) = (first.address(), "24");
        let listen = format!("{address}:2377");
        first.docker(&[
            "swarm",
            "init",
            "--advertise-addr",
            &address,
            "--listen-addr",
            &listen,
            "--default-addr-pool",
            POOL,
            "--default-addr-pool-mask-length",
            mask,
            // A node is lost after three of these; five seconds are usual.
            "--dispatcher-heartbeat",
            "1s",
        ]);
        for node in &self.nodes[1..] {
            let role = if node.number <= managers { "manager" } else { "worker" };
            let token = first.docker(&["swarm", "join-token", "-q", role]);
            let (own, listen) = (node.address(), format!("{}:2377", node.address()));
            node.docker(&[
                "swarm",
                "join",
                "--token",
                token.trim(),
                "--advertise-addr",
                &own,
                "--listen-addr",
                &listen,
                &format!("{address}:2377"),
            ]);
        }
        // A leader that is killed while another manager joins takes the quorum with it.
        until("a whole swarm", || {
            let all =
                first.try_docker(&["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"])?;
            let ready = all.lines().filter(|line| line.starts_with("Ready")).count();
            let voting =
                all.lines().filter(|l| l.contains("Leader") || l.contains("Reachable")).count();
            (ready == self.nodes.len() && voting == managers as usize).then_some(())
        });
    }

    fn import(&self, app: &Path) {
        let tree = self.directory.join("image");
        fs::create_dir_all(&tree).unwrap();
        fs::copy(app, tree.join("app")).unwrap();
        let tar = Command::new("tar").arg("-C").arg(&tree).args(["-c", "app"]).output().unwrap();
        for node in &self.nodes {
            let mut import = Command::new("docker")
                .args([
                    "-H",
                    &node.host(),
                    "import",
                    "--change",
                    "CMD [\"/app\"]",
                    "-",
                    docker::IMAGE,
                ])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            import.stdin.take().unwrap().write_all(&tar.stdout).unwrap();
            assert!(import.wait().unwrap().success());
        }
    }

    /// `docker` at the first node.
    #[track_caller]
    pub(crate) fn docker(&self, words: &[&str]) -> String {
        self.nodes[0].docker(words)
    }

    /// The nodes on which running tasks of a service are wanted, one for each task, in order.
    pub(crate) fn nodes_of(&self, service: &str) -> Vec<String> {
        let filter =
            ["--filter", "desired-state=running", "--format", "{{.Node}} {{.CurrentState}}"];
        let all = self.docker(&[&["service", "ps", service][..], &filter].concat());
        let running = all.lines().filter(|line| line.contains(" Running "));
        let mut nodes: Vec<String> =
            running.filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
        nodes.sort();
        nodes
    }

    /// The spec of a service as the manager has it.
    pub(crate) fn spec(&self, service: &str) -> serde_json::Value {
        let output = self.docker(&["service", "inspect", service]);
        let all: serde_json::Value = serde_json::from_str(&output).unwrap();
        all[0]["Spec"].clone()
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
        end_leftover(&self.directory);
    }
}

/// Ends everything that was made under `directory` or by the tests' names.
fn end_leftover(directory: &Path) {
    let nodes: Vec<String> = (1..=NODES).map(|number| format!("{NAME}{number}")).collect();
    let marks: Vec<String> = (1..=NODES)
        .flat_map(|number| ["exec", "data"].map(|part| format!("n{number}/{part}")))
        .map(|part| directory.join(part).display().to_string())
        .collect();
    let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
    for _ in 0..50 {
        let left = docker::processes_with(&marks);
        if left.is_empty() {
            break;
        }
        // What the shims started goes first: they take note of it, and no other process would.
        let inner = docker::children_of_shims(&left);
        inner.iter().chain(&left).for_each(|pid| drop(quietly("kill", &["-KILL", pid])));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let place = directory.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let ours = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let mut ours: Vec<&str> = ours.filter(|mount| mount.starts_with(&place)).collect();
    ours.reverse();
    ours.iter().for_each(|mount| drop(quietly("umount", &["-l", mount])));
    for node in &nodes {
        let _gone = quietly("ip", &["netns", "del", node]);
        let _gone = quietly("ip", &["link", "del", &format!("v{node}")]);
    }
    let _gone = quietly("ip", &["link", "del", BRIDGE]);
    while quietly("iptables", &[&["-D"][..], &RULE].concat()).is_some() {}
    let find = format!(
        "find /sys/fs/cgroup -depth -type d -path '*/{NAME}/*' -exec rmdir {{}} \\; 2>/dev/null; \
         find /sys/fs/cgroup -depth -type d -name {NAME} -exec rmdir {{}} \\; 2>/dev/null; true"
    );
    let _gone = quietly("sh", &["-c", &find]);
    for number in 1..=NODES {
        let _gone = fs::remove_dir_all(directory.join(format!("n{number}")));
    }
    let _gone = fs::remove_dir_all(directory.join("image"));
}

/// What a command prints; a failure is a panic.
#[track_caller]
pub(crate) fn output(command: &str, words: &[&str]) -> String {
    let output = Command::new(command).args(words).stdin(Stdio::null()).output().unwrap();
    let failure = || String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command} {words:?}: {}", failure());
    String::from_utf8(output.stdout).unwrap()
}

/// The same; `None` for a failure.
pub(crate) fn quietly(command: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(command).args(words).stdin(Stdio::null()).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
