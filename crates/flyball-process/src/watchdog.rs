//! The process that outlives flyball until every process of its replicas is gone.
//!
//! It acts when the pipe from flyball closes, which happens however flyball dies.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::containment::kill_group;
use crate::env_markers::EnvMarkers;
use crate::finder::{ProcessFinder, Session};
use crate::fork::{self, ChildKind};

/// How long everything may take to be gone once flyball has died.
const HUNT_LIMIT: Duration = Duration::from_secs(10);
/// How long flyball waits for its watchdog to end when it ends itself.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// No line that flyball writes is longer; a path may take most of it.
const LINE_LIMIT_BYTES: u64 = 8192;

/// What flyball sends its watchdog, a line each.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    Run(String),
    Group(PathBuf),
    Began(Session),
    Ended(u32),
}

impl Notice {
    fn line(&self) -> String {
        match self {
            Self::Run(mark) => format!("run {mark}\n"),
            Self::Group(directory) => format!("group {}\n", directory.display()),
            Self::Began(session) => format!("began {} {}\n", session.id, session.started_ticks),
            Self::Ended(id) => format!("ended {id}\n"),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "run" => Some(Self::Run(rest.to_owned())),
            "group" => Some(Self::Group(rest.into())),
            "began" => {
                let (id, started) = rest.split_once(' ')?;
                let session =
                    Session { id: id.parse().ok()?, started_ticks: started.parse().ok()? };
                Some(Self::Began(session))
            }
            "ended" => rest.parse().ok().map(Self::Ended),
            _ => None,
        }
    }
}

/// The whole life of a watchdog: reads standard input to its end, then kills whatever is left of
/// the run that was reported to it.
///
/// Call it from the command that [`crate::LauncherSettings::watchdog`] names, and exit with what
/// it gives: success if nothing is left.
pub fn watchdog_main() -> ExitCode {
    let (hunt, group) = listen(&mut io::stdin().lock());
    let group_gone = group.is_none_or(|directory| kill_group(&directory, HUNT_LIMIT));
    let left = hunt.kill_all(HUNT_LIMIT);
    if group_gone && left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn listen(input: &mut impl BufRead) -> (ProcessFinder, Option<PathBuf>) {
    let (mut hunt, mut group) = (ProcessFinder::default(), None);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A pipe that cannot be read is as good as closed.
        let Ok(1..) = input.by_ref().take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line) else {
            return (hunt, group);
        };
        match Notice::parse(String::from_utf8_lossy(&line).trim_end_matches('\n')) {
            Some(Notice::Run(mark)) => hunt.set_marks(EnvMarkers::only_run(&mark)),
            Some(Notice::Group(directory)) => group = Some(directory),
            Some(Notice::Began(session)) => hunt.add_session(session),
            Some(Notice::Ended(id)) => hunt.forget_session(id),
            None => {}
        }
    }
}

/// Flyball's side: the watchdog as a child, and all it has to know.
#[derive(Debug)]
pub(crate) struct Watchdog {
    command: Vec<OsString>,
    run: String,
    group: Option<PathBuf>,
    sessions: BTreeMap<u32, Session>,
    process: Child,
    pipe: ChildStdin,
}

impl Watchdog {
    pub(crate) fn start(
        command: Vec<OsString>,
        run: &str,
        group: Option<PathBuf>,
    ) -> io::Result<Self> {
        let (process, pipe) = fork_watchdog(&command)?;
        let (run, sessions) = (run.to_owned(), BTreeMap::new());
        let mut watchdog = Self { command, run, group, sessions, process, pipe };
        watchdog.brief()?;
        Ok(watchdog)
    }

    pub(crate) fn began(&mut self, session: Session) {
        self.sessions.insert(session.id, session);
        self.tell(&Notice::Began(session));
    }

    pub(crate) fn ended(&mut self, id: u32) {
        self.sessions.remove(&id);
        self.tell(&Notice::Ended(id));
    }

    /// A watchdog that no longer listens is replaced, once for each message to it.
    fn tell(&mut self, notice: &Notice) {
        let told = self.pipe.write_all(notice.line().as_bytes());
        if let Err(error) = told.or_else(|_| self.replace()) {
            tracing::warn!(%error, "no watchdog: if flyball is killed, replicas may keep running");
        }
    }

    fn replace(&mut self) -> io::Result<()> {
        let _ = self.process.kill();
        let _ = self.process.wait();
        (self.process, self.pipe) = fork_watchdog(&self.command)?;
        self.brief()
    }

    fn brief(&mut self) -> io::Result<()> {
        let run = Notice::Run(self.run.clone());
        let group = self.group.clone().map(Notice::Group);
        let sessions = self.sessions.values().copied().map(Notice::Began);
        let all: String =
            [run].into_iter().chain(group).chain(sessions).map(|notice| notice.line()).collect();
        self.pipe.write_all(all.as_bytes())
    }

    /// Lets it do its work and end.
    pub(crate) fn close(mut self) {
        drop(self.pipe);
        let deadline = Instant::now() + CLOSE_LIMIT;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The pipe never blocks: a watchdog that was stopped must not stop flyball.
fn fork_watchdog(command: &[OsString]) -> io::Result<(Child, ChildStdin)> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = fork::spawn(&mut command, ChildKind::Watchdog)?;
    let pipe = process.stdin.take().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
    rustix::io::ioctl_fionbio(&pipe, true)?;
    Ok((process, pipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let session = Session { id: 12, started_ticks: 345 };
        for notice in [
            Notice::Run("a b=c".into()),
            Notice::Group("/sys/fs/cgroup/x y".into()),
            Notice::Began(session),
            Notice::Ended(12),
        ] {
            let line = notice.line();
            assert_eq!(Notice::parse(line.trim_end_matches('\n')), Some(notice));
        }
        assert_eq!(Notice::parse("began 12"), None);
        assert_eq!(Notice::parse("hello"), None);
    }

    #[test]
    fn garbage_and_a_cut_off_line_do_not_stop_it_from_listening() {
        let told = b"\xff\xfe\nnonsense\nbegan 5\ngroup /g\nbegan 7 8";
        let (_, group) = listen(&mut told.as_slice());
        assert_eq!(group, Some("/g".into()));
    }
}
