//! The `[notify.NAME]` tables: who is told what needs attention.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::reader::{
    ConfigError, DAY_MS, Given, Kind, Reports, TOKEN_FILE, choice, duration, section, unknown_word,
};

const BODIES: [&str; 5] = ["json", "slack", "discord", "ntfy", "gotify"];
/// What a template may contain in braces.
const PLACEHOLDERS: [&str; 5] = ["service", "event", "state", "text", "at"];

section! {
    /// A target that flyball tells what needs attention. `NAME` is yours to choose. Try it with
    /// `flyball notify test`.
    NotifyKeys "notify.NAME" {
        /// Where notifications are posted.
        url: Option<String> = ADDRESS_OF_TARGET, optional "the text in `url_file`";
        /// A file with that address, for addresses that are secrets themselves, as those of Slack
        /// and Discord are. It is read for each notification.
        url_file: Option<PathBuf> = TOKEN_FILE, optional "the address in `url`";
        /// The form of what is posted. `"slack"` also suits Mattermost.
        body: &'static str = choice(&BODIES), default "\"json\"";
        /// JSON of your own in place of `body`. `{service}`, `{event}`, `{state}`, `{text}` and
        /// `{at}` in it are replaced.
        template: Option<String> = TEMPLATE, optional "the form of `body`";
        /// A file with a token, sent as `Authorization: Bearer`, to Gotify as `X-Gotify-Key`. It
        /// is read for each notification.
        token_file: Option<PathBuf> = TOKEN_FILE, optional "no token";
        /// What this target is told. `at_maximum` is told once it has lasted for 5 minutes. The end
        /// of what was told is told, too.
        events: BTreeSet<NotifyEvent> = EVENTS, default
            "[\"blind\", \"starts_held\", \"sick\", \"failing\", \"rollout_aborted\", \"trouble\", \"futile\", \"objective_missed\", \"at_maximum\", \"slept\", \"woke\"]";
        /// How much time passes at least between two notifications of the same event of the same
        /// service.
        every_ms("every"): u64 = duration(1_000, DAY_MS), default "\"5m\"";
    }
}

const ADDRESS_OF_TARGET: Kind<String> = Kind::plain("`http://` or `https://` address", address);
const TEMPLATE: Kind<String> = Kind::plain("text of JSON", template);
const EVENTS: Kind<BTreeSet<NotifyEvent>> = Kind::plain("list of events", events);

/// A target of notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Where it is.
    pub url: NotifyUrl,
    /// What it is sent.
    pub body: NotifyBody,
    /// A file with a token for it.
    pub token_file: Option<PathBuf>,
    /// What it is told.
    pub events: BTreeSet<NotifyEvent>,
    /// The least time between two notifications of one kind, in milliseconds.
    pub every_ms: u64,
}

/// Where a target is.
#[derive(Clone, PartialEq, Eq)]
pub enum NotifyUrl {
    /// At this address, which may be a secret.
    Text(String),
    /// At the address in this file.
    File(PathBuf),
}

impl fmt::Debug for NotifyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The form of what a target is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyBody {
    /// An object with every part.
    Json,
    /// As Slack and Mattermost take it.
    Slack,
    /// As Discord takes it.
    Discord,
    /// As ntfy takes it.
    Ntfy,
    /// As Gotify takes it.
    Gotify,
    /// JSON with placeholders.
    Template(String),
}

/// What may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotifyEvent {
    /// No trustworthy reading.
    Blind,
    /// Starts failed one after another.
    StartsHeld,
    /// Replicas fail.
    Sick,
    /// Too many requests fail.
    Failing,
    /// A rollout was given up.
    RolloutAborted,
    /// Something else is wrong, such as a history that cannot be written.
    Trouble,
    /// More replicas did not help.
    Futile,
    /// More requests are late than the objective allows.
    ObjectiveMissed,
    /// The service needs more than its maximum.
    AtMaximum,
    /// The service fell asleep.
    Slept,
    /// The service woke.
    Woke,
    /// The count changed.
    Count,
}

impl NotifyEvent {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Blind,
        Self::StartsHeld,
        Self::Sick,
        Self::Failing,
        Self::RolloutAborted,
        Self::Trouble,
        Self::Futile,
        Self::ObjectiveMissed,
        Self::AtMaximum,
        Self::Slept,
        Self::Woke,
        Self::Count,
    ];

    /// Its name in the configuration and in what is sent: that of the notice in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::StartsHeld => "starts_held",
            Self::Sick => "sick",
            Self::Failing => "failing",
            Self::RolloutAborted => "rollout_aborted",
            Self::Trouble => "trouble",
            Self::Futile => "futile",
            Self::ObjectiveMissed => "objective_missed",
            Self::AtMaximum => "at_maximum",
            Self::Slept => "slept",
            Self::Woke => "woke",
            Self::Count => "count",
        }
    }
}

impl NotifyKeys {
    pub(crate) fn notify(self, reports: &mut Reports) -> Option<Notify> {
        let both = self.url.given().is_some() && self.url_file.given().is_some();
        if both {
            self.url_file.refuse_beside("url", "remove one of the two", reports);
        } else if self.url.is_absent() && self.url_file.is_absent() {
            self.url.report_missing("\"https://ntfy.example/flyball\"", reports);
        }
        if self.template.given().is_some() && self.body.given().is_some() {
            self.body.refuse_beside("template", "remove one of the two", reports);
        }
        let body = match (self.template.value?, self.body.value?) {
            (Some(template), _) => NotifyBody::Template(template),
            (None, "slack") => NotifyBody::Slack,
            (None, "discord") => NotifyBody::Discord,
            (None, "ntfy") => NotifyBody::Ntfy,
            (None, "gotify") => NotifyBody::Gotify,
            (None, _) => NotifyBody::Json,
        };
        let url = self.url.value?.map(NotifyUrl::Text);
        let url = url.or(self.url_file.value?.map(NotifyUrl::File))?;
        let (token_file, every_ms) = (self.token_file.value?, self.every_ms.value?);
        Some(Notify { url, body, token_file, events: self.events.value?, every_ms })
    }
}

fn address(given: Given<'_>) -> Result<String, ConfigError> {
    let fine = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or(rest));
        host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
    };
    let wanted = "an http:// or https:// address";
    given.text_that(fine, wanted, "\"https://ntfy.example/flyball\"")
}

/// JSON in which each word in braces is a placeholder.
fn template(given: Given<'_>) -> Result<String, ConfigError> {
    let example = "'{\"text\": \"{service}: {text}\"}'";
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let text = given.text_that(|_| true, "a text of JSON", example)?;
    let in_braces = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let unknown = in_braces.map(|(word, _)| word).find(|w| is_word(w) && !PLACEHOLDERS.contains(w));
    if let Some(word) = unknown {
        return Err(unknown_word(given.path, word, &PLACEHOLDERS));
    }
    let filled = PLACEHOLDERS
        .iter()
        .fold(text.clone(), |text, name| text.replace(&format!("{{{name}}}"), "x"));
    if is_json(&filled) { Ok(text) } else { Err(given.not_like("a text of JSON", example)) }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn events(given: Given<'_>) -> Result<BTreeSet<NotifyEvent>, ConfigError> {
    let names = NotifyEvent::ALL.map(NotifyEvent::name);
    let of = |text: &str| NotifyEvent::ALL.into_iter().find(|event| event.name() == text);
    let list = format!("a list of {}", names.join(", "));
    given.each(of, &list, "[\"blind\", \"rollout_aborted\"]")
}
