//! Finds what keeps HAProxy from working with flyball, and the lines that fix it.
//!
//! Nothing is changed, and what cannot be checked is reported as unchecked.

mod activator;
mod backend;
mod configured;
mod configured_backend;
mod process;
mod server_options;

use std::path::PathBuf;

use flyball_engine::Hint as _;

use crate::error::{HaproxyError, stats_line};
use crate::finding::{Edit, Finding, Level};
use crate::reconcile::Shared;
use crate::server_file;
use crate::settings::{HaproxySettings, OwnedFile};
use crate::source::{self, Source};
use crate::stat::Snapshot;
use crate::watched::Watched;
use crate::wire::Wire;

impl From<&HaproxyError> for Finding {
    fn from(error: &HaproxyError) -> Self {
        Self { level: Level::Wrong, what: error.to_string(), hint: error.hint(), edits: Vec::new() }
    }
}

/// The look that decides whether the adapter may start at all.
pub(crate) async fn first_look(shared: &Shared) -> Result<(), HaproxyError> {
    shared.look().await?;
    if let Some(refused) = shared.state().not_asked() {
        return Err(refused);
    }
    if level(&shared.wire).await? != "admin" {
        return Err(HaproxyError::NotAdmin { socket: shared.settings.socket.clone() });
    }
    let version =
        shared.state().process().filter(|p| !p.takes_servers()).map(|p| p.version.clone());
    match version.filter(|_| shared.settings.template_servers.is_none()) {
        Some(version) => Err(HaproxyError::TooOld { version }),
        None => Ok(()),
    }
}

/// What the socket may do: `user`, `operator` or `admin`.
async fn level(wire: &Wire) -> Result<String, HaproxyError> {
    Ok(wire.ask("show cli level").await?.trim().to_owned())
}

/// Everything there is to say. HAProxy's configuration is in the files that are `named`; if none is,
/// in those that HAProxy itself says.
pub(crate) async fn check(settings: &HaproxySettings, named: &[PathBuf]) -> Vec<Finding> {
    if let Err(error) = settings.verify() {
        return vec![(&error).into()];
    }
    let wire = &Wire::new(settings.socket.clone(), settings.call_limit_ms);
    let looked = Watched::new(&settings.backend).look(wire).await;
    let seen = looked.as_ref().ok();
    let source = source::find(settings, named, wire, seen.map(|seen| seen.process.pid)).await;
    let mut findings = match &looked {
        Ok(snapshot) => see(settings, wire, snapshot, &source).await,
        Err(HaproxyError::NoBackend { .. }) => {
            let level = level_finding(settings, wire).await;
            vec![level, no_backend(settings, wire, &source).await]
        }
        Err(error) => vec![error.into()],
    };
    findings.extend(server_file::trouble(settings).as_ref().map(Finding::from));
    findings.extend(activator::look_at(settings, seen, &source));
    findings.extend(configured::look_at(settings, seen, &source));
    findings
}

async fn see(
    settings: &HaproxySettings,
    wire: &Wire,
    snapshot: &Snapshot,
    source: &Source,
) -> Vec<Finding> {
    let mut findings = vec![level_finding(settings, wire).await];
    let is_admin = findings.iter().all(|finding| finding.level == Level::Ok);
    let title = title(settings, source);
    findings.extend(process::look_at(settings, snapshot, &title));
    findings.extend(backend::look_at(settings, snapshot, &title));
    if is_admin && snapshot.process.takes_servers() && settings.template_servers.is_none() {
        findings.extend(backend::try_out(settings, snapshot, wire, &title).await);
    }
    findings
}

/// How the section of the backend begins.
fn title(settings: &HaproxySettings, source: &Source) -> String {
    let name = &settings.backend;
    let found = source.configuration.as_ref().ok().and_then(|read| read.backends(name).next());
    match (&settings.file, found) {
        (Some(_), _) => LINES.to_owned(),
        (None, Some(section)) => section.title(),
        (None, None) => format!("backend {name}"),
    }
}

/// In place of a section's title, for the backend that flyball writes.
const LINES: &str = "lines";

async fn level_finding(settings: &HaproxySettings, wire: &Wire) -> Finding {
    let socket = &settings.socket;
    match level(wire).await {
        Ok(level) if level == "admin" && wire.is_master() => {
            Finding::well(format!("{socket} is the master socket, with level admin"))
        }
        Ok(level) if level == "admin" => Finding::well(format!("{socket} has level admin")),
        Ok(level) => {
            let what = format!("{socket} has level {level}, but changes need admin");
            let bind = socket.as_bound();
            let (section, old) = ("global".to_owned(), format!("stats socket {bind}"));
            let line = stats_line(socket);
            Finding::wrong(what, vec![Edit::Replace { section, old, line }])
        }
        Err(error) => (&error).into(),
    }
}

async fn no_backend(settings: &HaproxySettings, wire: &Wire, source: &Source) -> Finding {
    let error = HaproxyError::NoBackend { backend: settings.backend.clone() };
    if let Some(OwnedFile { path, .. }) = &settings.file {
        return not_started_with(path, &error, source);
    }
    let listed = wire.ask("show backend").await.unwrap_or_default();
    let others: Vec<&str> =
        listed.lines().skip(1).filter(|line| !line.is_empty() && *line != "MASTER").collect();
    let section = format!("backend {}", settings.backend);
    let finding = Finding::wrong(
        error.to_string(),
        vec![Edit::Section { section, line: "balance leastconn".to_owned() }],
    );
    let hint = finding.hint.clone().unwrap_or_default();
    let other = format!("{hint}, or name another with `backend`; it has: {}", others.join(", "));
    finding.with_hint(other)
}

/// The owned file is made when flyball starts, and HAProxy does not start without it.
fn not_started_with(path: &std::path::Path, error: &HaproxyError, source: &Source) -> Finding {
    let shown = path.display();
    if !path.exists() {
        let what = format!("{error} yet: flyball creates {shown} when it starts");
        let hint = format!(
            "start flyball first (`flyball run`); then start HAProxy with `-f {shown}` behind its \
             own file"
        );
        return Finding::advice(what, Vec::new()).with_hint(hint);
    }
    let hint = if source.files.iter().any(|file| file == path) {
        "reload HAProxy: it read the file before this was added".to_owned()
    } else {
        format!("start HAProxy with `-f {shown}` behind its own file")
    };
    Finding::wrong(error.to_string(), Vec::new()).with_hint(hint)
}
