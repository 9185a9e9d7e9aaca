//! The file as a whole: its tables, and what only shows between them.
//!
//! Decides what counts as a configuration, which names a service may have and who may listen
//! where. Invariant: a configuration is returned only if nothing was reported.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;

use crate::fault::Fault;
use crate::fields::{Fields, Reports, join};
use crate::problem::{ConfigErrors, PROBLEMS_MAX, Place, Problem};
use crate::service::{Listening, service};
use crate::source::{Source, TEXT_MAX};
use crate::value::{Entry, Span, Table, Value, shorten, table_from};
use crate::{Config, Daemon, Env, Service, daemon, keys};

/// The configuration in `text`, with paths relative to `base`.
pub(crate) fn config(
    text: &str,
    name: &str,
    base: &Path,
    env: &Env,
) -> Result<Config, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source { name, text };
    if text.len() > TEXT_MAX {
        return Err(ConfigErrors::of_file(Fault::TooLarge, name));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What follows a broken line is guesswork, so nothing else is said about the file.
        return Err(sorted(source, syntax(source, &errors)));
    }
    let mut reports = Reports::default();
    let config = tables(table_from(table.into_inner()), base, env, &mut reports);
    match config {
        Some(config) if reports.faults.is_empty() => Ok(config),
        _ => Err(sorted(source, reports)),
    }
}

/// The parser's complaints, one for each line: the first one on a line leads to the others.
fn syntax(source: Source<'_>, errors: &[toml::de::Error]) -> Reports {
    let span_of = |error: &toml::de::Error| error.span().unwrap_or(0..0);
    let mut faults: Vec<_> = errors
        .iter()
        .map(|error| (Fault::Syntax { message: error.message().to_owned() }, span_of(error)))
        .collect();
    faults.sort_by_key(|(_, span)| span.start);
    faults.dedup_by(|(_, later), (_, earlier)| source.on_one_line(earlier.start, later.start));
    let shown = faults.iter().take(PROBLEMS_MAX).map(|(_, span)| span.clone());
    let secrets = shown.filter(|span| source.may_hold_secret(span)).collect();
    Reports { faults, secrets }
}

fn sorted(source: Source<'_>, mut reports: Reports) -> ConfigErrors {
    reports.faults.sort_by_key(|(_, span)| span.start);
    let more = reports.faults.len().saturating_sub(PROBLEMS_MAX);
    reports.faults.truncate(PROBLEMS_MAX);
    let problems = reports
        .faults
        .into_iter()
        .map(|(fault, span)| {
            let place = match fault {
                Fault::NoServices => Place::of_file(source.name),
                _ => source.place(&span, &reports.secrets),
            };
            Problem { fault, place }
        })
        .collect();
    ConfigErrors { problems, more }
}

fn tables(table: Table, base: &Path, env: &Env, reports: &mut Reports) -> Option<Config> {
    let mut root = Fields::new(&keys::ROOT, String::new(), 0..0, table, reports);
    let flyball_given = root.names().contains(&keys::FLYBALL_TABLE.name);
    let (daemon, daemon_span) = match root.take_table(&keys::FLYBALL_TABLE, &keys::FLYBALL) {
        Some(fields) => daemon::daemon(fields, base, env),
        None if flyball_given => (None, None),
        None => {
            let path = keys::FLYBALL.path.to_owned();
            daemon::daemon(root.child(&keys::FLYBALL, path, 0..0, Table::new()), base, env)
        }
    };
    let (services, listening) = services(&mut root, base);
    clashes(&mut root, daemon.as_ref(), daemon_span, &listening);
    root.finish();
    Some(Config { daemon: daemon?, services: services? })
}

type Services = (Option<BTreeMap<String, Service>>, Vec<(String, SocketAddr, Span)>);

/// All services, or `None` if one of them was refused; and where each listens.
fn services(root: &mut Fields<'_>, base: &Path) -> Services {
    let node = root.take_node(&keys::SERVICES_TABLE);
    let table = match node {
        Some(node) => match node.value {
            Value::Table(table) => table,
            _ => {
                let key = keys::SERVICES_TABLE.name.to_owned();
                let (found, wanted) = (node.show(), "a table".to_owned());
                let instead = Some("begin a service with [services.NAME]".to_owned());
                root.report(Fault::NotA { key, found, wanted, instead }, &node.span);
                return (None, Vec::new());
            }
        },
        None => Table::new(),
    };
    if table.is_empty() {
        root.report(Fault::NoServices, &(0..0));
        return (None, Vec::new());
    }
    let mut services = Some(BTreeMap::new());
    let mut listening = Vec::new();
    for (name, entry) in table {
        let (service, listens) = named(root, &name, entry, base);
        if let Some((address, span)) = listens {
            listening.push((join(keys::SERVICES_TABLE.name, &name), address, span));
        }
        match (service, &mut services) {
            (Some(service), Some(services)) => drop(services.insert(name, service)),
            _ => services = None,
        }
    }
    (services, listening)
}

fn named(
    root: &mut Fields<'_>,
    name: &str,
    entry: Entry,
    base: &Path,
) -> (Option<Service>, Listening) {
    let path = join(keys::SERVICES_TABLE.name, name);
    if !is_service_name(name) {
        root.report(Fault::BadName { name: shorten(name) }, &entry.key_span);
    }
    match entry.node.value {
        Value::Table(table) => {
            service(name, root.child(&keys::SERVICE, path, entry.key_span, table), base)
        }
        _ => {
            let (found, wanted) = (entry.node.show(), "a table".to_owned());
            let instead = Some("begin a service with [services.NAME]".to_owned());
            root.report(Fault::NotA { key: path, found, wanted, instead }, &entry.node.span);
            (None, None)
        }
    }
}

/// 1 to 63 of a-z, 0-9 and -, no - in front: fits a host name's part, a label and a file name.
fn is_service_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Reports every address that an earlier one, the daemon's first, leaves no room for.
fn clashes(
    root: &mut Fields<'_>,
    daemon: Option<&Daemon>,
    daemon_span: Option<Span>,
    listening: &[(String, SocketAddr, Span)],
) {
    let daemon = daemon.map(|daemon| ("flyball", daemon.listen, daemon_span.unwrap_or(0..0)));
    let services = listening.iter().map(|(path, at, span)| (path.as_str(), *at, span.clone()));
    let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
    for (path, address, span) in daemon.into_iter().chain(services) {
        if let Some((other, at)) = taken.iter().find(|(_, at)| clash(*at, address)) {
            let key = join(path, keys::LISTEN.name);
            let other = if *at == address {
                format!("{other}.listen")
            } else {
                format!("{other}.listen, {at}")
            };
            root.report(Fault::AddressTaken { key, address, other }, &span);
        }
        taken.push((path, address));
    }
}

/// Whether the two cannot be listened at together. `[::]` takes the port of every address, also of
/// the older kind, unless the system was told otherwise.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    let takes_all = |wide: std::net::IpAddr, narrow: std::net::IpAddr| {
        wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    a.port() == b.port()
        && a.port() != 0
        && (one == other || takes_all(one, other) || takes_all(other, one))
}
