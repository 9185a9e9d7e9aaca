//! Checks of the configured lines that affect the backend.
//!
//! Each suggested line has the version that introduced it: an older HAProxy does not start with it.

use crate::configuration::{Configuration, Lines, Section};
use crate::finding::{Edit, Finding};
use crate::settings::{HaproxySettings, Mode};
use crate::source::Source;
use crate::stat::Snapshot;

use super::{LINES, speech};

/// What is looked at.
pub(super) struct Subject<'a> {
    pub(super) settings: &'a HaproxySettings,
    pub(super) lines: Lines<'a>,
    /// How its section begins.
    pub(super) title: String,
    pub(super) mode: Mode,
}

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
    let subject = subject(settings, &whole, section, seen);
    let before = findings.len();
    findings.extend(speech::look_at(&subject));
    findings.extend(repeats(&subject));
    findings.extend(kept(&subject));
    findings.extend(check(&subject));
    let release = seen.map_or((0, 0), |seen| seen.process.release());
    findings.extend(idle_close(&whole, subject.mode, release));
    if whole.is_conditional {
        let what =
            "HAProxy's configuration has lines under conditions (`.if`), read as if all were true";
        findings.push(Finding::advice(what, Vec::new()).with_hint("check which of them are true"));
    } else if findings.len() == before && read.is_ok() {
        let what = format!("`{}` retries requests that a server lost", subject.title);
        findings.push(Finding::well(what));
    }
    findings
}

fn subject<'a>(
    settings: &'a HaproxySettings,
    whole: &'a Configuration,
    section: &'a Section,
    seen: Option<&Snapshot>,
) -> Subject<'a> {
    let lines = whole.lines(section);
    let written = if lines.is_http() { Mode::Http } else { Mode::Tcp };
    let mode = seen.map_or(written, |seen| seen.backend.mode);
    let title = if settings.file.is_some() { LINES.to_owned() } else { section.title() };
    Subject { settings, lines, title, mode }
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

/// The line that the slots of a backend are made by.
pub(super) struct SlotLine {
    pub(super) prefix: String,
    /// Up to the address.
    pub(super) begins: String,
    /// What each slot has: by `default-server`, and by the line itself.
    pub(super) words: String,
}

impl Subject<'_> {
    /// What servers of the configuration have that do not say otherwise.
    pub(super) fn default_server(&self) -> String {
        let lines = self.lines.all("default-server").map(|words| words.join(" "));
        lines.collect::<Vec<_>>().join(" ")
    }

    /// Where slots are used, and made by a line that is seen. In flyball's own file each has a line
    /// with all that it is to have.
    pub(super) fn slot_line(&self) -> Option<SlotLine> {
        let slots = self.settings.slots.as_ref().filter(|_| self.settings.file.is_none())?;
        let mut lines = self.lines.all("server-template");
        let line = lines.find(|words| words.first() == Some(&slots.prefix))?;
        let (begins, words) = line.split_at_checked(3)?;
        Some(SlotLine {
            prefix: slots.prefix.clone(),
            begins: format!("server-template {}", begins.join(" ")),
            words: format!("{} {}", self.default_server(), words.join(" ")),
        })
    }

    pub(super) fn add(&self, line: &str) -> Edit {
        Edit::Add { section: self.title.clone(), line: line.to_owned() }
    }

    fn replace(&self, old: &str, line: &str) -> Edit {
        let (section, old, line) = (self.title.clone(), old.to_owned(), line.to_owned());
        Edit::Replace { section, old, line }
    }
}

/// Requests that a server lost, or could not take, go to another one. Of these only `GET`s are
/// repeated once they were sent: since 2.0.
fn repeats(subject: &Subject<'_>) -> Option<Finding> {
    let lines = &subject.lines;
    let mut edits = Vec::new();
    if !lines.has_option("redispatch") {
        edits.push(subject.add("option redispatch 1"));
    }
    if lines.last("retries").is_some_and(|retries| retries == ["0"]) {
        edits.push(subject.replace("retries", "retries 3"));
    }
    if subject.mode == Mode::Http && lines.last("retry-on").is_none() {
        edits.push(subject.add("retry-on conn-failure empty-response response-timeout"));
        edits.push(subject.add("http-request disable-l7-retry if !METH_GET"));
    }
    if subject.settings.server_options.slots.is_some() && lines.last("timeout queue").is_none() {
        edits.push(subject.add("timeout queue 30s"));
    }
    let what = format!("`{}` may lose requests when a server ends", subject.title);
    (!edits.is_empty()).then(|| Finding::advice(what, edits))
}

/// Clients that are sent to one server, which may be drained.
fn kept(subject: &Subject<'_>) -> Vec<Finding> {
    let sticks = subject.lines.all("stick").map(|words| format!("stick {}", words.join(" ")));
    let finding = |line: String| {
        let what = format!(
            "`{line}` keeps clients on a draining server until the drain limit cuts them off"
        );
        Finding::advice(what, vec![Edit::Remove { section: subject.title.clone(), line }])
    };
    sticks.map(finding).collect()
}

/// `option httpchk` by itself asks `OPTIONS /`, which many servers refuse.
fn check(subject: &Subject<'_>) -> Option<Finding> {
    let (lines, options) = (&subject.lines, &subject.settings.server_options);
    let asks = lines.has_option("httpchk") && options.is_checked(subject.mode);
    let bare = lines.last("option httpchk").is_some_and(<[String]>::is_empty);
    let sends =
        lines.last("http-check send").is_some() || lines.last("http-check connect").is_some();
    (asks && bare && !sends).then(|| {
        let what =
            "`option httpchk` sends `OPTIONS /`, and a replica that answers 400 or more is down";
        Finding::advice(what, vec![subject.replace("option httpchk", "option httpchk GET /")])
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
