//! A running `flyball run`. It is dead when this is dropped; its replicas end by themselves, which
//! tests check.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::Value;

use super::{Answer, Place, Ran, ask, flyball, run, signal, until};

/// A daemon that has logged where its API is.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    pub(crate) api: SocketAddr,
}

impl Daemon {
    /// Starts the daemon of `place` and waits until it can be asked.
    #[track_caller]
    pub(crate) fn start(place: &Place) -> Self {
        let config = place.config();
        Self::spawn(place, flyball(["run", "-c", config.to_str().unwrap()]))
    }

    /// Starts a daemon with `command` and waits until it can be asked.
    #[track_caller]
    pub(crate) fn spawn(place: &Place, mut command: Command) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let log = place.path().join(format!("log-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        let unset = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Self { child, log, api: unset };
        daemon.api = until("the daemon's address", || {
            let log = daemon.log();
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended with {ended:?}:\n{log}");
            let (_, rest) = log.split_once("dashboard and API on http://")?;
            rest.split_once("/\n")?.0.parse().ok()
        });
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// How many lines of its log contain `text`.
    pub(crate) fn log_count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(self.api, "GET", path, None).unwrap()
    }

    /// Asks for something that must be granted.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = ask(self.api, "POST", path, Some(body)).unwrap();
        assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
        answer.json()
    }

    /// A service as the API shows it.
    #[track_caller]
    pub(crate) fn service(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/services/{name}")).json()
    }

    /// A figure of what was seen at the latest look at a service.
    #[track_caller]
    pub(crate) fn seen(&self, name: &str, figure: &str) -> Option<u64> {
        self.service(name)["decision"]["signals"][figure].as_u64()
    }

    /// Waits until exactly `count` replicas are ready and nothing else of the service is left.
    #[track_caller]
    pub(crate) fn until_settled(&self, name: &str, count: u64) -> Value {
        until(&format!("{name} at {count}"), || {
            let view = self.service(name);
            let all = view["replicas"].as_array()?.iter().all(|it| it["state"] == "ready");
            let settled = all && view["decision"]["signals"]["ready"] == count;
            settled.then_some(view)
        })
    }

    /// What a command of the command line does with this daemon.
    #[track_caller]
    pub(crate) fn ask(&self, words: &[&str]) -> Ran {
        run(flyball(words).args(["--daemon", &self.api.to_string()]))
    }

    /// What `flyball status` prints.
    #[track_caller]
    pub(crate) fn status(&self) -> String {
        let mut command = flyball(["status"]);
        let output = run(command.env("FLYBALL_DAEMON", self.api.to_string()));
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout
    }

    /// Where a service takes requests.
    #[track_caller]
    pub(crate) fn address_of(&self, name: &str) -> SocketAddr {
        let view = self.service(name);
        let address = view["address"].as_str().and_then(|url| url.strip_prefix("http://"));
        address.unwrap_or_else(|| panic!("no address: {view}")).parse().unwrap()
    }

    /// Sends it SIGTERM and waits for its end.
    #[track_caller]
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        signal(self.pid(), Signal::TERM);
        let status = until("the daemon's end", || self.child.try_wait().unwrap());
        (status, self.log())
    }

    /// Sends it SIGKILL and collects it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the daemon:\n{}", self.log());
        }
        // It may have ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
