//! One change of one server: HAProxy's command, and what its answer means.
//!
//! An answer that is not known to mean success is an error that shows the answer.

use std::net::SocketAddr;

use crate::error::{HaproxyError, shown};
use crate::settings::{HaproxySettings, Mode};
use crate::stat::NO_BACKEND;

/// What is to be done to the server `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) what: What,
}

/// One thing that can be done to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Make it under a number that no other server of the backend has, and give it requests.
    Add { address: SocketAddr, id: u32, weight: u16 },
    /// Make it the backup of the backend.
    AddBackup(SocketAddr),
    /// Give it another address. Through maintenance, which closes idle connections to the old one.
    Move(SocketAddr),
    /// Give it requests again.
    Ready,
    /// Use it although it answers errors.
    Spare,
    /// Do not use it although its check passes.
    Hold,
    /// Give it no more requests.
    Drain,
    /// Delete it; it has no requests any more.
    Delete,
    /// Free its template server; it has no requests any more.
    Vacate,
    /// Break the connections that it still has.
    Cut,
    /// Give it another share of the requests.
    Weigh(u16),
}

/// What came of a change that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Something is in the way that resolves itself; the next look decides again.
    Later,
}

const ADDED: &str = "New server registered.";
const DELETED: &str = "Server deleted.";
/// A server of this name was created or deleted externally since the look.
const OVERTAKEN: [&str; 2] =
    ["Already exists a server with the same name in backend.", "No such server."];
const CONNECTED: &str = "Server still has connections attached to it, cannot remove it.";
const MOVED: &str = "by 'stats socket command'";
/// The number was taken externally since the look.
const NUMBER_TAKEN: [&str; 2] = ["'id' : custom id ", " already used at "];

impl Change {
    /// The commands for a backend of this mode, in one line.
    pub(crate) fn commands(&self, settings: &HaproxySettings, mode: Mode) -> String {
        let (backend, options) = (&settings.backend, &settings.server_options);
        let server = format!("{backend}/{}", self.name);
        let set = |state: &str| format!("set server {server} state {state}");
        match self.what {
            What::Add { address, id, weight } => {
                let enable = |what: &str, yes| {
                    if yes { format!("enable {what} {server};") } else { String::new() }
                };
                let line = options.weighing(weight).line(mode);
                let health = enable("health", options.is_checked(mode));
                let agent = enable("agent", options.has_agent());
                format!(
                    "add server {server} {address} id {id} {line};{health}{agent}{}",
                    set("ready")
                )
            }
            What::AddBackup(address) => {
                format!("add server {server} {address} backup;{}", set("ready"))
            }
            What::Move(address) => {
                let (ip, port) = (address.ip(), address.port());
                let to = format!("set server {server} addr {ip} port {port}");
                format!("{};{to};{}", set("maint"), set("ready"))
            }
            What::Ready => set("ready"),
            What::Spare => format!("set server {server} health up"),
            What::Hold => format!("set server {server} health down"),
            What::Drain => set("drain"),
            What::Delete => format!("{};del server {server}", set("maint")),
            What::Vacate => set("maint"),
            What::Cut => format!("shutdown sessions server {server}"),
            What::Weigh(weight) => format!("set server {server} weight {weight}"),
        }
    }

    /// What `answer` to [`Change::commands`] means.
    pub(crate) fn judge(
        &self,
        settings: &HaproxySettings,
        mode: Mode,
        answer: &str,
    ) -> Result<Outcome, HaproxyError> {
        let lines: Vec<&str> = answer.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let first = lines.first().copied().unwrap_or("");
        match (&self.what, &lines[..]) {
            (What::Add { .. } | What::AddBackup(_), [ADDED]) | (What::Delete, [DELETED]) => {
                Ok(Outcome::Done)
            }
            (What::Move(_), [said]) if said.ends_with(MOVED) => Ok(Outcome::Done),
            (What::Ready | What::Spare | What::Hold | What::Weigh(_), [])
            | (What::Drain | What::Vacate | What::Cut, []) => Ok(Outcome::Done),
            (What::Delete, [CONNECTED]) => Ok(Outcome::Later),
            _ if OVERTAKEN.contains(&first) => Ok(Outcome::Later),
            (What::Add { .. }, _) if NUMBER_TAKEN.iter().all(|part| first.contains(part)) => {
                Ok(Outcome::Later)
            }
            _ => Err(self.refusal(settings, mode, first, answer)),
        }
    }

