//! Settings of the adapter.
//!
//! Nothing that passes [`HaproxySettings::verify`] can end a command early or add a second one.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::error::HaproxyError;
use crate::folder::OwnedFiles;
use crate::lines;
use crate::mark;
use crate::options;
use crate::socket::Socket;

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
    /// A file that flyball keeps current, so that a reload by anyone finds the servers in it.
    pub file: Option<OwnedFile>,
    /// The files of all services, so that no two have one.
    pub files: OwnedFiles,
    /// Whether the backend's own configuration must ask for flyball, by a server `flyball` that is
    /// disabled: only a label named the backend.
    pub must_ask: bool,
    /// Template servers to use in place of servers made at run time, for HAProxy before 2.5.
    pub template_servers: Option<TemplateServers>,
    /// Where requests go while no server of the backend is up: the backup server `fb-activator`.
    pub activator: Option<SocketAddr>,
    /// How long a request may wait there.
    pub activator_wait_ms: u64,
    /// How long one command may take from connecting to the last byte. 0 is refused.
    pub call_limit_ms: u64,
    /// The service's drain limit. A server that has drained for longer than this and 10 s more has
    /// its connections cut: by then its replica has been stopped.
    pub drain_limit_ms: u64,
}

/// What every server gets beside its name and address, in the file and at run time alike.
/// `default-server` lines do not reach servers that are made at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Share of the requests among servers, 1 to 256, where all of them are flyball's: beside
    /// others, the least that one of those has. 100, because HAProxy's own default of 1 leaves no
    /// room to give a server less.
    pub weight: u16,
    /// Requests one server works on at once (`maxconn`); more wait in HAProxy. `None`: no limit.
    pub slots: Option<u32>,
    /// Which servers HAProxy checks itself, beside flyball's readiness probe.
    pub checks: Checks,
    /// More words of a `server` line, such as `ssl verify none`. Words about checks take the place
    /// of what `checks` stands for.
    pub words: String,
}

/// Which servers HAProxy checks itself. One that it calls down is down in every report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// None.
    Never,
    /// Those of a backend with `mode http`. A bare connection is part of no other protocol, and
    /// some servers count it as a failed login.
    #[default]
    WhereHttp,
    /// All.
    Always,
}

/// What a backend passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Http,
    Tcp,
}

/// A file with the whole backend, written by flyball alone.
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

/// The servers of `server-template PREFIX COUNT 127.0.0.1:1 disabled`. Where there is a file, they
/// are written into it one by one, and the template line must not be among its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateServers {
    /// What their names begin with; a number from 1 follows. All of them are flyball's.
    pub prefix: String,
    /// How many there are.
    pub count: u32,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { weight: 100, slots: None, checks: Checks::default(), words: String::new() }
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
            template_servers: None,
            activator: None,
            activator_wait_ms: 0,
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
        let prefix = self.template_servers.as_ref().map(|servers| &servers.prefix);
        if let Some(prefix) = prefix.filter(|prefix| !mark::is_name(prefix)) {
            return Err(wrong("template prefix", prefix.clone(), NAME));
        }
        let options = &self.server_options;
        if !(1..=256).contains(&options.weight) {
            return Err(wrong("weight", options.weight.to_string(), "1 to 256"));
        }
        options::verify(&options.words)?;
        let numbers = [
            ("slots of a server", options.slots.map(u64::from)),
            ("template count", self.template_servers.as_ref().map(|servers| servers.count.into())),
            ("call_limit_ms", Some(self.call_limit_ms)),
        ];
        match numbers.into_iter().find(|(_, number)| *number == Some(0)) {
            Some((setting, _)) => Err(wrong(setting, "0".to_owned(), "1 or more")),
            None => self.file.as_ref().map_or(Ok(()), |file| lines::verify(&file.lines)),
        }
    }
}

const NAME: &str = "one or more of A-Z a-z 0-9 . _ - :";

/// A server that fails is out within 10 requests or 6 s, and back after two checks, 2 to 4 s later.
/// The numbers are HAProxy's own defaults. With a shorter `fastinter` a server that answers errors
/// comes back too soon: every fourth server bad, 200 requests/s, 12.8 % failed instead of 1.4 %.
const CHECK: &str = "check inter 2s rise 2 fall 3";
const ON_ERROR: &str = "error-limit 10 on-error mark-down";

