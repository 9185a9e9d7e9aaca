//! A HAProxy of a test's own, on 127.0.0.1.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Place, free_port, installed, until};

/// A HAProxy with a backend `web`, which ends with the test.
pub(crate) struct Haproxy {
    child: Child,
    /// Where requests come in.
    pub(crate) front: SocketAddr,
}

impl Haproxy {
    /// With `lines` in its backend; `None` without HAProxy.
    pub(crate) fn start(place: &Place, lines: &str) -> Option<Self> {
        Self::start_at(place, free_port(), lines)
    }

    /// The same with its front at `port`.
    pub(crate) fn start_at(place: &Place, port: u16, lines: &str) -> Option<Self> {
        let program = installed("haproxy", "haproxy")?;
        let socket = Self::socket(place);
        let text = format!(
            "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n\
             \x20 timeout connect 2s\n  timeout client 9s\n  timeout server 9s\n\
             frontend www\n  bind 127.0.0.1:{}\n  default_backend web\nbackend web\n{lines}",
            socket.display(),
            port,
        );
        let config = place.write("haproxy.cfg", &text);
        let log = File::create(place.path().join("haproxy.log")).unwrap();
        let mut command = Command::new(program);
        command.args(["-db", "-q", "-f"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(log).spawn().unwrap();
        let haproxy = Self { child, front: SocketAddr::from(([127, 0, 0, 1], port)) };
        until("HAProxy's socket", || UnixStream::connect(&socket).ok());
        Some(haproxy)
    }

    /// Its socket at `place`.
    pub(crate) fn socket(place: &Place) -> PathBuf {
        place.path().join("admin.sock")
    }

    /// What it answers to a command.
    pub(crate) fn ask(place: &Place, command: &str) -> String {
        let mut stream = UnixStream::connect(Self::socket(place)).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
