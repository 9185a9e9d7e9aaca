//! Checks of the backend as the socket shows it. Whether it accepts servers is tested with a
//! command that HAProxy must refuse: without an address, or with an unknown word. Such a command
//! changes nothing.

use flyball_core::units::ReplicaId;
use flyball_engine::Hint as _;

use crate::beside;
use crate::error::HaproxyError;
use crate::finding::{Edit, Finding};
use crate::mark;
use crate::settings::{HaproxySettings, TemplateServers};
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
                "backend `{}` keeps clients on a server by a cookie, which servers added at run \
                 time do not have",
                settings.backend
            ),
            vec![Edit::Remove { section, line }],
        ));
    }
    findings.extend(
        settings
            .template_servers
            .as_ref()
            .and_then(|s| template_count(settings, s, snapshot, title)),
    );
    findings.extend(asks(settings, snapshot, title));
    let template_servers = settings.template_servers.as_ref();
    let ours = beside::ours(snapshot, template_servers);
    findings.extend(ours.filter_map(|(name, server)| down(name, server)));
    findings.extend(others(settings, snapshot));
    findings
}

/// Whether the backend's own configuration asks for flyball.
fn asks(settings: &HaproxySettings, snapshot: &Snapshot, title: &str) -> Option<Finding> {
    let backend = &settings.backend;
    if beside::asks(snapshot) {
        return Some(Finding::well(format!("backend `{backend}` opts in to flyball")));
    }
    settings.must_ask.then(|| {
        let error = HaproxyError::NotAsked { backend: backend.clone() };
        let line = format!("server {} 127.0.0.1:1 disabled", beside::MARKER);
        let edits = vec![Edit::Add { section: title.to_owned(), line }];
        Finding { hint: error.hint(), ..Finding::wrong(error.to_string(), edits) }
    })
}

/// Servers that the operator wrote by hand.
fn others(settings: &HaproxySettings, snapshot: &Snapshot) -> Vec<Finding> {
    let template_servers = settings.template_servers.as_ref();
    let (spare, sharing): (Vec<_>, Vec<_>) =
        beside::others(snapshot, template_servers).partition(|(_, server)| server.is_backup);
    let said = |servers: Vec<(&str, &Server)>, what: String| {
        let names: Vec<&str> = servers.into_iter().map(|(name, _)| name).collect();
        let names = (!names.is_empty()).then(|| names.join(", "))?;
        Some(Finding::well(format!("servers that flyball does not touch, {what}: {names}")))
    };
    let weight = beside::weight(snapshot, template_servers, settings.server_options.weight);
    let share =
        format!("whose requests it counts, and whose weight its own servers get ({weight})");
    let spares = "and whose requests it counts".to_owned();
    said(sharing, share).into_iter().chain(said(spare, spares)).collect()
}

fn down(name: &str, server: &Server) -> Option<Finding> {
    let why = server.fault.as_ref()?.why();
    let hint = "fix what it answers, or change what HAProxy's check requests (`option httpchk`)";
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
            format!("{said}, which ignores how busy a server is"),
            vec![leastconn(title)],
        )),
        "first" if settings.server_options.slots.is_none() => Some(Finding::advice(
            format!("{said}, which sends everything to one server unless it has a limit"),
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
    snapshot: &Snapshot,
    wire: &Wire,
    title: &str,
) -> Option<Finding> {
    let (backend, mode) = (&settings.backend, snapshot.backend.mode);
    let server = format!("add server {backend}/{}", mark::server_name(&ReplicaId::new("probe")));
    let said = wire.ask(&server).await.ok()?;
    if said.starts_with(STATIC) {
        let what =
            format!("backend `{backend}` does not accept servers at run time with this algorithm");
        return Some(Finding::wrong(what, vec![leastconn(title)]));
    }
    if !said.contains(NO_ADDRESS) {
        // Nothing follows from words that are not known.
        return None;
    }
    let line = settings.server_options.line(mode);
    let said = wire.ask(&format!("{server} 127.0.0.1:1 {line} {NO_WORD}")).await.ok()?;
    if said.contains(UNKNOWN_WORD) {
        return Some(Finding::well(format!("backend `{backend}` accepts servers with: {line}")));
    }
    let first = said.trim().lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    let what = format!("HAProxy accepts no server with the options `{line}`: {first}");
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

fn template_count(
    settings: &HaproxySettings,
    template_servers: &TemplateServers,
    snapshot: &Snapshot,
    title: &str,
) -> Option<Finding> {
    let found = snapshot.servers.keys().filter(|name| template_servers.has(name)).count();
    if u32::try_from(found) == Ok(template_servers.count) {
        return None;
    }
    let TemplateServers { prefix, count } = template_servers;
    let options = settings.server_options.line(snapshot.backend.mode);
    let line = format!("server-template {prefix} {count} 127.0.0.1:1 {options} disabled");
    let (section, old) = (title.to_owned(), format!("server-template {prefix}"));
    let what = format!("the backend has {found} of the {count} template servers `{prefix}1`...");
    Some(Finding::wrong(what, vec![Edit::Replace { section, old, line }]))
}
