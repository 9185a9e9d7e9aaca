//! The file as a whole, with checks across its tables. A configuration is returned only if nothing
//! was reported.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use crate::reader::{
    ConfigError, ConfigErrors, Field, Form, Key, Keys, Kind, Node, PROBLEMS_MAX, Place, Read,
    Reports, Source, Span, Surroundings, Syntax, TEXT_MAX, TableReader, Value, join, section,
    table, table_from,
};
use crate::reservations::{Owner, Reservations};
use crate::service::{Engine, Service, ServiceKeys, is_service_name, service};
use crate::systems::{
    DaemonKeys, DockerKeys, HaKeys, HaproxyKeys, MarathonKeys, MesosKeys, Notify, NotifyKeys,
    ProxyKeys, SwarmKeys, ZabbixKeys, docker, marathon, swarm,
};
use crate::{Config, Env};

section! {
    RootKeys "" {
        flyball: DaemonKeys = table::<DaemonKeys>(), implied "all defaults";
        docker: DockerKeys = table::<DockerKeys>(), implied "no labels";
        swarm: SwarmKeys = table::<SwarmKeys>(), implied "no labels";
        mesos: MesosKeys = table::<MesosKeys>(), implied "all defaults";
        marathon: MarathonKeys = table::<MarathonKeys>(), implied "no labels";
        ha: Option<HaKeys> = table::<HaKeys>(), optional "one flyball";
        proxy: ProxyKeys = table::<ProxyKeys>(), implied "all defaults";
        haproxy: HaproxyKeys = table::<HaproxyKeys>(), implied "all defaults";
        zabbix: Option<ZabbixKeys> = table::<ZabbixKeys>(), optional "nothing is reported";
        notify: BTreeMap<String, Option<NotifyKeys>> = TARGETS, empty "nobody is told";
        services: BTreeMap<String, Option<ServiceKeys>> = SERVICES, empty "services by labels";
    }
}

/// Tables of services by name; `None` for what is no table, which has been reported.
const SERVICES: Kind<BTreeMap<String, Option<ServiceKeys>>> =
    Kind { form: Form::Table(ServiceKeys::SECTION), read: Read::Node(named) };

/// Tables of targets by name; `None` for what is no table, which has been reported.
const TARGETS: Kind<BTreeMap<String, Option<NotifyKeys>>> =
    Kind { form: Form::Table(NotifyKeys::SECTION), read: Read::Node(named) };

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
    let around = Surroundings { syntax: Syntax::File, base, env };
    let table = table_from(table.into_inner());
    let keys: RootKeys = TableReader::read_all(String::new(), 0..0, table, around, &mut reports);
    let config = of_keys(keys, &mut reports);
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

fn of_keys(keys: RootKeys, reports: &mut Reports) -> Option<Config> {
    let daemon = keys.flyball.value.as_ref();
    let listen = daemon.and_then(|keys| keys.listen.value);
    let activator = daemon.and_then(|keys| keys.activator.value.flatten());
    let daemon = keys.flyball.value.and_then(|keys| keys.daemon(reports));
    let (docker, no_labels) = docker(keys.docker).unzip();
    let swarm = swarm(keys.swarm, docker.as_ref());
    let mesos = keys.mesos.value.and_then(|keys| keys.mesos(reports));
    let marathon = marathon(keys.marathon, reports);
    let proxy = keys.proxy.value.and_then(|keys| keys.proxy(reports));
    let haproxy = keys.haproxy.value.and_then(HaproxyKeys::all);
    let zabbix = optional(keys.zabbix.value, |keys: ZabbixKeys| keys.zabbix(reports));
    let notify = keys.notify.value.and_then(|tables| targets(tables, reports));
    let mut taken = Reservations::below(haproxy.as_ref().map(|haproxy| haproxy.directory.clone()));
    for (key, address) in [("flyball.listen", listen), ("flyball.activator", activator)] {
        if let Some(address) = address {
            taken.claim_for_daemon(key, address);
        }
    }
    let by_labels = docker.as_ref().is_none_or(|docker| docker.labels)
        || swarm.as_ref().is_none_or(|swarm| swarm.labels)
        || marathon.as_ref().is_none_or(|marathon| marathon.labels);
    let mut services = services(&keys.services, &mut taken, by_labels, reports);
    if let (Some(Some(zabbix)), Some(services)) = (&zabbix, &mut services) {
        services.values_mut().for_each(|service| zabbix.widen_window(&mut service.policy));
    }
    if let (Some(span), Some(services)) = (&keys.ha.span, &services) {
        refuse_processes(reports, services, span);
    }
    if let (Some(Some(span)), Some(services)) = (&no_labels, &services) {
        refuse_adoption(reports, services, span);
    }
    Some(Config {
        daemon: daemon?,
        docker: docker?,
        swarm: swarm?,
        mesos: mesos?,
        marathon: marathon?,
        ha: optional(keys.ha.value, HaKeys::all)?,
        proxy: proxy?,
        haproxy: haproxy?,
        zabbix: zabbix?,
        notify: notify?,
        services: services?,
    })
}

