//! What keeps HAProxy from doing as flyball asks, and the line that mends it.
//!
//! Decides what is worth saying. Asks only; a doctor changes nothing. Invariant: what cannot be
//! seen through the socket is said to be unseen, not to be well.

use crate::beside;
use crate::error::{HaproxyError, stats_line};
use crate::file;
use crate::round::Shared;
use crate::settings::{HaproxySettings, OwnedFile, Slots};
use crate::stat::{Process, Snapshot};
use crate::watched::Watched;
use crate::wire::Wire;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether flyball can work with it.
    pub ok: bool,
    /// What was found.
    pub what: String,
    /// What to do, where there is something: the line to add.
    pub hint: Option<String>,
}

impl Finding {
    fn well(what: impl Into<String>) -> Self {
        Self { ok: true, what: what.into(), hint: None }
    }

    /// It works, and would work better with `hint`.
    fn advice(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { ok: true, what: what.into(), hint: Some(hint.into()) }
    }

    fn wrong(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { ok: false, what: what.into(), hint: Some(hint.into()) }
    }
}

impl From<&HaproxyError> for Finding {
    fn from(error: &HaproxyError) -> Self {
        Self { ok: false, what: error.to_string(), hint: error.hint() }
    }
}

/// The look that decides whether the adapter may start at all.
pub(crate) async fn first_look(shared: &Shared) -> Result<(), HaproxyError> {
    shared.look().await?;
    if let Some(refused) = shared.book().not_asked() {
        return Err(refused);
    }
    if level(&shared.wire).await? != "admin" {
        return Err(HaproxyError::NotAdmin { socket: shared.settings.socket.clone() });
    }
    let version = shared.book().process().filter(|p| !p.takes_servers()).map(|p| p.version.clone());
    match version.filter(|_| shared.settings.slots.is_none()) {
        Some(version) => Err(HaproxyError::TooOld { version }),
        None => Ok(()),
    }
}

/// What the socket may do: `user`, `operator` or `admin`.
async fn level(wire: &Wire) -> Result<String, HaproxyError> {
    Ok(wire.ask("show cli level").await?.trim().to_owned())
}

/// Everything there is to say.
pub(crate) async fn check(settings: &HaproxySettings) -> Vec<Finding> {
    let wire = &Wire::new(settings.socket.clone(), settings.call_limit_ms);
    if let Err(error) = settings.verify() {
        return vec![(&error).into()];
    }
    let seen = Watched::new(&settings.backend).look(wire).await;
    let mut findings = Vec::new();
    let reached = match &seen {
        Ok(_) | Err(HaproxyError::NoBackend { .. }) => true,
        Err(error) => {
            findings.push(error.into());
            false
        }
    };
    if reached {
        findings.push(level_finding(settings, level(wire).await));
    }
    match &seen {
        Ok(snapshot) => {
            findings.extend(process(settings, &snapshot.process));
            findings.extend(backend(settings, snapshot));
        }
        Err(HaproxyError::NoBackend { .. }) => findings.push(no_backend(settings, wire).await),
        Err(_) => {}
    }
    findings.extend(file::trouble(settings).as_ref().map(Finding::from));
    findings.push(lines(settings));
    findings
}

fn level_finding(settings: &HaproxySettings, level: Result<String, HaproxyError>) -> Finding {
    match level {
        Ok(level) if level == "admin" => {
            Finding::well(format!("{} is of level admin", settings.socket))
        }
        Ok(level) => Finding::wrong(
            format!("{} is of level {level}, and changes need admin", settings.socket),
            stats_line(&settings.socket),
        ),
        Err(error) => (&error).into(),
    }
}

async fn no_backend(settings: &HaproxySettings, wire: &Wire) -> Finding {
    let error = HaproxyError::NoBackend { backend: settings.backend.clone() };
    if let Some(OwnedFile { path, .. }) = &settings.file {
        let path = path.display();
        return Finding::wrong(
            error.to_string(),
            format!("start or reload HAProxy with `-f {path}` behind its own file"),
        );
    }
    let listed = wire.ask("show backend").await.unwrap_or_default();
    let others: Vec<&str> = listed.lines().skip(1).filter(|line| !line.is_empty()).collect();
    let hint = error.hint().unwrap_or_default();
    Finding::wrong(error.to_string(), format!("{hint}; it has: {}", others.join(", ")))
}

fn process(settings: &HaproxySettings, process: &Process) -> Vec<Finding> {
    let version = process.version.clone();
    let mut findings = vec![match (&settings.slots, process.takes_servers()) {
        (None, false) => (&HaproxyError::TooOld { version }).into(),
        (None, true) => Finding::well(format!("HAProxy {version} takes servers at run time")),
        (Some(_), false) => Finding::well(format!("HAProxy {version}, with slots")),
        (Some(_), true) => Finding::advice(
            format!("HAProxy {version}, with slots"),
            "leave the slots out: this version takes servers at run time",
        ),
    }];
    if process.siblings > 1 {
        findings.push(Finding::wrong(
            format!("HAProxy runs as {} processes with separate counters", process.siblings),
            "in `global`: nbproc 1",
        ));
    }
    findings
}