    fn refusal(
        &self,
        settings: &HaproxySettings,
        mode: Mode,
        first: &str,
        answer: &str,
    ) -> HaproxyError {
        let backend = settings.backend.clone();
        if first == "Permission denied" {
            return HaproxyError::NotAdmin { socket: settings.socket.clone() };
        }
        if first.starts_with("Backend must use a dynamic load balancing") {
            return HaproxyError::StaticAlgorithm { backend };
        }
        if NO_BACKEND.contains(&first) {
            return HaproxyError::NoBackend { backend };
        }
        HaproxyError::Unexpected { command: self.commands(settings, mode), answer: shown(answer) }
    }
}

#[cfg(test)]
mod tests {
    use flyball_engine::Hint as _;

    use super::*;
    use crate::settings::ServerOptions;
    use crate::socket::Socket;

    fn settings() -> HaproxySettings {
        HaproxySettings::new(Socket::Unix("/a.sock".into()), "web")
    }

    fn change(what: What) -> Change {
        Change { name: "fb-web-1".to_owned(), what }
    }

    fn judged(what: What, answer: &str) -> Result<Outcome, String> {
        change(what).judge(&settings(), Mode::Http, answer).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_is_on_the_add_line() {
        let words = "ssl verify none agent-check agent-port 9".to_owned();
        let server_options =
            ServerOptions { slots: Some(4), words, weight: 100, ..ServerOptions::default() };
        let settings = HaproxySettings { server_options, ..settings() };
        let address = "[::1]:8080".parse().unwrap();
        let commands = |what, mode| change(what).commands(&settings, mode);
        let add = || What::Add { address, id: 1_001, weight: 100 };
        assert_eq!(
            commands(add(), Mode::Http),
            "add server web/fb-web-1 [::1]:8080 id 1001 weight 100 check inter 2s rise 2 fall 3 \
             observe layer7 error-limit 10 on-error mark-down maxconn 4 ssl verify none \
             agent-check agent-port 9;enable health web/fb-web-1;enable agent web/fb-web-1;\
             set server web/fb-web-1 state ready"
        );
        let tcp = commands(add(), Mode::Tcp);
        assert!(!tcp.contains("observe") && !tcp.contains("enable health"), "{tcp}");
        assert_eq!(
            commands(What::Move(address), Mode::Http),
            "set server web/fb-web-1 state maint;set server web/fb-web-1 addr ::1 port 8080;\
             set server web/fb-web-1 state ready"
        );
    }

    #[test]
    fn only_known_words_mean_success() {
        let address = "127.0.0.1:1".parse().unwrap();
        let add = || What::Add { address, id: 1_001, weight: 100 };
        assert_eq!(judged(add(), "New server registered.\n\n\n"), Ok(Outcome::Done));
        assert_eq!(judged(What::Drain, "\n"), Ok(Outcome::Done));
        assert_eq!(judged(What::Delete, "\nServer deleted.\n"), Ok(Outcome::Done));
        assert_eq!(
            judged(
                What::Move(address),
                "no need to change the addr, port changed from '1' to '2' by 'stats socket command'\n\n"
            ),
            Ok(Outcome::Done)
        );
        let attached = "Server still has connections attached to it, cannot remove it.\n";
        assert_eq!(judged(What::Delete, attached), Ok(Outcome::Later));
        let taken = "Already exists a server with the same name in backend.\n\n\n";
        assert_eq!(judged(add(), taken), Ok(Outcome::Later));
        let number = "'id' : custom id 1001 already used at (null):0 ('server other').\n\n";
        assert_eq!(judged(add(), number), Ok(Outcome::Later));
        for (what, answer) in [
            (add(), "New server registered.\nSomething else.\n"),
            (add(), "\n"),
            (What::Drain, "New weather.\n"),
            (What::Delete, "Only servers in maintenance mode can be deleted.\n"),
        ] {
            let said = judged(what, answer).unwrap_err();
            assert!(
                said.contains(&format!("answered `{}`", answer.trim().replace('\n', "\\n"))),
                "{said}"
            );
        }
    }

    #[test]
    fn an_answer_can_neither_begin_a_line_of_a_log_nor_colour_a_terminal() {
        let said = judged(What::Drain, "no\x1b[31m\n2026-01-01 ERROR all is lost\n").unwrap_err();
        assert!(said.contains("answered `no\\u{1b}[31m\\n2026-01-01 ERROR"), "{said}");
    }

    #[test]
    fn known_refusals_come_with_the_line_to_add() {
        let add =
            change(What::Add { address: "127.0.0.1:1".parse().unwrap(), id: 1_001, weight: 100 });
        let hint =
            |answer: &str| add.judge(&settings(), Mode::Http, answer).unwrap_err().hint().unwrap();
        assert!(
            hint("Permission denied\n\n").contains("stats socket /a.sock mode 660 level admin")
        );
        assert!(
            hint("Backend must use a dynamic load balancing to support dynamic servers.\n")
                .contains("balance leastconn")
        );
        assert!(hint("No such backend.\n").contains("backend web"));
    }
}
