//! Finds server options (TLS, PROXY protocol, ...) that configured servers have and replicas lack.

use crate::finding::{Edit, Finding};
use crate::options;

use super::configured_backend::{ConfiguredBackend, TemplateLine};

/// Words without which HAProxy and a server do not understand each other.
const PROTOCOL: [&str; 9] =
    ["alpn", "check-proto", "npn", "proto", "send-proxy", "send-proxy-v2", "sni", "ssl", "ws"];
/// Words that mean nothing for a server with an address of its own, or that flyball says itself.
const IRRELEVANT: [&str; 13] = [
    "backup",
    "check",
    "cookie",
    "disabled",
    "enabled",
    "id",
    "init-addr",
    "maxconn",
    "no-check",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "weight",
];

pub(super) fn look_at(backend: &ConfiguredBackend<'_>) -> Vec<Finding> {
    let default = backend.default_server();
    let servers = backend.lines.all("server").filter_map(|words| words.get(2..));
    let own: Vec<String> = servers.map(|words| format!("{default} {}", words.join(" "))).collect();
    // Template servers are made from the configuration, `default-server` included.
    let mut findings = match (&backend.settings.template_servers, backend.template_line()) {
        (None, _) => by_default(backend, &default),
        (Some(_), Some(template)) => template_without(backend, &template).into_iter().collect(),
        (Some(_), None) => Vec::new(),
    };
    // One of them is asked: they are most often alike.
    let other = own.iter().map(|words| missing(backend, words));
    let other = other.map(|missing| protocol_of(&missing)).find(|missing| !missing.is_empty());
    if findings.is_empty()
        && let Some(words) = other
    {
        findings.push(Finding::advice(
            format!("configured servers use `{words}`, and replicas do not"),
            vec![with(backend, &words)],
        ));
    }
    findings
}

/// What template servers are made without, though servers are to have it.
fn template_without(backend: &ConfiguredBackend<'_>, template: &TemplateLine) -> Option<Finding> {
    let wanted = backend.settings.server_options.line(backend.mode);
    let made = options::split(&template.words);
    let lacks = |part: &Vec<&str>| !made.contains(part) && part.first() != Some(&"weight");
    let missing: Vec<Vec<&str>> = options::split(&wanted).into_iter().filter(lacks).collect();
    if missing.is_empty() {
        return None;
    }
    let words = join(missing.iter().map(Vec::as_slice));
    let what =
        format!("the template servers `{}1`... are created without `{words}`", template.prefix);
    let line = format!("{} {wanted} disabled", template.begins);
    let (section, old) = (backend.title.clone(), format!("server-template {}", template.prefix));
    let edits = vec![Edit::Replace { section, old, line }];
    let protocol = protocol_of(&missing);
    Some(if protocol.is_empty() {
        Finding::advice(what, edits)
    } else {
        Finding::wrong(what, edits)
    })
}

/// What `default-server` says does not reach servers that are made at run time.
fn by_default(backend: &ConfiguredBackend<'_>, words: &str) -> Vec<Finding> {
    let missing = missing(backend, words);
    let (known, unknown): (Vec<_>, Vec<_>) =
        missing.iter().partition(|part| part.first().is_some_and(|name| options::is_known(name)));
    let mut findings = Vec::new();
    if !known.is_empty() {
        let words = join(known.iter().map(|part| part.as_slice()));
        let what = format!("`default-server {words}` does not reach servers added at run time");
        let edits = vec![with(backend, &words)];
        findings.push(if protocol_of(&missing).is_empty() {
            Finding::advice(what, edits)
        } else {
            Finding::wrong(what, edits)
        });
    }
    let limit = options::split(words).into_iter().rfind(|part| part.first() == Some(&"maxconn"));
    if let Some(&[_, limit]) = limit.as_deref()
        && backend.settings.server_options.slots.is_none()
    {
        let what =
            format!("`default-server maxconn {limit}` does not reach servers added at run time");
        findings.push(Finding::advice(
            what,
            vec![Edit::Flyball { key: "slots", value: limit.to_owned() }],
        ));
    }
    if !unknown.is_empty() {
        let words = join(unknown.iter().map(|part| part.as_slice()));
        let what = format!("`default-server {words}` cannot be set for servers added at run time");
        let hint = "make sure that replicas do not need it, and remove it";
        findings.push(Finding::wrong(what, Vec::new()).with_hint(hint));
    }
    findings
}

/// The parts of `words` that a replica would be without.
fn missing<'a>(backend: &ConfiguredBackend<'_>, words: &'a str) -> Vec<Vec<&'a str>> {
    let options = &backend.settings.server_options;
    let template = backend.template_line().map(|line| line.words).unwrap_or_default();
    let line = format!("{} {template}", options.line(backend.mode));
    let said = options::split(&line);
    let is_missing = |part: &Vec<&str>| {
        let chosen = |name: &&str| options::has(&options.words, name);
        !said.contains(part)
            && part.first().is_some_and(|name| !IRRELEVANT.contains(name) && !chosen(name))
    };
    // A word that is taken back, and words about checks where nothing is checked.
    let counts = |part: &Vec<&str>| {
        let name = part.first().copied().unwrap_or_default();
        let undone = options::has(words, &format!("no-{name}"));
        let idle = !options.is_checked(backend.mode) && options::ABOUT_CHECKS.contains(&name);
        !undone && !idle && !name.starts_with("no-")
    };
    options::split(words).into_iter().filter(is_missing).filter(counts).collect()
}

/// Those of `parts` that decide whether a server understands at all, with what belongs to them.
fn protocol_of(parts: &[Vec<&str>]) -> String {
    let decides = |part: &&Vec<&str>| part.first().is_some_and(|name| PROTOCOL.contains(name));
    if parts.iter().any(|part| decides(&part)) {
        let belongs = |part: &&Vec<&str>| {
            let tls = ["verify", "verifyhost", "ca-file", "crt", "ssl-min-ver", "ssl-max-ver"];
            decides(part) || part.first().is_some_and(|name| tls.contains(name))
        };
        return join(parts.iter().filter(belongs).map(Vec::as_slice));
    }
    String::new()
}

fn join<'a>(parts: impl Iterator<Item = &'a [&'a str]>) -> String {
    parts.flat_map(|part| part.iter().copied()).collect::<Vec<_>>().join(" ")
}

/// The options with `words` behind what they are now. Words about checks take the place of all that
/// flyball says about them, which therefore stands before them.
fn with(backend: &ConfiguredBackend<'_>, words: &str) -> Edit {
    let options = &backend.settings.server_options;
    let about_checks = options::split(words)
        .iter()
        .any(|part| part.first().is_some_and(|name| options::ABOUT_CHECKS.contains(name)));
    let check = options.check(backend.mode).filter(|_| about_checks).unwrap_or_default();
    let all = [check.as_str(), &options.words, words].join(" ");
    let mut parts: Vec<Vec<&str>> = Vec::new();
    for part in options::split(&all) {
        // The last one of a kind counts.
        match parts.iter_mut().find(|earlier| earlier.first() == part.first()) {
            Some(earlier) => *earlier = part,
            None => parts.push(part),
        }
    }
    let all = join(parts.iter().map(Vec::as_slice));
    Edit::Flyball { key: "haproxy.options", value: format!("\"{all}\"") }
}
