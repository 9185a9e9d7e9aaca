//! A real Mesos of the tests' own: a master and two agents whose tasks run in a given Docker.
//! Everything is on 127.0.0.1 and in a folder of its own, and ends with the test.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Installs the programs once, from Python packages.
const INSTALL: &str = include_str!("mesos/install.sh");
const LOCAL: &str = include_str!("mesos/local.py");
/// What those packages lack: the executor that an agent starts for a task in Docker.
const EXECUTOR: &str = include_str!("mesos/mesos-docker-executor");
/// Agents share this machine, so each has half of what is offered.
const AGENTS: &str = "2";
const RESOURCES: &str = "cpus:4;mem:2048;disk:1000;ports:[31000-31199]";
const UP_LIMIT: Duration = Duration::from_secs(30);
const EXECUTORS_LIMIT: Duration = Duration::from_secs(10);

/// A running Mesos; on drop it ends with all of its tasks.
pub struct Mesos {
    /// Where its master is.
    pub at: String,
    programs: PathBuf,
    work: tempfile::TempDir,
    docker: PathBuf,
    process: Option<Child>,
}

impl Mesos {
    /// Brings one up that runs tasks in the Docker behind `socket`.
    ///
    /// # Errors
    /// Why this machine cannot have one.
    pub fn up(socket: &Path) -> Result<Self, String> {
        let programs = install()?;
        let work = tempfile::Builder::new().prefix("flyball-mesos-").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = format!("127.0.0.1:{port}");
        let mut mesos = Self { at, programs, work, docker: socket.to_owned(), process: None };
        mesos.start();
        Ok(mesos)
    }

    /// Starts master and agents, with nothing of what an earlier one knew.
    pub fn start(&mut self) {
        let (work, port) = (self.work.path(), self.at.rsplit_once(':').unwrap().1);
        let (script, executor) = (work.join("local.py"), work.join("mesos-docker-executor"));
        fs::write(&script, LOCAL).unwrap();
        fs::write(&executor, EXECUTOR).unwrap();
        fs::set_permissions(&executor, fs::Permissions::from_mode(0o755)).unwrap();
        let state = work.join("state");
        // An agent that begins lists the containers of its tasks and ends if one goes meanwhile.
        assert!(self.executors_end(), "executors of the mesos that was killed did not end");
        let _ = fs::remove_dir_all(&state);
        fs::create_dir(&state).unwrap();
        let log = File::options().create(true).append(true).open(work.join("log")).unwrap();
        let python = fs::read_to_string(self.programs.join("python")).unwrap();
        let process = Command::new(python.trim())
            .arg(script)
            .env("LD_LIBRARY_PATH", self.programs.join("lib"))
            .env("PYTHONPATH", self.programs.join("py"))
            .env("LIBPROCESS_IP", "127.0.0.1")
            .env("LIBPROCESS_PORT", port)
            .env("LIBPROCESS_NUM_WORKER_THREADS", "4")
            .env("MESOS_WORK_DIR", state)
            .env("MESOS_NUM_SLAVES", AGENTS)
            .env("MESOS_RESOURCES", RESOURCES)
            .env("MESOS_HOSTNAME", "127.0.0.1")
            .env("MESOS_REGISTRY", "in_memory")
            .env("MESOS_LAUNCHER", "posix")
            .env("MESOS_ISOLATION", "posix/cpu,posix/mem")
            .env("MESOS_CONTAINERIZERS", "docker")
            .env("MESOS_LAUNCHER_DIR", work)
            .env("MESOS_DOCKER_SOCKET", &self.docker)
            .env("MESOS_DOCKER_REMOVE_DELAY", "1secs")
            .env("MESOS_SYSTEMD_ENABLE_SUPPORT", "false")
            .env("MESOS_SWITCH_USER", "false")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let began = Instant::now();
        while self.agents() != Some(2) {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert!(
                ended.is_none() && began.elapsed() < UP_LIMIT,
                "mesos is not up, {ended:?}: {}",
                self.log_end()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends master and agents without a word; executors see it and end their containers.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Whether every executor has ended, as each does within a second or two of its agent.
    fn executors_end(&self) -> bool {
        let mark = self.work.path().display().to_string();
        let began = Instant::now();
        while !processes_with(&mark).is_empty() {
            if began.elapsed() > EXECUTORS_LIMIT {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// How many agents are there.
    fn agents(&self) -> Option<usize> {
        Some(self.ask("/master/slaves")?.matches("\"active\":true").count())
    }

    /// What the master answers.
    pub fn ask(&self, path: &str) -> Option<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(&self.at).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let head = format!("GET {path} HTTP/1.0\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.work.path().join("log")).unwrap_or_default()
    }

    /// The last log lines of master and agents.
    fn log_end(&self) -> String {
        let mut log = self.log();
        log.split_off(log.floor_char_boundary(log.len().saturating_sub(4_000)))
    }
}

impl Drop for Mesos {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of mesos:\n{}", self.log_end());
        }
        self.kill();
        // The Docker of the test ends containers whose executor does not end.
        if !self.executors_end() {
            for pid in processes_with(&self.work.path().display().to_string()) {
                let _ = Command::new("kill").args(["-KILL", &pid]).status();
            }
        }
    }
}

/// The processes whose command line names `place`.
fn processes_with(place: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|pid| pid.parse::<u32>().is_ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(place)
        })
        .collect()
}

/// The folder with the programs, made once for the text of `install.sh`.
fn install() -> Result<PathBuf, String> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    INSTALL.hash(&mut hasher);
    let place = std::env::temp_dir().join(format!("flyball-mesos-lab-{:x}", hasher.finish()));
    let lock = File::create(place.with_extension("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if place.is_dir() {
        return Ok(place);
    }
    let output = Command::new("sh").args(["-c", INSTALL, "install"]).arg(&place).output();
    match output {
        Ok(output) if output.status.success() => Ok(place),
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!("it cannot be installed: {}", error.trim().lines().last().unwrap_or("")))
        }
        Err(error) => Err(format!("it cannot be installed: {error}")),
    }
}