fn backend(settings: &HaproxySettings, snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = vec![Finding::well(format!("backend `{}` exists", settings.backend))];
    findings.extend(algorithm(settings, &snapshot.backend.algorithm));
    if !snapshot.backend.cookie.is_empty() {
        findings.push(Finding::wrong(
            format!("backend `{}` keeps clients by a cookie", settings.backend),
            "remove the `cookie` line: servers made at run time cannot have one",
        ));
    }
    findings.extend(settings.slots.as_ref().and_then(|slots| slot_count(slots, snapshot)));
    if beside::asks(snapshot) {
        findings.push(Finding::well(format!("backend `{}` asks for flyball", settings.backend)));
    } else if settings.must_ask {
        findings.push((&HaproxyError::NotAsked { backend: settings.backend.clone() }).into());
    }
    let slots = settings.slots.as_ref();
    let foreign: Vec<&str> = beside::others(snapshot, slots).map(|(name, _)| name).collect();
    if !foreign.is_empty() {
        let weight = beside::weight(snapshot, slots, settings.server_options.weight);
        findings.push(Finding::well(format!(
            "servers that flyball does not touch, whose requests it counts, and whose weight its own \
             have ({weight}): {}",
            foreign.join(", ")
        )));
    }
    if !snapshot.servers.values().any(|server| server.is_backup) {
        findings.push(Finding::advice(
            "while there is no replica, HAProxy answers 503 at once",
            format!(
                "to hold requests instead, in `backend {}`: server activator ADDRESS:PORT backup",
                settings.backend
            ),
        ));
    }
    findings
}

fn algorithm(settings: &HaproxySettings, algorithm: &str) -> Option<Finding> {
    let backend = &settings.backend;
    let line = format!("in `backend {backend}`: balance leastconn");
    let said = format!("backend `{backend}` uses {algorithm}");
    match algorithm {
        // Not visible below level operator, which has been said.
        "" => None,
        "leastconn" => Some(Finding::well(said)),
        "roundrobin" | "first" | "random" => Some(Finding::advice(
            format!("{said}, which does not look at how busy a server is"),
            line,
        )),
        "static-rr" => Some(Finding::wrong(format!("{said}, which takes no new servers"), line)),
        _ => Some(Finding::advice(
            format!("{said}, which takes new servers only with `hash-type consistent`"),
            line,
        )),
    }
}

fn slot_count(slots: &Slots, snapshot: &Snapshot) -> Option<Finding> {
    let found = snapshot.servers.keys().filter(|name| slots.has(name)).count();
    let Slots { prefix, count } = slots;
    let line = format!("server-template {prefix} {count} 127.0.0.1:1 disabled");
    (u32::try_from(found) != Ok(*count)).then(|| {
        Finding::wrong(format!("the backend has {found} of the {count} slots `{prefix}1`..."), line)
    })
}

/// Lines that keep requests from failing when a server ends under them.
const ADVISED: [(&str, &str); 6] = [
    ("option redispatch", "option redispatch 1"),
    ("retries", "retries 3"),
    ("retry-on", "retry-on conn-failure empty-response response-timeout"),
    ("http-request disable-l7-retry", "http-request disable-l7-retry if !METH_GET"),
    ("timeout queue", "timeout queue 30s"),
    // Else a worker that is being replaced closes kept connections under requests.
    ("option idle-close-on-response", "option idle-close-on-response"),
];

/// The socket does not tell the lines of a backend; they are known where flyball writes them.
fn lines(settings: &HaproxySettings) -> Finding {
    let Some(file) = &settings.file else {
        let all = ADVISED.map(|(_, line)| line).join("; ");
        return Finding::advice(
            "retries, redispatch, timeouts and stick tables cannot be seen through the socket",
            format!("the backend should have: {all}; and no `stick` lines"),
        );
    };
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let present: Vec<String> = file.lines.lines().map(words).collect();
    let begins = |with: &str| present.iter().any(|line| line.starts_with(with));
    if let Some(line) = present.iter().find(|l| l.starts_with("stick ") || l.starts_with("cookie "))
    {
        let why = "sends clients to one server, which may be deleted";
        return Finding::wrong(format!("`{line}` {why}"), format!("remove `{line}`"));
    }
    let missing: Vec<&str> =
        ADVISED.iter().filter(|(start, _)| !begins(start)).map(|(_, line)| *line).collect();
    if missing.is_empty() {
        return Finding::well(format!(
            "{} repeats requests that a server lost",
            file.path.display()
        ));
    }
    let defaults = "unless `defaults` has them, add to `lines`";
    Finding::advice(
        format!("{} may lose requests when a server ends", file.path.display()),
        format!("{defaults}: {}", missing.join("; ")),
    )
}
