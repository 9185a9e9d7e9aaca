//! The backend as the socket shows it.
//!
//! Decides whether it takes servers by having HAProxy refuse one: a command without an address, or
//! with a word that does not exist, is read up to that point and changes nothing. Invariant: that of
//! the doctor.

use flyball_core::units::ReplicaId;

use crate::finding::{Edit, Finding};
use crate::mark;
use crate::settings::{HaproxySettings, Mode, Slots};
use crate::stat::{Server, Snapshot};
use crate::wire::Wire;

/// A word that no server has.
const NO_WORD: &str = "flyball-asks";
/// What HAProxy says of it once it has taken all before.
const UNKNOWN_WORD: &str = "unknown keyword 'flyball-asks'";
/// What it says to a server without an address where servers can be made.
const NO_ADDRESS: &str = "expects <name> and <addr>";
const STATIC: &str = "Backend must use a dynamic load balancing";

pub(super) fn look_at(
    settings: &HaproxySettings,
    snapshot: &Snapshot,
    title: &str,
) -> Vec<Finding> {
    let mut findings = vec![Finding::well(format!("backend `{}` exists", settings.backend))];
    findings.extend(algorithm(settings, &snapshot.backend.algorithm, title));
    if !snapshot.backend.cookie.is_empty() {
        let (section, line) = (title.to_owned(), "cookie".to_owned());
        findings.push(Finding::wrong(
            format!(
                "backend `{}` keeps clients by a cookie, which servers made at run time do not have",
                settings.backend
            ),
            vec![Edit::Remove { section, line }],
        ));
    }
    findings.extend(settings.slots.as_ref().and_then(|s| slot_count(settings, s, snapshot, title)));
    let is_ours = |name: &str| match &settings.slots {
        Some(slots) => slots.has(name),
        None => mark::replica(name).is_some(),
    };
    let (ours, foreign): (Vec<_>, Vec<_>) =
        snapshot.servers.iter().partition(|(name, _)| is_ours(name));
    findings.extend(ours.into_iter().filter_map(|(name, server)| down(name, server)));
    if !foreign.is_empty() {
        let foreign: Vec<&str> = foreign.into_iter().map(|(name, _)| name.as_str()).collect();
        findings.push(Finding::well(format!(
            "servers that flyball does not touch, and whose requests it counts: {}",
            foreign.join(", ")
        )));
    }
    findings
}

fn down(name: &str, server: &Server) -> Option<Finding> {
    let why = server.fault.as_ref()?.why();
    let hint = "mend what it answers, or what HAProxy's check asks for (`option httpchk`)";
    Some(Finding::wrong(format!("server `{name}` is down: {why}"), Vec::new()).with_hint(hint))
}

/// `algorithm` is what the socket calls it: `unknown` is `random`, and no other.
fn algorithm(settings: &HaproxySettings, algorithm: &str, title: &str) -> Option<Finding> {
    let name = if algorithm == "unknown" { "random" } else { algorithm };
    let said = format!("backend `{}` uses `balance {name}`", settings.backend);
    match name {
        // Not visible below level operator, which has been said.
        "" => None,
        "roundrobin" => Some(Finding::advice(
            format!("{said}, which does not look at how busy a server is"),
            vec![leastconn(title)],
        )),
        "first" if settings.server_options.slots.is_none() => Some(Finding::advice(
            format!("{said}, which sends everything to one server unless that has a limit"),
            vec![Edit::Flyball { key: "slots", value: "32".to_owned() }],
        )),
        _ => Some(Finding::well(said)),
    }
}

fn leastconn(title: &str) -> Edit {
    let (old, line) = ("balance".to_owned(), "balance leastconn".to_owned());
    Edit::Replace { section: title.to_owned(), old, line }
}

/// Whether HAProxy would make a server, and one with these options.
pub(super) async fn try_out(
    settings: &HaproxySettings,
    mode: Mode,
    wire: &Wire,
    title: &str,
) -> Option<Finding> {
    let backend = &settings.backend;
    let server = format!("add server {backend}/{}", mark::server_name(&ReplicaId::new("probe")));
    let said = wire.ask(&server).await.ok()?;
    if said.starts_with(STATIC) {
        let what = format!("backend `{backend}` takes no servers at run time with this algorithm");
        return Some(Finding::wrong(what, vec![leastconn(title)]));
    }
    if !said.contains(NO_ADDRESS) {
        // Nothing follows from words that are not known.
        return None;
    }
    let line = settings.server_options.line(mode);
    let said = wire.ask(&format!("{server} 127.0.0.1:1 {line} {NO_WORD}")).await.ok()?;
    if said.contains(UNKNOWN_WORD) {
        return Some(Finding::well(format!("backend `{backend}` takes servers with: {line}")));
    }
    let first = said.trim().lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    let what = format!("HAProxy takes no server with the options `{line}`: {first}");
    let hint =
        match settings.server_options.file_word().filter(|_| first.contains("unable to load")) {
            Some(file) => {
                let words = format!("default-server {file}");
                let (section, line) = (title.to_owned(), words);
                return Some(Finding::wrong(what, vec![Edit::Add { section, line }]));
            }
            None => "change `haproxy.options`",
        };
    Some(Finding::wrong(what, Vec::new()).with_hint(hint))
}

fn slot_count(
    settings: &HaproxySettings,
    slots: &Slots,
    snapshot: &Snapshot,
    title: &str,
) -> Option<Finding> {
    let found = snapshot.servers.keys().filter(|name| slots.has(name)).count();
    if u32::try_from(found) == Ok(slots.count) {
        return None;
    }
    let Slots { prefix, count } = slots;
    let options = settings.server_options.line(snapshot.backend.mode);
    let line = format!("server-template {prefix} {count} 127.0.0.1:1 {options} disabled");
    let (section, old) = (title.to_owned(), format!("server-template {prefix}"));
    let what = format!("the backend has {found} of the {count} slots `{prefix}1`...");
    Some(Finding::wrong(what, vec![Edit::Replace { section, old, line }]))
}
