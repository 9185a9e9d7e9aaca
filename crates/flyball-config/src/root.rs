//! The file as a whole, with checks across its tables. A configuration is returned only if nothing
//! was reported.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use crate::config_error::ConfigError;
use crate::problem::{ConfigErrors, PROBLEMS_MAX, Place};
use crate::reservations::{Claims, Owner, Reservations};
use crate::service::{is_service_name, service};
use crate::source::{Source, TEXT_MAX};
use crate::syntax::{Syntax, join};
use crate::systems;
use crate::table_reader::{Reports, TableReader};
use crate::value::{Entry, Span, Table, Value, table_from};
use crate::{Config, Engine, Env, Service, daemon, keys, proxy, zabbix};

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
        return Err(ConfigErrors::of_file(ConfigError::TooLarge, name));
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
        .map(|error| (ConfigError::Syntax { message: error.message().to_owned() }, span_of(error)))
        .collect();
    faults.sort_by_key(|(_, span)| span.start);
    faults.dedup_by(|(_, later), (_, earlier)| source.on_one_line(earlier.start, later.start));
    let shown = faults.iter().take(PROBLEMS_MAX).map(|(_, span)| span.clone());
    let secrets = shown.filter(|span| source.may_hold_secret(span)).collect();
    Reports { faults, secrets }
}

/// `reports` as problems, in the order of the file.
fn sorted(source: Source<'_>, reports: Reports) -> ConfigErrors {
    let secrets = reports.secrets;
    ConfigErrors::sorted(reports.faults, |fault, span| match fault {
        ConfigError::NoServices => Place::of_file(source.name),
        _ => source.place(span, &secrets),
    })
}

fn tables(table: Table, base: &Path, env: &Env, reports: &mut Reports) -> Option<Config> {
    let mut root = TableReader::new(&keys::ROOT, String::new(), 0..0, table, Syntax::File, reports);
    let daemon = root
        .take_table_or_empty(&keys::FLYBALL_TABLE, &keys::FLYBALL)
        .and_then(|fields| daemon::daemon(fields, base, env));
    let (docker, no_labels) = systems::docker(&mut root, base).unzip();
    let swarm = systems::swarm(&mut root, docker.as_ref(), base);
    let mesos = systems::mesos(&mut root, base);
    let marathon = systems::marathon(&mut root, base);
    let ha = systems::ha(&mut root);
    let proxy = proxy::proxy(&mut root);
    let haproxy = systems::haproxy(&mut root, base);
    let zabbix = zabbix::zabbix(&mut root, base);
    let mut taken = Reservations::below(haproxy.as_ref().map(|haproxy| haproxy.directory.clone()));
    if let Some(daemon) = &daemon {
        taken.claim_for_daemon(daemon);
    }
    let by_labels = docker.as_ref().is_none_or(|docker| docker.labels)
        || swarm.as_ref().is_none_or(|swarm| swarm.labels)
        || marathon.as_ref().is_none_or(|marathon| marathon.labels);
    let mut services = services(&mut root, base, &mut taken, by_labels);
    if let (Some(Some(zabbix)), Some(services)) = (&zabbix, &mut services) {
        services.values_mut().for_each(|service| zabbix.widen_window(&mut service.policy));
    }
    if let (Some(Some((_, span))), Some(services)) = (&ha, &services) {
        refuse_processes(&mut root, services, span);
    }
    if let (Some(Some(span)), Some(services)) = (&no_labels, &services) {
        refuse_adoption(&mut root, services, span);
    }
    root.finish();
    Some(Config {
        daemon: daemon?,
        docker: docker?,
        swarm: swarm?,
        mesos: mesos?,
        marathon: marathon?,
        ha: ha?.map(|(ha, _)| ha),
        proxy: proxy?,
        haproxy: haproxy?,
        zabbix: zabbix?,
        services: services?,
    })
}

/// All services, or `None` if one of them was refused. There may be none if `by_labels`.
fn services(
    root: &mut TableReader<'_>,
    base: &Path,
    taken: &mut Reservations,
    by_labels: bool,
) -> Option<BTreeMap<String, Service>> {
    let table = match root.take_node(&keys::SERVICES_TABLE) {
        Some(node) => match node.value {
            Value::Table(table) => table,
            _ => {
                let key = keys::SERVICES_TABLE.name.to_owned();
                root.report(not_a_table(key, node.show()), &node.span);
                return None;
            }
        },
        None => Table::new(),
    };
    if table.is_empty() && !by_labels {
        root.report(ConfigError::NoServices, &(0..0));
        return None;
    }
    let mut services = Some(BTreeMap::new());
    for (name, entry) in table {
        let path = join(keys::SERVICES_TABLE.name, &name);
        let (service, claims) = named(root, &name, &path, entry, base);
        let owner = Owner { service: name.clone(), path, syntax: Syntax::File };
        for (fault, span) in taken.claim(&owner, claims) {
            root.report(fault, &span);
        }
        match (service, &mut services) {
            (Some(service), Some(services)) => drop(services.insert(name, service)),
            _ => services = None,
        }
    }
    services
}

/// Processes end with the flyball that started them: no other one could take them over.
fn refuse_processes(root: &mut TableReader<'_>, services: &BTreeMap<String, Service>, ha: &Span) {
    for (name, service) in services {
        if matches!(service.engine, Engine::Process(_)) {
            let fault = ConfigError::NotA {
                key: format!("{}.{name}.engine", keys::SERVICES_TABLE.name),
                found: "\"process\"".to_owned(),
                wanted: "an engine that several flyballs can share".to_owned(),
                instead: Some(
                    "remove [ha]: processes end with the flyball that started them".to_owned(),
                ),
            };
            root.report(fault, ha);
        }
    }
}

/// Who is adopted says by a label to which service it belongs.
fn refuse_adoption(
    root: &mut TableReader<'_>,
    services: &BTreeMap<String, Service>,
    labels: &Span,
) {
    let adopts = |service: &&Service| matches!(&service.engine, Engine::Docker(c) if c.adopt);
    for service in services.values().filter(adopts) {
        let fault = ConfigError::Useless {
            key: format!("{}.{}.adopt", keys::SERVICES_TABLE.name, service.name),
            beside: "labels = false in [docker], which ignores all labels".to_owned(),
            instead: "remove one of the two".to_owned(),
        };
        root.report(fault, labels);
    }
}

fn named(
    root: &mut TableReader<'_>,
    name: &str,
    path: &str,
    entry: Entry,
    base: &Path,
) -> (Option<Service>, Claims) {
    if !is_service_name(name) {
        root.report(ConfigError::BadName { key: path.to_owned() }, &entry.key_span);
    }
    match entry.node.value {
        Value::Table(table) => {
            service(name, root.child(&keys::SERVICE, path.to_owned(), entry.key_span, table), base)
        }
        _ => {
            root.report(not_a_table(path.to_owned(), entry.node.show()), &entry.node.span);
            (None, Claims::default())
        }
    }
}

fn not_a_table(key: String, found: String) -> ConfigError {
    let instead = Some("start a service with [services.NAME]".to_owned());
    ConfigError::NotA { key, found, wanted: "a table".to_owned(), instead }
}
