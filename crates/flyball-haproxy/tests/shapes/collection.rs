//! Configurations of the shapes that people use; the lines are written for the tests. `{front}` is
//! where a request comes in, `{socket}` the runtime socket, `{replica}` where a replica listens
//! that the configuration itself plays, for those that speak something else than HTTP.

mod servers;
mod surroundings;

use flyball_haproxy::{HaproxySettings, Level, OwnedFile};

const OLD: (u32, u32) = (2, 2);
const NEW: (u32, u32) = (2, 6);

pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The first release that starts with it.
    pub(crate) since: (u32, u32),
    pub(crate) backend: &'static str,
    /// What stands before `text`.
    above: &'static str,
    text: &'static str,
    pub(crate) settings: fn(&mut HaproxySettings),
    /// What `check` has to report, beside what it reports of every such release.
    wrong: &'static [&'static str],
    advice: &'static [&'static str],
}

const PLAIN: Shape = Shape {
    name: "",
    since: OLD,
    backend: "web",
    above: DEBIAN,
    text: "",
    settings: |_| {},
    wrong: &[],
    advice: &[LOSES, CUTS],
};

/// No redispatch, no retry.
const LOSES: &str = "may lose requests when a server ends";
/// No `option idle-close-on-response`.
const CUTS: &str = "reloading HAProxy may cut off requests";
const TOO_OLD: &str = "does not accept servers at run time";
const IDLE_SERVERS: &str = "ignores how busy";
const STATIC: &str = "does not accept servers at run time with this algorithm";
const DOES_NOT_REACH: &str = "does not reach servers added at run time";

/// As Debian's package has it, with a socket of the test's own.
const DEBIAN: &str = "global
  log 127.0.0.1:1 local0
  stats socket {socket} mode 660 level admin
  stats timeout 30s
defaults
  log global
  mode http
  option httplog
  option dontlognull
  timeout connect 5000
  timeout client 50000
  timeout server 50000
";
const FRONT: &str = "frontend www
  bind {front}
  default_backend web
";
const BARE: &str = "global
  stats socket {socket} level admin
";

impl Shape {
    pub(crate) fn text(&self) -> String {
        let front = if self.text.contains("{front}") { "" } else { FRONT };
        format!("{}{front}{}", self.above, self.text)
    }

    pub(crate) fn has_own_replica(&self) -> bool {
        self.text.contains("{replica}")
    }

    pub(crate) fn expected(&self, release: (u32, u32)) -> Vec<(Level, &'static str)> {
        let mut all = Vec::new();
        if release < NEW {
            all.push((Level::Wrong, TOO_OLD));
        }
        // Servers made at run time are the only ones that an old HAProxy's algorithm may refuse.
        let wrong = self.wrong.iter().filter(|part| **part != STATIC || release >= NEW);
        all.extend(wrong.map(|part| (Level::Wrong, *part)));
        let advice = self.advice.iter().filter(|part| **part != CUTS || release >= NEW);
        all.extend(advice.map(|part| (Level::Advice, *part)));
        all
    }
}

/// Its backend is in the file that flyball makes.
pub(crate) const OWNED: Shape = Shape {
    name: "the backend in flyball's file",
    text: FRONT,
    settings: |settings| {
        let lines = "balance leastconn\noption redispatch 1\nhttp-request set-header X-A \"b c\"";
        let (path, directory) = ("flyball.cfg".into(), "".into());
        settings.file = Some(OwnedFile { path, directory, lines: lines.to_owned() });
    },
    ..PLAIN
};

/// All of them.
pub(crate) fn shapes() -> impl Iterator<Item = &'static Shape> {
    servers::SHAPES.iter().chain(surroundings::SHAPES)
}
