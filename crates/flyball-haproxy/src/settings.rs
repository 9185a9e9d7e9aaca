//! What the adapter is told before it starts, and which of it can never work.
//!
//! Decides only whether the settings make sense. Knows nothing of the HAProxy behind the socket.
//! Invariant: nothing that passed [`HaproxySettings::verify`] can end a command early or smuggle in
//! a second one: names and numbers are all that goes into a command.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::HaproxyError;
use crate::folder::OwnedFiles;
use crate::lines;
use crate::mark;

/// Where HAProxy's runtime API listens (`stats socket` in its `global` section).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// A socket file on this machine.
    Unix(PathBuf),
    /// `HOST:PORT` over TCP; a name is looked up at each connection. HAProxy asks nobody for a
    /// password there: keep it on loopback, or in a network of its own.
    Tcp(String),
}

/// Which backend to keep, and how. All times are milliseconds.
#[derive(Clone, Debug)]
pub struct HaproxySettings {
    /// Where HAProxy listens for commands.
    pub socket: Socket,
    /// The backend whose servers are the replicas. One service has it for itself.
    pub backend: String,
    /// The service, for messages.
    pub service: String,
    /// What every server gets beside its name and address.
    pub server_options: ServerOptions,
    /// A file that flyball keeps current, so that a reload by anybody finds the servers in it.
    pub file: Option<OwnedFile>,
    /// The files of all services, so that no two have one.
    pub files: OwnedFiles,
    /// Whether the backend's own configuration must ask for flyball, by a server `flyball` that is
    /// disabled: nobody but a label named the backend.
    pub must_ask: bool,
    /// Slots to use in place of servers made at run time, for HAProxy before 2.5.
    pub slots: Option<Slots>,
    /// How long one command may take from connecting to the last byte. 0 is refused.
    pub call_limit_ms: u64,
    /// The service's drain limit. A server that has drained for longer than this and 10 s more has
    /// its connections cut: by then its replica has been stopped.
    pub drain_limit_ms: u64,
}

/// What every server gets beside its name and address. `default-server` lines do not reach servers
/// that are made at run time, so all of it is said here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Share of the requests among servers, 1 to 256, where all of them are flyball's: beside
    /// others, the least that one of those has. 100, because HAProxy's own default of 1 leaves no
    /// room to give a server less.
    pub weight: u16,
    /// Requests one server works on at once (`maxconn`); more wait in HAProxy. `None`: no limit.
    pub slots: Option<u32>,
    /// Health checks by HAProxy itself, beside flyball's readiness probe.
    pub check: Option<Check>,
}

/// How HAProxy checks a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Between two checks of a server that is well.
    pub inter_ms: u32,
    /// Between two checks while it changes from one state to the other.
    pub fastinter_ms: u32,
    /// Checks that must pass before a server that was down is up.
    pub rise: u32,
    /// Checks that must fail before it is down.
    pub fall: u32,
}

/// A file with the whole backend, written by flyball and by nobody else.
///
/// HAProxy takes a section from one file only, so the backend moves into this one as a whole; start
/// HAProxy with both: `haproxy -f haproxy.cfg -f FILE` (Debian: `EXTRAOPTS` in
/// /etc/default/haproxy). The last `defaults` section before it holds for it, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The folder that it must be below.
    pub directory: PathBuf,
    /// The lines of the backend other than flyball's servers, such as `balance leastconn`.
    pub lines: String,
}

/// The slots of `server-template PREFIX COUNT 127.0.0.1:1 disabled`. Where there is a file, they
/// are written into it one by one, and the template line must not be among its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// What their names begin with; a number from 1 follows. All of them are flyball's.
    pub prefix: String,
    /// How many there are.
    pub count: u32,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { weight: 100, slots: None, check: None }
    }
}

impl Default for Check {
    /// Down within about 0.7 s of the first failure, one request every 2 s while all is well.
    fn default() -> Self {
        Self { inter_ms: 2_000, fastinter_ms: 200, rise: 1, fall: 3 }
    }
}

impl HaproxySettings {
    /// The settings for `backend`, with a call limit of 250 ms: a call takes 0.1 ms on an idle
    /// machine and 8 ms at the 95th percentile on a saturated one.
    pub fn new(socket: Socket, backend: impl Into<String>) -> Self {
        let backend = backend.into();
        Self {
            socket,
            service: backend.clone(),
            backend,
            server_options: ServerOptions::default(),
            file: None,
            files: OwnedFiles::default(),
            must_ask: false,
            slots: None,
            call_limit_ms: 250,
            drain_limit_ms: 30_000,
        }
    }

