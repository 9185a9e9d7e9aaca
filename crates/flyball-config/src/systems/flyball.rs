//! The `[flyball]` table. Other machines may reach the API only with a token that can be read and
//! is not empty. The token itself is not kept here.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::reader::{ADDRESS, IP, PATH, Reports, TOKEN_FILE, section};

section! {
    /// The daemon itself.
    DaemonKeys "flyball" => pub Daemon {
        /// The address of the API and the dashboard. Any address other than loopback requires
        /// `token_file`.
        listen: SocketAddr = ADDRESS, default "\"127.0.0.1:7878\"";
        /// The state directory, which holds the journal. It belongs to flyball alone, and flyball
        /// makes it private.
        state_dir: PathBuf = PATH, state_dir
            "`/var/lib/flyball` for root, otherwise `$XDG_STATE_HOME/flyball` or `~/.local/state/flyball`";
        /// A file with the secret that API calls must present to change anything, also on loopback.
        /// It is read again when it changes. Without it, every client on loopback may make changes,
        /// unless the call was forwarded by a proxy that says so.
        token_file: Option<PathBuf> = TOKEN_FILE, optional "no token";
        /// A file with a second secret, for clients that may only read. If it is set, reading
        /// requires one of the two.
        read_token_file: Option<PathBuf> = TOKEN_FILE, optional "every client may read";
        /// An address on which flyball takes requests of all services that have a `host`, by their
        /// `Host` header: for Traefik, Caddy, nginx and others, as their fallback or their only
        /// upstream. Requests for a service without a ready replica wait here.
        activator: Option<SocketAddr> = ADDRESS, optional "no such address";
        /// The IP address at which HAProxy reaches this flyball's activators, where that is not the
        /// one they listen on: HAProxy on another machine or in another container.
        activator_address: Option<IpAddr> = IP, optional "the address listened on";
    }
}

impl DaemonKeys {
    pub(crate) fn daemon(self, reports: &mut Reports) -> Option<Daemon> {
        if let Some((address, _)) = self.listen.given()
            && !address.ip().to_canonical().is_loopback()
            && self.token_file.is_absent()
        {
            let what =
                format!("{address} can be reached from other machines, but token_file is not set");
            let instead = "listen on 127.0.0.1, or set token_file to a file that holds a secret";
            self.listen.refuse(&what, instead, reports);
        }
        self.all()
    }
}
