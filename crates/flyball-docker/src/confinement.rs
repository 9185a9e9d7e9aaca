//! Checks that a copy gets no more than the container it is copied from: the first field in which
//! it would be less confined. A field without a rule must be equal, so a new Docker field cannot
//! slip through.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig};
use serde_json::{Map, Value};

use crate::copy;
use crate::create_spec::CreateSpec;
use crate::settings::ExtraRights;

/// In what a copy would have more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// As Docker's API calls it.
    pub(crate) field: String,
    /// What the original has.
    pub(crate) original: String,
    /// What the copy would have.
    pub(crate) copy: String,
}

/// How a field of the copy may differ from the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Not at all.
    Equal,
    /// A number that limits it: as much or less; none is without limit.
    AtMost,
    /// A list of what it is given: nothing more.
    Within,
    /// A list of what it is denied: nothing less.
    Covers,
    /// A right: only if the original has it.
    Right,
    /// A wall: always if the original has it.
    Wall,
    /// Flyball's own business, which gives the copy nothing.
    Flyballs,
    /// Looked at together with other fields.
    Apart,
}

/// The fields of `HostConfig`. Those that are not here must be [`Rule::Equal`].
const RULES: [(&str, Rule); 33] = [
    ("AutoRemove", Rule::Flyballs),
    ("Binds", Rule::Within),
    ("CapAdd", Rule::Within),
    ("CapDrop", Rule::Covers),
    ("ConsoleSize", Rule::Flyballs),
    ("ContainerIDFile", Rule::Flyballs),
    ("CpuCount", Rule::AtMost),
    ("CpuPercent", Rule::AtMost),
    ("CpuPeriod", Rule::Apart),
    ("CpuQuota", Rule::Apart),
    ("CpuRealtimeRuntime", Rule::AtMost),
    ("DeviceCgroupRules", Rule::Within),
    ("DeviceRequests", Rule::Within),
    ("Devices", Rule::Within),
    ("ExtraHosts", Rule::Within),
    ("GroupAdd", Rule::Within),
    ("Links", Rule::Within),
    ("LogConfig", Rule::Apart),
    ("MaskedPaths", Rule::Covers),
    ("Memory", Rule::AtMost),
    ("MemoryReservation", Rule::AtMost),
    ("MemorySwap", Rule::Apart),
    ("Mounts", Rule::Within),
    ("NanoCpus", Rule::Apart),
    ("NetworkMode", Rule::Apart),
    ("OomKillDisable", Rule::Right),
    ("PidsLimit", Rule::AtMost),
    ("PortBindings", Rule::Apart),
    ("Privileged", Rule::Right),
    ("PublishAllPorts", Rule::Right),
    ("ReadonlyPaths", Rule::Covers),
    ("ReadonlyRootfs", Rule::Wall),
    ("RestartPolicy", Rule::Flyballs),
];

/// The first field in which `spec` would have more than `original`; what the operator granted may
/// differ.
pub(crate) fn excess(
    original: &ContainerInspectResponse,
    spec: &CreateSpec,
    granted: ExtraRights,
) -> Option<Excess> {
    let none = HostConfig::default();
    let had = original.host_config.as_ref().unwrap_or(&none);
    let gets = spec.body.host_config.as_ref().unwrap_or(&none);
    // A new unnamed volume in the place of one of the original's, is no more than that.
    let mut renewed = had.clone();
    copy::renew_anonymous_volumes(&mut renewed);
    user(original, &spec.body)
        .or_else(|| by_rules(&renewed, gets, granted))
        .or_else(|| cpus(had, gets, granted))
        .or_else(|| swap(had, gets, granted))
        .or_else(|| log(had, gets, granted))
        .or_else(|| networks(original, spec, granted))
        .or_else(|| ports(gets, granted))
}

fn user(original: &ContainerInspectResponse, body: &ContainerCreateBody) -> Option<Excess> {
    let config = original.config.as_ref();
    let had = config.and_then(|config| config.user.clone()).unwrap_or_default();
    let gets = body.user.clone().unwrap_or_default();
    let disabled = config.and_then(|config| config.network_disabled) == Some(true);
    if disabled && body.network_disabled != Some(true) {
        return Some(told("NetworkDisabled", "true", "false"));
    }
    (had != gets).then(|| told("User", &had, &gets))
}

/// Both sides field by field, as JSON, so that no field is forgotten.
fn by_rules(had: &HostConfig, gets: &HostConfig, granted: ExtraRights) -> Option<Excess> {
    let (had, gets) = (fields(had), fields(gets));
    let names: BTreeSet<&String> = had.keys().chain(gets.keys()).collect();
    names.into_iter().find_map(|name| {
        let (had, gets) = (had.get(name), gets.get(name));
        let (had, gets) = (had.unwrap_or(&Value::Null), gets.unwrap_or(&Value::Null));
        let rule = RULES.iter().find(|(field, _)| field == name);
        let rule = rule.map_or(Rule::Equal, |(_, rule)| *rule);
        let is_granted = granted.memory && ["Memory", "MemoryReservation"].contains(&name.as_str());
        (!is_granted && !holds(rule, had, gets)).then(|| told(name, &show(had), &show(gets)))
    })
}

fn fields(host: &HostConfig) -> Map<String, Value> {
    match serde_json::to_value(host) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn holds(rule: Rule, had: &Value, gets: &Value) -> bool {
    match rule {
        Rule::Flyballs | Rule::Apart => true,
        Rule::Equal => plain(had) == plain(gets),
        Rule::AtMost => match (limit(had), limit(gets)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(had), Some(gets)) => gets <= had,
        },
        Rule::Within => within(gets, had),
        Rule::Covers => within(had, gets),
        Rule::Right => !is_true(gets) || is_true(had),
        Rule::Wall => !is_true(had) || is_true(gets),
    }
}