    /// Refuses settings under which no command could ever work.
    pub(crate) fn verify(&self) -> Result<(), HaproxyError> {
        let wrong = |setting, value: String, want| HaproxyError::Setting { setting, value, want };
        if !mark::is_name(&self.backend) {
            return Err(wrong("backend", self.backend.clone(), NAME));
        }
        let prefix = self.slots.as_ref().map(|slots| &slots.prefix);
        if let Some(prefix) = prefix.filter(|prefix| !mark::is_name(prefix)) {
            return Err(wrong("slots prefix", prefix.clone(), NAME));
        }
        let options = &self.server_options;
        if !(1..=256).contains(&options.weight) {
            return Err(wrong("weight", options.weight.to_string(), "1 to 256"));
        }
        let Check { inter_ms, fastinter_ms, rise, fall } = options.check.unwrap_or_default();
        let numbers = [
            ("slots of a server", options.slots.map(u64::from)),
            ("slots count", self.slots.as_ref().map(|slots| slots.count.into())),
            ("call_limit_ms", Some(self.call_limit_ms)),
            ("check.inter_ms", Some(inter_ms.into())),
            ("check.fastinter_ms", Some(fastinter_ms.into())),
            ("check.rise", Some(rise.into())),
            ("check.fall", Some(fall.into())),
        ];
        match numbers.into_iter().find(|(_, number)| *number == Some(0)) {
            Some((setting, _)) => Err(wrong(setting, "0".to_owned(), "1 or more")),
            None => self.file.as_ref().map_or(Ok(()), |file| lines::verify(&file.lines)),
        }
    }
}

const NAME: &str = "one or more of A-Z a-z 0-9 . _ - :";

impl ServerOptions {
    /// As written behind the address on a `server` or `add server` line.
    pub(crate) fn words(&self) -> String {
        let mut words = format!("weight {}", self.weight);
        if let Some(Check { inter_ms, fastinter_ms, rise, fall }) = self.check {
            let times = format!("inter {inter_ms}ms fastinter {fastinter_ms}ms");
            words.push_str(&format!(" check {times} rise {rise} fall {fall}"));
        }
        if let Some(slots) = self.slots {
            words.push_str(&format!(" maxconn {slots}"));
        }
        words
    }
}

impl FromStr for Socket {
    type Err = HaproxyError;

    /// Takes `/run/haproxy/admin.sock`, `unix:///run/haproxy/admin.sock` and `tcp://127.0.0.1:9999`.
    fn from_str(text: &str) -> Result<Self, HaproxyError> {
        let wrong = || HaproxyError::Setting {
            setting: "socket",
            value: text.to_owned(),
            want: "/PATH, unix:///PATH or tcp://HOST:PORT",
        };
        if let Some(address) = text.strip_prefix("tcp://") {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            return port.map(|_| Self::Tcp(address.to_owned())).ok_or_else(wrong);
        }
        let path = text.strip_prefix("unix://").unwrap_or(text);
        if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(wrong()) }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_a_path_or_an_address() {
        for text in ["/run/haproxy/admin.sock", "unix:///run/haproxy/admin.sock"] {
            assert_eq!(text.parse::<Socket>().unwrap().to_string(), "/run/haproxy/admin.sock");
        }
        for tcp in ["tcp://127.0.0.1:9999", "tcp://tasks.haproxy:9999"] {
            assert_eq!(tcp.parse::<Socket>().unwrap().to_string(), tcp);
        }
        for text in ["", "admin.sock", "tcp://localhost", "http://127.0.0.1:9999"] {
            assert!(text.parse::<Socket>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_could_never_work_is_refused_by_name() {
        let sound = HaproxySettings::new(Socket::Unix("/a".into()), "web");
        assert!(sound.verify().is_ok());
        let file = |lines: &str| {
            let (path, directory) = ("/f".into(), "/".into());
            let file = OwnedFile { path, directory, lines: lines.to_owned() };
            HaproxySettings { file: Some(file), ..sound.clone() }
        };
        assert!(file("balance leastconn\n# backend\n").verify().is_ok());
        let broken = [
            HaproxySettings { backend: "a; show info".to_owned(), ..sound.clone() },
            HaproxySettings { backend: String::new(), ..sound.clone() },
            HaproxySettings { call_limit_ms: 0, ..sound.clone() },
            HaproxySettings {
                server_options: ServerOptions { weight: 300, ..ServerOptions::default() },
                ..sound.clone()
            },
            HaproxySettings {
                slots: Some(Slots { prefix: "dyn".into(), count: 0 }),
                ..sound.clone()
            },
            file("balance leastconn\n  frontend other\n"),
        ];
        let said = broken.map(|settings| settings.verify().unwrap_err().to_string());
        assert_eq!(
            said.map(|text| text.split(" is ").next().unwrap_or("").to_owned()),
            [
                "backend",
                "backend",
                "call_limit_ms",
                "weight",
                "slots count",
                "the line `  frontend other` cannot be written: `frontend`"
            ]
        );
    }
}
