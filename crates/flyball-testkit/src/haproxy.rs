//! A real HAProxy with replicas behind it and load in front of it. Everything is on 127.0.0.1, has
//! a folder of its own and ends with its test.

pub mod program;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use flyball_core::observation::{BalancerReport, Reading, Route};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_haproxy::{Haproxy, HaproxySettings, OwnedFile, Socket};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Longer than anything here takes; reaching it is a failure.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What a backend should have; `defaults` and the servers aside.
pub const LINES: &str = "balance leastconn\noption redispatch 1\nretries 3\n\
    retry-on conn-failure empty-response response-timeout\n\
    http-request disable-l7-retry if !METH_GET\ntimeout queue 5s";

pub fn clock() -> Timestamp {
    static START: OnceLock<Instant> = OnceLock::new();
    let ms = START.get_or_init(Instant::now).elapsed().as_millis();
    Timestamp::from_ms(1 + u64::try_from(ms).unwrap())
}

pub fn id(name: &str) -> ReplicaId {
    ReplicaId::new(name)
}

/// A HAProxy of this test's own, as a service manager would run it: a master and its worker.
pub struct Rig {
    pub folder: TempDir,
    pub front: SocketAddr,
    files: Vec<PathBuf>,
    master: Option<Child>,
}

impl Rig {
    /// HAProxy with the backend `web` in its own file, and `extra` lines in it; `None` where there
    /// is no HAProxy to be had.
    pub async fn start(extra: &str) -> Option<Self> {
        let mut rig = Self::prepare(extra)?;
        rig.launch().await;
        Some(rig)
    }

    /// HAProxy with the backend in the file that flyball owns: started once that is there.
    pub fn with_owned_file() -> Option<Self> {
        let mut rig = Self::prepare("")?;
        fs::write(rig.path("haproxy.cfg"), rig.main_config()).unwrap();
        rig.files.push(rig.path("flyball.cfg"));
        Some(rig)
    }

    /// Has HAProxy read what is at `name` in its folder, too.
    pub fn read_also(&mut self, name: &str) {
        self.files.push(self.path(name));
    }

    fn prepare(extra: &str) -> Option<Self> {
        program::haproxy()?;
        let folder = tempfile::tempdir().unwrap();
        let front = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let files = vec![folder.path().join("haproxy.cfg")];
        let rig = Self { folder, front, files, master: None };
        rig.configure(extra);
        Some(rig)
    }

    /// Rewrites HAProxy's own file, the backend included.
    pub fn configure(&self, extra: &str) {
        let lines: String =
            LINES.lines().chain(extra.lines()).map(|l| format!("  {l}\n")).collect();
        let text = format!("{}backend web\n{lines}", self.main_config());
        fs::write(self.path("haproxy.cfg"), text).unwrap();
    }