impl ServerOptions {
    /// The same with another weight.
    pub(crate) fn weighing(&self, weight: u16) -> Self {
        Self { weight, ..self.clone() }
    }

    /// As written behind the address on a `server` or `add server` line of a backend of this mode.
    pub(crate) fn line(&self, mode: Mode) -> String {
        let mut line = format!("weight {}", self.weight);
        if let Some(check) = self.check(mode) {
            line.push_str(&format!(" {check}"));
        }
        if let Some(slots) = self.slots {
            line.push_str(&format!(" maxconn {slots}"));
        }
        for word in self.words.split_whitespace() {
            line.push_str(&format!(" {word}"));
        }
        line
    }

    /// What stands there about checks, unless the options say it.
    pub(crate) fn check(&self, mode: Mode) -> Option<String> {
        let layer = match mode {
            Mode::Http => "layer7",
            Mode::Tcp => "layer4",
        };
        let wanted = match self.checks {
            Checks::Never => false,
            Checks::WhereHttp => mode == Mode::Http,
            Checks::Always => true,
        };
        let own = options::has(&self.words, "check");
        (wanted && !own).then(|| format!("{CHECK} observe {layer} {ON_ERROR}"))
    }

    /// Whether HAProxy checks such a server once checks are enabled.
    pub(crate) fn is_checked(&self, mode: Mode) -> bool {
        self.check(mode).is_some() || options::has(&self.words, "check")
    }

    /// The first of its words that has HAProxy read a file, with the file.
    pub(crate) fn file_word(&self) -> Option<String> {
        let reads = ["ca-file", "crl-file", "crt"];
        let parts = options::split(&self.words);
        let part = parts.iter().find(|part| part.first().is_some_and(|name| reads.contains(name)));
        part.map(|part| part.join(" "))
    }

    /// The first of its words under which a server takes something other than plain HTTP/1.
    pub fn beyond_plain_http(&self) -> Option<String> {
        let other = ["ssl", "send-proxy", "send-proxy-v2", "proto"];
        let parts = options::split(&self.words);
        let mut names = parts.iter().filter_map(|part| part.first());
        names.find(|name| other.contains(name)).map(|name| (*name).to_owned())
    }

    /// Whether HAProxy asks an agent at such a server once that is enabled.
    pub(crate) fn has_agent(&self) -> bool {
        options::has(&self.words, "agent-check")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_those_of_the_mode_unless_the_options_say_other() {
        let line = |checks, words: &str, mode| {
            let words = words.to_owned();
            ServerOptions { checks, words, ..ServerOptions::default() }.line(mode)
        };
        let layer7 = "weight 100 check inter 2s rise 2 fall 3 observe layer7 error-limit 10 \
                      on-error mark-down";
        assert_eq!(line(Checks::WhereHttp, "", Mode::Http), layer7);
        assert_eq!(line(Checks::WhereHttp, "", Mode::Tcp), "weight 100");
        assert!(line(Checks::Always, "", Mode::Tcp).contains("observe layer4"));
        assert_eq!(
            line(Checks::Never, "ssl  verify none", Mode::Http),
            "weight 100 ssl verify none"
        );
        let own = line(Checks::Always, "check inter 9s", Mode::Http);
        assert_eq!(own, "weight 100 check inter 9s");
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
                template_servers: Some(TemplateServers { prefix: "dyn".into(), count: 0 }),
                ..sound.clone()
            },
            HaproxySettings {
                server_options: ServerOptions { words: "cookie a".into(), ..Default::default() },
                ..sound.clone()
            },
            file("balance leastconn\n  frontend other\n"),
        ];
        let said = broken.map(|settings| settings.verify().unwrap_err().to_string());
        assert_eq!(
            said.map(|text| text.split([' ', ':']).next().unwrap_or("").to_owned()),
            ["backend", "backend", "call_limit_ms", "weight", "template", "options", "the"]
        );
    }
}
