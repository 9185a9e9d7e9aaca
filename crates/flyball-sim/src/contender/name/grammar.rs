//! How a policy and its settings are written: `governor:late=1%,cap=85%`, or short `governor:70`.
//! Knows rows of a table, and no policy. A value that is handed on is within the limits that its
//! row states.

use std::collections::BTreeMap;
use std::fmt;

use flyball_config::{parse_duration, parse_share, show_duration, show_share};

use super::{Kind, NameError};

/// A policy that can be named.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    /// What a value without a name stands for, by its place: the first of these that it fits.
    pub(super) short: &'static [&'static [&'static str]],
    pub(super) settings: &'static [Setting],
    /// Makes the policy of the settings that were given.
    pub(super) build: fn(&Given) -> Result<Kind, String>,
}

/// A setting of a policy.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) fallback: Fallback,
    pub(super) meaning: &'static str,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Takes {
    /// A share such as `70%`, or `70`: above 0 and up to this.
    Share(f64),
    /// The same, and 0 as well.
    ShareOrNone(f64),
    /// A duration from this on, in milliseconds, up to a year.
    Duration(u64),
    /// A whole number from this on, up to a million.
    Count(u32),
    /// A number from this on, up to a billion.
    Number(f64),
    /// One of these.
    Word(&'static [&'static str]),
}

/// What holds where a setting is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fallback {
    /// This value, as it would be written.
    Is(&'static str),
    /// This, in words.
    Otherwise(&'static str),
}

const YEAR_MS: u64 = 365 * 24 * 3_600_000;
const COUNT_MAX: u32 = 1_000_000;
const NUMBER_MAX: f64 = 1e9;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// Of a share, or a number as it is.
    Number(f64),
    Ms(u64),
    Count(u32),
    Word(&'static str),
}

/// The settings that were given, by name.
#[derive(Debug, Default)]
pub(super) struct Given {
    values: BTreeMap<&'static str, Value>,
}

impl Given {
    /// A share or a number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.values.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn ms(&self, name: &str) -> Option<u64> {
        match self.values.get(name) {
            Some(Value::Ms(ms)) => Some(*ms),
            _ => None,
        }
    }

    pub(super) fn count(&self, name: &str) -> Option<u32> {
        match self.values.get(name) {
            Some(Value::Count(count)) => Some(*count),
            _ => None,
        }
    }

    pub(super) fn word(&self, name: &str) -> Option<&'static str> {
        match self.values.get(name) {
            Some(Value::Word(word)) => Some(word),
            _ => None,
        }
    }
}

/// Takes `text` apart and makes the policy of it.
pub(super) fn parse(table: &'static [&'static Entry], text: &str) -> Result<Kind, NameError> {
    let error = |why: String, hint: String| NameError { name: text.to_owned(), why, hint };
    let (head, rest) = text.split_once(':').map_or((text, None), |(head, rest)| (head, Some(rest)));
    let Some(entry) = table.iter().find(|entry| entry.name == head) else {
        let names: Vec<&str> = table.iter().map(|entry| entry.name).collect();
        let hint = format!("valid policies: {}; --help lists their settings", names.join(", "));
        return Err(error("unknown policy".to_owned(), hint));
    };
    let parts = rest.map(|rest| rest.split([':', ',']));
    let made = given(entry, parts.into_iter().flatten()).and_then(|given| (entry.build)(&given));
    made.map_err(|why| error(why, entry.hint()))
}

fn given<'a>(entry: &Entry, parts: impl Iterator<Item = &'a str>) -> Result<Given, String> {
    let mut given = Given::default();
    let mut place = 0;
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, text)) => entry.named(name, text)?,
            None => {
                place += 1;
                entry.placed(place, part)?
            }
        };
        if given.values.insert(name, value).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    Ok(given)
}

impl Entry {
    fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    fn named(&self, name: &str, text: &str) -> Result<(&'static str, Value), String> {
        // As with labels, dashes and underscores are alike.
        let setting = self.setting(&name.trim().replace('_', "-"));
        let setting = setting.ok_or_else(|| format!("{} has no setting `{name}`", self.name))?;
        let value = setting.takes.read(text).ok_or_else(|| setting.objection(text))?;
        Ok((setting.name, value))
    }