/// Docker writes the same nothing in several ways.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Object(fields) if fields.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Bool(false) => Value::Null,
        Value::Number(number) if number.as_i64() == Some(0) => Value::Null,
        other => other.clone(),
    }
}

/// What a number limits to; nothing, 0 and -1 do not limit.
fn limit(value: &Value) -> Option<i64> {
    value.as_i64().filter(|number| *number > 0)
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

fn within(few: &Value, many: &Value) -> bool {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let many = items(many);
    items(few).iter().all(|item| many.contains(item))
}

fn show(value: &Value) -> String {
    if plain(value).is_null() { "nothing".to_owned() } else { value.to_string() }
}

fn told(field: &str, original: &str, copy: &str) -> Excess {
    Excess { field: field.to_owned(), original: original.to_owned(), copy: copy.to_owned() }
}

/// Cores are said in two ways.
fn cpus(had: &HostConfig, gets: &HostConfig, granted: ExtraRights) -> Option<Excess> {
    let (had, gets) = (crate::limits::cores_of(had), crate::limits::cores_of(gets));
    let more = match (had, gets) {
        (None, _) => false,
        (Some(_), None) => true,
        // Both are the same number of nanoseconds, told as a quota or not.
        (Some(had), Some(gets)) => gets > had + 1e-9,
    };
    let show = |cores: Option<f64>| cores.map_or("no limit".to_owned(), |cores| cores.to_string());
    (more && !granted.cpus).then(|| told("NanoCpus", &show(had), &show(gets)))
}

/// What may be swapped: as much as memory if unset, without limit at -1.
fn swap(had: &HostConfig, gets: &HostConfig, granted: ExtraRights) -> Option<Excess> {
    let beyond = |host: &HostConfig| match (host.memory.unwrap_or(0), host.memory_swap.unwrap_or(0))
    {
        (memory, _) if memory <= 0 => i64::MAX,
        (_, swap) if swap < 0 => i64::MAX,
        (memory, 0) => memory,
        (memory, swap) => swap.saturating_sub(memory),
    };
    let more = beyond(gets) > beyond(had) && !granted.memory;
    more.then(|| told("MemorySwap", &beyond(had).to_string(), &beyond(gets).to_string()))
}

fn log(had: &HostConfig, gets: &HostConfig, granted: ExtraRights) -> Option<Excess> {
    if granted.log || had.log_config == gets.log_config {
        return None;
    }
    // Options of log drivers may be secrets.
    let name = |host: &HostConfig| {
        let config = host.log_config.as_ref();
        config.and_then(|log| log.typ.clone()).unwrap_or_else(|| "the daemon's own".to_owned())
    };
    Some(told("LogConfig", &name(had), &name(gets)))
}

/// What Docker calls the default network.
fn resolved(mode: &str) -> &str {
    if mode.is_empty() || mode == "default" { "bridge" } else { mode }
}

fn networks(
    original: &ContainerInspectResponse,
    spec: &CreateSpec,
    granted: ExtraRights,
) -> Option<Excess> {
    if granted.networks {
        return None;
    }
    let host = |host: Option<&HostConfig>| {
        let mode = host.and_then(|host| host.network_mode.clone()).unwrap_or_default();
        resolved(&mode).to_owned()
    };
    let had = host(original.host_config.as_ref());
    let gets = host(spec.body.host_config.as_ref());
    let settings = original.network_settings.as_ref();
    let all = settings.and_then(|settings| settings.networks.as_ref());
    let mut had_all: BTreeSet<String> =
        all.into_iter().flat_map(|all| all.keys().cloned()).collect();
    had_all.insert(had.clone());
    // A mode is a network of that name, unless it is one of these: then it is the only one.
    let alone = |mode: &str| ["host", "none"].contains(&mode) || mode.starts_with("container:");
    let config = spec.body.networking_config.as_ref();
    let endpoints = config.and_then(|config| config.endpoints_config.as_ref());
    let joined = endpoints.into_iter().flat_map(|all| all.keys());
    let joined = joined.chain(spec.further.iter().map(|(name, _)| name));
    let mut gets_all: BTreeSet<String> = joined.cloned().collect();
    gets_all.insert(gets);
    let more: Vec<&String> = gets_all
        .iter()
        .filter(|network| !had_all.contains(*network) || (alone(&had) && **network != had))
        .collect();
    let list = |all: Vec<&String>| all.into_iter().cloned().collect::<Vec<_>>().join(", ");
    (!more.is_empty()).then(|| told("Networks", &list(had_all.iter().collect()), &list(more)))
}

/// Flyball itself reaches a copy at loopback; an address that others reach is granted or is not.
fn ports(gets: &HostConfig, granted: ExtraRights) -> Option<Excess> {
    if granted.ports {
        return None;
    }
    let bindings = gets.port_bindings.iter().flatten().filter_map(|(_, all)| all.as_ref());
    let open = bindings.flatten().find(|binding| {
        let ip = binding.host_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
        !ip.is_some_and(|ip| ip.is_loopback())
    })?;
    let address = open.host_ip.clone().unwrap_or_default();
    Some(told("PortBindings", "no port at", if address.is_empty() { "any" } else { &address }))
}

#[cfg(test)]
mod tests;
