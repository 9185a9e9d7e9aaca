//! The `[haproxy]` table.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::reader::{HAPROXY_NAMES, PATH, SOCKET, of_nothing, section};

section! {
    /// The HAProxy for services with `balancer = "haproxy"`.
    HaproxyKeys "haproxy" => pub Haproxy {
        /// The address of HAProxy's runtime API (`stats socket`, `level admin`) or of its master
        /// (`haproxy -S`): a path, `unix:///PATH` or `tcp://HOST:PORT` (the name is resolved for
        /// each connection), or in HAProxy's own notation: `unix@PATH`, `ipv4@IP:PORT`,
        /// `ipv6@IP:PORT`, `IP:PORT`.
        socket: Socket = SOCKET, default "\"/run/haproxy/admin.sock\"";
        /// The backends that labels may name. Labels may also name any backend that opts in with a
        /// disabled server called `flyball`: `server flyball 127.0.0.1:1 disabled`. Services in
        /// this file need neither.
        backends: BTreeSet<String> = HAPROXY_NAMES, default "[]";
        /// The directory that must contain every `file` of a backend. No link is followed on the
        /// way to such a file, not even above this directory.
        directory: PathBuf = PATH, default "\"/etc/haproxy\"";
    }
}

impl Default for Haproxy {
    fn default() -> Self {
        of_nothing(|keys: HaproxyKeys, _| keys.all())
    }
}

/// Where something listens that is on this machine or reached by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// A socket file.
    Unix(PathBuf),
    /// `HOST:PORT` over TCP; a name is looked up at each connection.
    Tcp(String),
}