    fn main_config(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            "global\n  stats socket {folder}/admin.sock mode 600 level admin expose-fd listeners\n\
             \x20 stats socket {folder}/user.sock mode 600 level user\n  maxconn 2000\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 20s\n\
             \x20 timeout server 20s\n\
             \x20 option idle-close-on-response\n\
             frontend web\n  bind {}\n  default_backend web\n\
             backend fixed\n  balance static-rr\n",
            self.front
        )
    }

    /// Starts HAProxy and waits until it answers.
    pub async fn launch(&mut self) {
        let mut command = Command::new(program::haproxy().unwrap());
        command.args(["-W", "-db", "-q", "-S"]).arg(self.path("master.sock"));
        for file in &self.files {
            command.arg("-f").arg(file);
        }
        let log = fs::File::create(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.master = Some(command.spawn().unwrap());
        self.pid_other_than(0).await;
    }

    /// Reloads as `systemctl reload haproxy` does, and waits for the new worker.
    ///
    /// A master that is still busy with its start or the last reload loses the signal: it is sent
    /// again until a new worker answers. Returns how often it was sent.
    pub async fn reload(&self) -> u32 {
        const PATIENCE: Duration = Duration::from_millis(500);
        let before = self.pid_other_than(0).await;
        for signals in 1..=20 {
            self.signal(Signal::USR2);
            if timeout(PATIENCE, self.pid_other_than(before)).await.is_ok() {
                return signals;
            }
        }
        panic!("no new worker");
    }

    /// Ends HAProxy and everything that it serves.
    pub fn stop(&mut self) {
        let Some(mut master) = self.master.take() else { return };
        let pid = Pid::from_child(&master);
        let _ = kill_process(pid, Signal::TERM);
        let began = Instant::now();
        while matches!(master.try_wait(), Ok(None)) {
            if began.elapsed() > DEADLINE {
                let _ = master.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.master.as_ref().unwrap()), signal).unwrap();
    }

    async fn pid_other_than(&self, before: u32) -> u32 {
        let began = Instant::now();
        loop {
            let info = self.try_ask("show info").await.unwrap_or_default();
            let pid = info.lines().find_map(|line| line.strip_prefix("Pid: ")?.parse().ok());
            if let Some(pid) = pid.filter(|pid| *pid != before) {
                return pid;
            }
            let log = || fs::read_to_string(self.path("log"));
            assert!(began.elapsed() < DEADLINE, "HAProxy does not answer: {:?}", log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What HAProxy answers to a client other than the adapter.
    pub async fn ask(&self, command: &str) -> String {
        self.try_ask(command).await.unwrap()
    }

    async fn try_ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.path("admin.sock")).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut text = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut text)).await.unwrap()?;
        Ok(text)
    }

    /// The servers that HAProxy lists, each with its address and its state.
    pub async fn servers(&self) -> Vec<String> {
        let table = self.ask("show servers state web").await;
        let rows = table.lines().skip(2).map(|row| row.split(' ').collect::<Vec<_>>());
        rows.filter(|r| r.len() > 18).map(|r| format!("{} {}:{}", r[3], r[4], r[18])).collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn settings(&self) -> HaproxySettings {
        HaproxySettings {
            call_limit_ms: 2_000,
            ..HaproxySettings::new(Socket::Unix(self.path("admin.sock")), "web")
        }
    }

    /// The same with the backend in flyball's own file.
    pub fn settings_with_file(&self) -> HaproxySettings {
        let (path, directory) = (self.path("flyball.cfg"), self.folder.path().to_owned());
        let file = OwnedFile { path, directory, lines: LINES.to_owned() };
        HaproxySettings { file: Some(file), ..self.settings() }
    }

    pub async fn connect(&self) -> Haproxy {
        Haproxy::connect(self.settings(), clock).await.unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A small HTTP server that answers its name. Its connections end when it is dropped.
pub struct Replica {
    pub id: ReplicaId,
    pub address: SocketAddr,
    gate: Arc<Semaphore>,
    answer: Arc<Mutex<Answer>>,
    task: JoinHandle<()>,
}

/// What a replica answers, and what it was last asked.
struct Answer {
    body: String,
    status: String,
    head: String,
}

impl Replica {
    /// Answers each request after `work`.
    pub async fn start(name: &str, work: Duration) -> Self {
        let replica = Self::holding(name, work).await;
        replica.let_go(Semaphore::MAX_PERMITS);
        replica
    }

    /// Answers only as many requests as are released.
    pub async fn held(name: &str) -> Self {
        Self::holding(name, Duration::ZERO).await
    }

    /// From now on its answers have this status; before, `200 OK`.
    pub fn answer(&self, status: &str) {
        status.clone_into(&mut self.answer.lock().unwrap().status);
    }

    /// The head of the last request, with what came before it.
    pub fn last_head(&self) -> String {
        self.answer.lock().unwrap().head.clone()
    }

    async fn holding(name: &str, work: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let (body, status, head) = (name.to_owned(), "200 OK".to_owned(), String::new());
        let answer = Arc::new(Mutex::new(Answer { body, status, head }));
        let (current, opened) = (answer.clone(), gate.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, current.clone(), work, opened.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { id: id(name), address, gate, answer, task }
    }

    /// Releases the answers of this many requests.
    pub fn let_go(&self, requests: usize) {
        self.gate.add_permits(requests);
    }

    pub fn route(&self, haproxy: &Haproxy) {
        haproxy.route(&self.id, self.address);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<Mutex<Answer>>,
    work: Duration,
    gate: Arc<Semaphore>,
) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            answer.lock().unwrap().head = String::from_utf8_lossy(&head).into_owned();
            head.clear();
            gate.acquire().await.unwrap().forget();
            tokio::time::sleep(work).await;
            let text = answer.lock().unwrap().text();
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

impl Answer {
    fn text(&self) -> String {
        let Self { body, status, .. } = self;
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }
}

/// One request on a connection of its own: the body of a whole 200, or what came instead.
pub async fn get(front: SocketAddr) -> Result<String, String> {
    get_path(front, "/").await
}

/// The same for another path, which is also the value of the header `x-key`.
pub async fn get_path(front: SocketAddr, path: &str) -> Result<String, String> {
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-key: {path}\r\nconnection: close\r\n\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(front).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = match timeout(DEADLINE, exchange).await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("no end within the deadline".to_owned()),
    };
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no head")?;
    let whole = head.contains(&format!("content-length: {}", body.len()));
    if head.starts_with("HTTP/1.1 200") && whole { Ok(body.to_owned()) } else { Err(text) }
}

/// Callers that ask again and again until the load is ended.
pub struct Load {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
    callers: JoinSet<()>,
}

impl Load {
    pub fn start(front: SocketAddr, callers: usize) -> Self {
        let mut load = Self {
            over: Arc::default(),
            sent: Arc::default(),
            failed: Arc::default(),
            callers: JoinSet::new(),
        };
        for _ in 0..callers {
            let (over, sent, failed) = (load.over.clone(), load.sent.clone(), load.failed.clone());
            load.callers.spawn(async move {
                while !over.load(Relaxed) {
                    sent.fetch_add(1, Relaxed);
                    if let Err(why) = get(front).await {
                        failed.lock().unwrap().push(why);
                    }
                }
            });
        }
        load
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Returns once `more` requests have been sent.
    pub async fn sends(&self, more: u64) {
        let until = self.sent() + more;
        let began = Instant::now();
        while self.sent() < until {
            assert!(began.elapsed() < DEADLINE, "the load does not get on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends it: how many requests there were, and what failed.
    pub async fn end(mut self) -> (u64, Vec<String>) {
        self.over.store(true, Relaxed);
        while self.callers.join_next().await.is_some() {}
        let failed = self.failed.lock().unwrap().clone();
        (self.sent(), failed)
    }
}

/// Looks as the control loop does until the report is as wanted.
pub async fn observed(
    haproxy: &Haproxy,
    wanted: impl Fn(&BalancerReport) -> bool,
) -> BalancerReport {
    let began = Instant::now();
    loop {
        let reading = haproxy.observe().await;
        match &reading {
            Reading::Taken { value, .. } if wanted(value) => return value.clone(),
            _ => assert!(began.elapsed() < DEADLINE, "never came: {reading:#?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn routed(haproxy: &Haproxy, replica: &Replica) -> BalancerReport {
    observed(haproxy, |report| is_routed(report, &replica.id)).await
}

pub fn is_routed(report: &BalancerReport, replica: &ReplicaId) -> bool {
    report.servers.get(replica).is_some_and(|server| server.route == Route::Routed)
}

/// Returns once the file holds what is wanted.
pub async fn file_contains(path: &Path, wanted: impl Fn(&str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if wanted(&text) {
            return text;
        }
        assert!(began.elapsed() < DEADLINE, "the file never came to it: {text}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
