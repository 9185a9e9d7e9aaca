//! The program under test, run to its end. It gets nothing from the environment of the test but
//! what the test gives it, and is killed when its time is over.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::DEADLINE;

/// The program.
pub(crate) const FLYBALL: &str = env!("CARGO_BIN_EXE_flyball");

/// How a program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `flyball` with `words`, not run yet.
pub(crate) fn flyball<'a>(words: impl AsRef<[&'a str]>) -> Command {
    let mut command = Command::new(FLYBALL);
    command.args(words.as_ref());
    clean(&mut command);
    command
}

/// Takes away what the environment of the test could change.
pub(crate) fn clean(command: &mut Command) {
    command.stdin(Stdio::null()).env("TZ", "UTC");
    for name in ["FLYBALL_LOG", "FLYBALL_LOG_FORMAT", "FLYBALL_DAEMON", "FLYBALL_TOKEN_FILE"] {
        command.env_remove(name);
    }
}

/// Runs `command` to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    run_within(command, 3 * DEADLINE)
}

/// The same for one that may take as long as `limit`.
#[track_caller]
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (stdout, stderr) = (thread::spawn(|| read(stdout)), thread::spawn(|| read(stderr)));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} did not end: {}", stderr.join().unwrap());
        }
        thread::sleep(Duration::from_millis(3));
    };
    Ran { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}
