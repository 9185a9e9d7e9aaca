//! Three real servers of ZooKeeper on 127.0.0.1, in a folder of their own, that end with the test.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// Debian's package, which brings no service.
const JAR: &str = "/usr/share/java/zookeeper.jar";
const UP_LIMIT: Duration = Duration::from_secs(30);

/// The servers.
pub struct Servers {
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    running: Vec<Option<Child>>,
}

impl Servers {
    /// Brings three up; `None` where they cannot be had, which has been noted then.
    pub fn up() -> Option<Self> {
        if !Path::new(JAR).exists() && !install() {
            missing("it is not installed, and apt-get could not install it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports();
        for server in 0..3 {
            let data = folder.path().join(server.to_string());
            fs::create_dir(&data).unwrap();
            fs::write(data.join("myid"), (server + 1).to_string()).unwrap();
            fs::write(data.join("zoo.cfg"), configuration(&data, server, &ports)).unwrap();
        }
        let running = vec![None, None, None];
        let mut servers = Self { folder, ports, running };
        (0..3).for_each(|server| servers.start(server));
        servers.until_leading();
        Some(servers)
    }

    /// What clients take.
    pub fn addresses(&self) -> String {
        let clients: Vec<_> = self.ports.iter().take(3).map(|p| format!("127.0.0.1:{p}")).collect();
        clients.join(",")
    }

    pub fn start(&mut self, server: usize) {
        let data = self.folder.path().join(server.to_string());
        let log = File::options().create(true).append(true).open(data.join("log")).unwrap();
        let child = Command::new("java")
            .args(["-Xmx96m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-cp", "/etc/zookeeper/conf:/usr/share/java/*"])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(data.join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running[server] = Some(child);
    }

    /// Ends a server without a word.
    pub fn kill(&mut self, server: usize) {
        if let Some(mut child) = self.running[server].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The server that leads the others.
    pub fn leading(&self) -> Option<usize> {
        (0..3)
            .find(|server| self.mode(*server).is_some_and(|answer| answer.contains("Mode: leader")))
    }

    /// Returns once one of them leads.
    pub fn until_leading(&self) {
        let began = Instant::now();
        while self.leading().is_none() {
            let log =
                |server: &str| fs::read_to_string(self.folder.path().join(server).join("log"));
            assert!(began.elapsed() < UP_LIMIT, "no zookeeper within 30 s: {:?}", log("0"));
            sleep(Duration::from_millis(50));
        }
    }

    fn mode(&self, server: usize) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[server])).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.write_all(b"srvr").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        (0..3).for_each(|server| self.kill(server));
    }
}

/// Leads to `target` until it is cut.
pub async fn relay(target: String) -> (String, Arc<AtomicBool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, cut) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicBool::new(false)));
    let is_cut = Arc::clone(&cut);
    tokio::spawn(async move {
        let mut ways = JoinSet::new();
        loop {
            tokio::select! {
                Ok((mut near, _)) = listener.accept() => {
                    let (target, is_cut) = (target.clone(), Arc::clone(&is_cut));
                    ways.spawn(async move {
                        while is_cut.load(Ordering::Relaxed) {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        let Ok(mut far) = tokio::net::TcpStream::connect(target).await else { return };
                        let stop = async {
                            while !is_cut.load(Ordering::Relaxed) {
                                tokio::time::sleep(Duration::from_millis(5)).await;
                            }
                        };
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                            () = stop => {}
                        }
                        // Neither end hears anything any more, nor that it is over.
                        while is_cut.load(Ordering::Relaxed) {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    });
                }
                Some(_) = ways.join_next() => {}
            }
        }
    });
    (at, cut)
}

/// Ticks of half a second, so that sessions may be as short as one.
fn configuration(data: &Path, server: usize, ports: &[u16]) -> String {
    let data = data.display();
    let mut text = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=6\ndataDir={data}\nclientPort={}\n\
         clientPortAddress=127.0.0.1\nadmin.enableServer=false\nminSessionTimeout=1000\n\
         4lw.commands.whitelist=srvr\n",
        ports[server]
    );
    for other in 0..3 {
        let (quorum, election) = (ports[3 + other], ports[6 + other]);
        text += &format!("server.{}=127.0.0.1:{quorum}:{election}\n", other + 1);
    }
    text
}

/// Nine free ones.
fn free_ports() -> Vec<u16> {
    let held: Vec<_> = (0..9).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn install() -> bool {
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(["-qq", "-y", "-o", "DPkg::Lock::Timeout=120"]).args(arguments);
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
        apt.status().is_ok_and(|status| status.success())
    };
    let wanted = ["install", "--no-install-recommends", "zookeeper"];
    apt(&wanted) || (apt(&["update"]) && apt(&wanted))
}

fn missing(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "zookeeper: {reason}");
    let notes =
        std::env::var_os("FLYBALL_NOT_RUN").unwrap_or_else(|| panic!("zookeeper: {reason}"));
    let mut notes = File::options().append(true).create(true).open(notes).unwrap();
    writeln!(notes, "zookeeper: {reason}").unwrap();
}