/// What `done` makes of a table that may be absent; `None` if any of it was refused.
fn optional<K, T>(keys: Option<Option<K>>, done: impl FnOnce(K) -> Option<T>) -> Option<Option<T>> {
    match keys? {
        Some(keys) => done(keys).map(Some),
        None => Some(None),
    }
}

/// All targets, or `None` if one of them was refused.
fn targets(
    tables: BTreeMap<String, Option<NotifyKeys>>,
    reports: &mut Reports,
) -> Option<BTreeMap<String, Notify>> {
    // Each is read, so that everything wrong is reported at once.
    let all: Vec<_> = tables
        .into_iter()
        .map(|(name, keys)| Some((name, keys.and_then(|keys| keys.notify(reports))?)))
        .collect();
    all.into_iter().collect()
}

/// All services, or `None` if one of them was refused. There may be none if `by_labels`.
fn services(
    tables: &Field<BTreeMap<String, Option<ServiceKeys>>>,
    taken: &mut Reservations,
    by_labels: bool,
    reports: &mut Reports,
) -> Option<BTreeMap<String, Service>> {
    let tables = tables.value.as_ref()?;
    if tables.is_empty() && !by_labels {
        reports.add(ConfigError::NoServices, &(0..0));
        return None;
    }
    let mut services = Some(BTreeMap::new());
    for (name, keys) in tables {
        let made = keys.as_ref().and_then(|keys| {
            let (service, claims) = service(name, keys, reports);
            let owner = Owner { service: name, syntax: Syntax::File };
            reports.faults.extend(taken.claim(owner, claims));
            service
        });
        match (made, &mut services) {
            (Some(service), Some(services)) => drop(services.insert(name.clone(), service)),
            _ => services = None,
        }
    }
    services
}

fn named<K: Keys>(
    root: &mut TableReader<'_>,
    key: &'static Key,
    node: Node,
) -> Option<BTreeMap<String, Option<K>>> {
    let found = node.show();
    let Value::Table(table) = node.value else {
        root.reports.add(not_a_table::<K>(key.name, &found), &node.span);
        return None;
    };
    let mut tables = BTreeMap::new();
    for (name, entry) in table {
        let path = join(key.name, &name);
        if !is_service_name(&name) {
            root.reports.add(ConfigError::bad_name(&path), &entry.key_span);
        }
        let found = entry.node.show();
        let keys = match entry.node.value {
            Value::Table(table) => {
                Some(TableReader::read_all(path, entry.key_span, table, root.around, root.reports))
            }
            _ => {
                root.reports.add(not_a_table::<K>(&path, &found), &entry.node.span);
                None
            }
        };
        tables.insert(name, keys);
    }
    Some(tables)
}

fn not_a_table<K: Keys>(path: &str, found: &str) -> ConfigError {
    let section = K::SECTION.path;
    let what = if section == ServiceKeys::SECTION.path { "service" } else { "target" };
    let instead = format!("start a {what} with [{section}]");
    ConfigError::not_a(path, found, "a table", instead)
}

/// Processes end with the flyball that started them: no other one could take them over.
fn refuse_processes(reports: &mut Reports, services: &BTreeMap<String, Service>, ha: &Span) {
    for (name, service) in services {
        if matches!(service.engine, Engine::Process(_)) {
            let (key, wanted) =
                (format!("services.{name}.engine"), "an engine that several flyballs can share");
            let instead =
                "remove [ha]: processes end with the flyball that started them".to_owned();
            reports.add(ConfigError::not_a(&key, "\"process\"", wanted, instead), ha);
        }
    }
}

/// Who is adopted says by a label to which service it belongs.
fn refuse_adoption(reports: &mut Reports, services: &BTreeMap<String, Service>, labels: &Span) {
    let adopts = |service: &&Service| matches!(&service.engine, Engine::Docker(c) if c.adopt);
    for service in services.values().filter(adopts) {
        let key = format!("services.{}.adopt", service.name);
        let beside = "labels = false in [docker], which ignores all labels";
        reports.add(ConfigError::useless(&key, beside, "remove one of the two".to_owned()), labels);
    }
}
