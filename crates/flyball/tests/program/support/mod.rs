//! Shared by tests of the whole program: a place of their own, and waiting with a deadline.
//! Everything a test starts ends with it, by process id.

mod api;
mod daemon;
mod haproxy;
mod installed;
mod load;
mod processes;
mod program;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use api::Answer;
pub(crate) use api::ask;
pub(crate) use daemon::Daemon;
pub(crate) use haproxy::Haproxy;
pub(crate) use installed::{installed, missing};
pub(crate) use load::{Steady, was_load};
pub(crate) use processes::{carriers, signal};
pub(crate) use program::{FLYBALL, Ran, clean, flyball, run, run_within};

/// Longer than anything takes that is not a test of time; reaching it is a failure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Asks again every few milliseconds until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(DEADLINE, what, condition)
}

/// The same for what may take as long as `limit`.
#[track_caller]
pub(crate) fn until_within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", limit.as_secs());
        sleep(Duration::from_millis(3));
    }
}

/// A directory with a configuration and a state directory, gone when the test is over.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("flyball-test-").tempdir().unwrap())
    }

    /// A place with the configuration of `services`.
    pub(crate) fn with(services: &str) -> Self {
        let place = Self::new();
        place.configure(services);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("flyball.toml")
    }

    /// Writes the configuration: any free port, the state directory of this place, `services`.
    pub(crate) fn configure(&self, services: &str) {
        let state = self.state();
        self.write(
            "flyball.toml",
            &format!("[flyball]\nlisten = \"127.0.0.1:0\"\nstate_dir = {state:?}\n{services}"),
        );
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What every replica that belongs to this place carries in its environment.
    pub(crate) fn mark(&self) -> String {
        format!("FLYBALL_HOME={}", self.state().canonicalize().unwrap().display())
    }

    /// The living processes of this place's replicas. The sample service has one process each.
    pub(crate) fn replicas(&self) -> Vec<u32> {
        carriers(&self.mark())
    }

    /// `text` with what differs from run to run taken out.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), "PLACE")
    }
}

/// A service of sample replicas: each request takes `work_ms` of CPU, each replica `share` of a
/// core. `more` are further lines of its table.
pub(crate) fn sample(name: &str, work_ms: f64, share: f64, more: &str) -> String {
    let mut text = service(
        name,
        &format!(
            "[{FLYBALL:?}, \"sample-service\", \"--port\", \"{{port}}\", \"--work-ms\", \
             \"{work_ms}\", \"--share\", \"{share}\"]"
        ),
        more,
    );
    writeln!(text, "ready = {{ http = \"/healthz\" }}\ncpus = {share}").unwrap();
    text
}

/// A service whose replicas run `script` in a shell, with the port in `$PORT`.
pub(crate) fn shell(name: &str, script: &str, more: &str) -> String {
    service(name, &format!("[\"sh\", \"-c\", {script:?}]"), more)
}

/// A service whose replicas answer every request with `status`.
pub(crate) fn answering(name: &str, status: u16, more: &str) -> String {
    let script = format!(
        "import sys, http.server as h\n\
         class Replica(h.BaseHTTPRequestHandler):\n\
         \x20   def do_GET(self):\n\
         \x20       self.send_response({status})\n\
         \x20       self.send_header('content-length', '0')\n\
         \x20       self.end_headers()\n\
         \x20   def log_message(self, *_): pass\n\
         h.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Replica).serve_forever()"
    );
    service(name, &format!("[\"python3\", \"-c\", {script:?}, \"{{port}}\"]"), more)
}

fn service(name: &str, command: &str, more: &str) -> String {
    let listen = if more.contains("listen =") || more.contains("balancer =") {
        ""
    } else {
        "listen = \"127.0.0.1:0\"\n"
    };
    format!("\n[services.{name}]\nengine = \"process\"\ncommand = {command}\n{listen}{more}\n")
}

/// A port on 127.0.0.1 that is free now, for those that must stay the same over restarts.
pub(crate) fn free_port() -> u16 {
    /// Below the ports that the system gives to connections: one of those could take it meanwhile.
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests are processes beside each other: each begins at a place of its own.
    let begin = u16::try_from(std::process::id() % 1_250 * 16).unwrap();
    loop {
        let port = FIRST + begin.wrapping_add(NEXT.fetch_add(1, Relaxed)) % COUNT;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
