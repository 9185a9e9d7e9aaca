//! Errors between flyball and HAProxy. An unexpected answer is shown as it came.

use std::io;
use std::path::PathBuf;

use flyball_engine::Hint;
use flyball_file::{FileError, PlaceError};

use crate::socket::Socket;

/// Why HAProxy could not be asked, or did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum HaproxyError {
    /// A setting that could never work.
    #[error("{setting} is `{value}`, but must be {want}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        want: &'static str,
    },
    /// A word that no server may have.
    #[error("options: `{word}` cannot be a server option here")]
    Option {
        /// The word.
        word: String,
        /// What to do instead.
        why: String,
    },
    /// The socket does not answer, or not to us.
    #[error("cannot reach HAProxy at {socket}: {source}")]
    Unreachable {
        /// Where.
        socket: Socket,
        /// What the system said.
        source: io::Error,
    },
    /// HAProxy took the command and said nothing, or not all, in time.
    #[error("HAProxy at {socket} did not answer within {limit_ms} ms")]
    Silent {
        /// Where.
        socket: Socket,
        /// The call limit, in milliseconds.
        limit_ms: u64,
    },
    /// The answer ends before its end, or is none of HAProxy's.
    #[error("HAProxy's answer to `{command}` cannot be read: {why}")]
    Garbled {
        /// What was asked.
        command: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The answer came from a process that a reload has replaced.
    #[error("HAProxy's process {pid} is stopping and another one takes over")]
    Stopping {
        /// The process that answered.
        pid: u32,
    },
    /// There is no such backend.
    #[error("HAProxy has no backend `{backend}`")]
    NoBackend {
        /// The backend asked for.
        backend: String,
    },
    /// The socket allows reading but not changes.
    #[error("HAProxy refuses changes through {socket}: it does not have level admin")]
    NotAdmin {
        /// Where.
        socket: Socket,
    },
    /// The backend spreads requests in a way that is fixed when HAProxy starts.
    #[error("backend `{backend}` has a static algorithm and does not accept servers at run time")]
    StaticAlgorithm {
        /// The backend.
        backend: String,
    },
    /// This HAProxy has no servers made at run time.
    #[error("HAProxy {version} does not accept servers at run time")]
    TooOld {
        /// Its version.
        version: String,
    },
    /// Every template server has a replica.
    #[error(
        "all {count} template servers of backend `{backend}` are taken; {waiting} replicas have none"
    )]
    NoTemplateServer {
        /// The backend.
        backend: String,
        /// How many there are.
        count: usize,
        /// How many replicas are without.
        waiting: usize,
    },
    /// HAProxy said something else than it says when all is well.
    #[error("HAProxy answered `{answer}` to `{command}`")]
    Unexpected {
        /// What was asked.
        command: String,
        /// What came back.
        answer: String,
    },
    /// The file for the servers cannot be read or written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file may not be where it was said to be.
    #[error("cannot write {}: {source}", path.display())]
    Place {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: PlaceError,
    },
    /// Another service has the file.
    #[error("cannot write {}: it is the file of service {service}", path.display())]
    FileTaken {
        /// Where it is.
        path: PathBuf,
        /// The service.
        service: String,
    },
    /// A line that may not stand in the file.
    #[error("the line `{line}` is not allowed: {why}")]
    Line {
        /// The line, escaped and cut.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// Labels named the backend, and neither it nor the operator asks for flyball.
    #[error("backend `{backend}` does not opt in to flyball, and only a label names it")]
    NotAsked {
        /// The backend.
        backend: String,
    },
    /// The file is there and flyball has not written it.
    #[error("{} was not written by flyball and is left alone", path.display())]
    ForeignFile {
        /// Where it is.
        path: PathBuf,
    },
}

impl HaproxyError {
    /// Why the file at `path` cannot be kept.
    pub(crate) fn of_file(path: PathBuf, error: PlaceError) -> Self {
        match error {
            PlaceError::File(FileError::Unreadable(source)) => Self::File { path, source },
            source => Self::Place { path, source },
        }
    }