    /// The value without a name at the `place`-th place, counted from 1.
    fn placed(&self, place: usize, text: &str) -> Result<(&'static str, Value), String> {
        let most = self.short.len();
        let names = self.short.get(place - 1).ok_or_else(|| match most {
            0 => format!("`{text}` has no name"),
            _ => format!("`{text}` has no name, and {} takes only {most} without one", self.name),
        })?;
        let settings: Vec<&Setting> = names.iter().filter_map(|name| self.setting(name)).collect();
        let fits = |setting: &&Setting| Some((setting.name, setting.takes.read_short(text)?));
        let objections = || settings.iter().map(|s| s.objection(text)).collect::<Vec<_>>();
        settings.iter().find_map(fits).ok_or_else(|| objections().join(", and "))
    }

    /// What can be written.
    fn hint(&self) -> String {
        let settings = self.settings.iter().map(|setting| match setting.fallback {
            Fallback::Is(value) => format!("{}={value}", setting.name),
            Fallback::Otherwise(_) => format!("{}={}", setting.name, setting.takes),
        });
        let settings: Vec<String> = settings.collect();
        match settings.as_slice() {
            [] => format!("write `{}` alone: it has no settings", self.name),
            some => format!("its settings and their defaults: {}:{}", self.name, some.join(",")),
        }
    }
}

impl Setting {
    fn objection(&self, text: &str) -> String {
        let shown: String = text.chars().take(40).collect();
        format!("`{shown}` is not a valid `{}`: it must be {}", self.name, self.takes.range())
    }
}

impl Takes {
    fn read(self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Self::Share(most) => share(text).filter(|n| *n > 0.0 && *n <= most).map(Value::Number),
            Self::ShareOrNone(most) => share(text).filter(|n| *n <= most).map(Value::Number),
            Self::Duration(least_ms) => parse_duration(text)
                .ok()
                .filter(|ms| (least_ms..=YEAR_MS).contains(ms))
                .map(Value::Ms),
            Self::Count(least) => text
                .parse()
                .ok()
                .filter(|count| (least..=COUNT_MAX).contains(count))
                .map(Value::Count),
            Self::Number(least) => text
                .parse()
                .ok()
                .filter(|number| (least..=NUMBER_MAX).contains(number))
                .map(Value::Number),
            Self::Word(words) => words.iter().find(|word| **word == text).copied().map(Value::Word),
        }
    }

    /// A value without a name may leave out the unit of seconds, too.
    fn read_short(self, text: &str) -> Option<Value> {
        let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::Duration(_) if bare => self.read(&format!("{text}s")),
            _ => self.read(text),
        }
    }

    /// What it takes, for a sentence.
    fn range(self) -> String {
        match self {
            Self::Share(most) => format!("a share above 0% and up to {}", show_share(most)),
            Self::ShareOrNone(most) => format!("a share up to {}", show_share(most)),
            Self::Duration(0) => "a duration such as 90s".to_owned(),
            Self::Duration(least_ms) => {
                format!("a duration of at least {}, such as 90s", show_duration(least_ms))
            }
            Self::Count(least) => format!("a whole number of at least {least}"),
            Self::Number(least) => format!("a number of at least {least}"),
            Self::Word(words) => format!("one of {}", words.join(", ")),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(_) | Self::ShareOrNone(_) => f.write_str("SHARE"),
            Self::Duration(_) => f.write_str("DURATION"),
            Self::Count(_) => f.write_str("N"),
            Self::Number(_) => f.write_str("NUMBER"),
            Self::Word(words) => f.write_str(&words.join("|")),
        }
    }
}

/// `70%`, or `70` for short.
fn share(text: &str) -> Option<f64> {
    let with_sign = if text.ends_with('%') { text.to_owned() } else { format!("{text}%") };
    parse_share(&with_sign).ok()
}
