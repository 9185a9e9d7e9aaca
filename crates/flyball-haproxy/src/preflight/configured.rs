//! Checks of the configured lines that affect the backend.
//!
//! Each suggested line has the version that introduced it: an older HAProxy does not start with it.

use crate::configuration::{Configuration, Section};
use crate::finding::{Edit, Finding};
use crate::settings::{HaproxySettings, Mode};
use crate::source::Source;
use crate::stat::Snapshot;

use super::configured_backend::ConfiguredBackend;
use super::server_options;

pub(super) fn look_at(
    settings: &HaproxySettings,
    seen: Option<&Snapshot>,
    source: &Source,
) -> Vec<Finding> {
    let name = &settings.backend;
    let own = settings.file.as_ref().map(|file| file.lines.as_str());
    let read = source.configuration.as_ref();
    let mut findings = Vec::new();
    if let Err(why) = read {
        findings.push(unseen(settings, why));
    }
    let whole = match (read, own) {
        (Ok(read), Some(own)) => {
            findings.extend(twice(settings, read));
            read.with_own(name, own)
        }
        (Ok(read), None) => read.clone(),
        (Err(_), Some(own)) => Configuration::default().with_own(name, own),
        (Err(_), None) => return findings,
    };
    let Some(section) = whole.backends(name).last() else { return findings };
    let backend = ConfiguredBackend::of(settings, &whole, section, seen);
    let before = findings.len();
    findings.extend(server_options::look_at(&backend));
    findings.extend(repeats(&backend));
    findings.extend(kept(&backend));
    findings.extend(check(&backend));
    let release = seen.map_or((0, 0), |seen| seen.process.release());
    findings.extend(idle_close(&whole, backend.mode, release));
    if whole.is_conditional {
        let what =
            "HAProxy's configuration has lines under conditions (`.if`), read as if all were true";
        findings.push(Finding::advice(what, Vec::new()).with_hint("check which of them are true"));
    } else if findings.len() == before && read.is_ok() {
        let what = format!("`{}` retries requests that a server lost", backend.title);
        findings.push(Finding::well(what));
    }
    findings
}

fn unseen(settings: &HaproxySettings, why: &str) -> Finding {
    let rest = if settings.file.is_some() { "`defaults` was" } else { "it was" };
    let what = format!("cannot read HAProxy's configuration ({why}): {rest} not checked");
    Finding::advice(what, Vec::new())
        .with_hint("pass its files: flyball check --haproxy-config /etc/haproxy/haproxy.cfg")
}

/// A section that stands in two files keeps HAProxy from starting.
fn twice(settings: &HaproxySettings, read: &Configuration) -> Option<Finding> {
    let path = &settings.file.as_ref()?.path;
    let others = read.backends(&settings.backend);
    let other = others.into_iter().find(|section| section.file.file_name() != path.file_name())?;
    let (title, file) = (other.title(), other.file.display());
    let what =
        format!("`{title}` is also in {file}, and HAProxy accepts a section from one file only");
    let hint = format!("remove `{title}` from {file}: its lines belong in `lines`");
    Some(Finding::wrong(what, Vec::new()).with_hint(hint))
}

/// Requests that a server lost, or could not take, go to another one. Of these only `GET`s are
/// repeated once they were sent: since 2.0.
fn repeats(backend: &ConfiguredBackend<'_>) -> Option<Finding> {
    let lines = &backend.lines;
    let mut edits = Vec::new();
    if !lines.has_option("redispatch") {
        edits.push(backend.add("option redispatch 1"));
    }
    if lines.last("retries").is_some_and(|retries| retries == ["0"]) {
        edits.push(backend.replace("retries", "retries 3"));
    }
    if backend.mode == Mode::Http && lines.last("retry-on").is_none() {
        edits.push(backend.add("retry-on conn-failure empty-response response-timeout"));
        edits.push(backend.add("http-request disable-l7-retry if !METH_GET"));
    }
    if backend.settings.server_options.slots.is_some() && lines.last("timeout queue").is_none() {
        edits.push(backend.add("timeout queue 30s"));
    }
    let what = format!("`{}` may lose requests when a server ends", backend.title);
    (!edits.is_empty()).then(|| Finding::advice(what, edits))
}

/// Clients that are sent to one server, which may be drained.
fn kept(backend: &ConfiguredBackend<'_>) -> Vec<Finding> {
    let sticks = backend.lines.all("stick").map(|words| format!("stick {}", words.join(" ")));
    let finding = |line: String| {
        let what = format!(
            "`{line}` keeps clients on a draining server until the drain limit cuts them off"
        );
        Finding::advice(what, vec![Edit::Remove { section: backend.title.clone(), line }])
    };
    sticks.map(finding).collect()
}

/// `option httpchk` by itself asks `OPTIONS /`, which many servers refuse.
fn check(backend: &ConfiguredBackend<'_>) -> Option<Finding> {
    let (lines, options) = (&backend.lines, &backend.settings.server_options);
    let asks = lines.has_option("httpchk") && options.is_checked(backend.mode);
    let bare = lines.last("option httpchk").is_some_and(<[String]>::is_empty);
    let sends =
        lines.last("http-check send").is_some() || lines.last("http-check connect").is_some();
    (asks && bare && !sends).then(|| {
        let what =
            "`option httpchk` sends `OPTIONS /`, and a replica that answers 400 or more is down";
        Finding::advice(what, vec![backend.replace("option httpchk", "option httpchk GET /")])
    })
}

/// Else a worker that is being replaced closes kept connections under requests. Since 2.6; an older
/// HAProxy does not start with it, and a backend cannot have it.
fn idle_close(whole: &Configuration, mode: Mode, release: (u32, u32)) -> Option<Finding> {
    if mode == Mode::Tcp || release < (2, 6) {
        return None;
    }
    let open = whole.fronts().filter(|front| {
        let lines = whole.lines(front);
        lines.is_http() && !lines.has_option("idle-close-on-response")
    });
    let edit = |front: &Section| Edit::Add {
        section: front.title(),
        line: "option idle-close-on-response".to_owned(),
    };
    let edits: Vec<Edit> = open.map(edit).collect();
    let what = "reloading HAProxy may cut off requests on keep-alive connections";
    (!edits.is_empty()).then(|| Finding::advice(what, edits))
}