    /// With its hint, for where there is one line for both.
    pub(crate) fn in_one_line(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }

    /// Whether HAProxy was reached, or did not have to be, and something has to be fixed.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Garbled { .. }
            | Self::Stopping { .. } => false,
            Self::Setting { .. }
            | Self::Option { .. }
            | Self::NoBackend { .. }
            | Self::NotAdmin { .. }
            | Self::StaticAlgorithm { .. }
            | Self::TooOld { .. }
            | Self::NoTemplateServer { .. }
            | Self::Unexpected { .. }
            | Self::File { .. }
            | Self::Place { .. }
            | Self::FileTaken { .. }
            | Self::Line { .. }
            | Self::NotAsked { .. }
            | Self::ForeignFile { .. } => true,
        }
    }
}

impl Hint for HaproxyError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { socket, source } => return unreachable(socket, source.kind()),
            Self::NoBackend { backend } => {
                format!("add a section `backend {backend}`, or name another with `backend`")
            }
            Self::NotAdmin { socket } => in_global(socket),
            Self::StaticAlgorithm { backend } => {
                format!("in `backend {backend}`: balance leastconn")
            }
            Self::TooOld { .. } => {
                "it needs a `server-template` line: `flyball check` shows which lines to add"
                    .to_owned()
            }
            Self::Silent { .. } => "is it overloaded, or another program's socket?".to_owned(),
            Self::Garbled { .. } => "name a `stats socket` of HAProxy".to_owned(),
            Self::Stopping { .. } => "try again".to_owned(),
            Self::NoTemplateServer { .. } => {
                "raise the count in the server-template line, or lower `max`".to_owned()
            }
            Self::ForeignFile { path } => {
                format!("move {} away, or name another file", path.display())
            }
            Self::Place { .. } => {
                "set a regular file, existing or new, below `directory` in [haproxy], with a path \
                 without links"
                    .to_owned()
            }
            Self::FileTaken { .. } => "give each service its own".to_owned(),
            Self::Line { .. } => {
                "put it into `defaults` or the frontend in haproxy.cfg; `lines` allows only \
                 backend directives that read and run nothing (docs/guide/haproxy.md)"
                    .to_owned()
            }
            Self::NotAsked { backend } => format!(
                "in `backend {backend}`: server flyball 127.0.0.1:1 disabled; or in flyball.toml, \
                 under [haproxy]: backends = [\"{backend}\"]"
            ),
            Self::File { .. } => "flyball needs write permission for its folder".to_owned(),
            Self::Option { why, .. } => why.clone(),
            Self::Setting { .. } | Self::Unexpected { .. } => return None,
        };
        Some(hint)
    }
}

fn unreachable(socket: &Socket, kind: io::ErrorKind) -> Option<String> {
    match kind {
        io::ErrorKind::NotFound => Some(in_global(socket)),
        io::ErrorKind::PermissionDenied => Some(
            "give flyball's user the socket's group (Debian: haproxy), or run it as root"
                .to_owned(),
        ),
        io::ErrorKind::ConnectionRefused => Some("start HAProxy".to_owned()),
        _ => None,
    }
}

/// The beginning of an answer as it can be shown: with control characters written out, so that it
/// can neither begin a line of a log nor colour a terminal.
pub(crate) fn shown(answer: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    let shown: String = answer.trim().chars().take(200).map(escaped).collect();
    shown.chars().take(200).collect()
}

fn in_global(socket: &Socket) -> String {
    format!("in `global`: {}", stats_line(socket))
}

/// The line of `global` that makes `socket`, with the level that flyball needs.
pub(crate) fn stats_line(socket: &Socket) -> String {
    let mode = match socket {
        Socket::Unix(_) => "mode 660 ",
        Socket::Tcp(_) => "",
    };
    format!("stats socket {} {mode}level admin", socket.as_bound())
}
