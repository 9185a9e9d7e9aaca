//! Checks one value against the type and limits of its key. Accepted numbers are finite and within
//! the limits, and every refusal says what to write instead.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::bytes::{parse_bytes, show_bytes};
use crate::config_error::ConfigError;
use crate::duration::{parse_duration, show_duration};
use crate::keys::{Key, Kind};
use crate::share::{instead_of_number, parse_share, show_share};
use crate::syntax::Syntax;
use crate::value::{Node, Value, shorten};

/// The most cores one replica may be given: beyond any machine, and far from where sums overflow.
const CORES_MAX: f64 = 10_000.0;

/// The longest hint, in bytes: one that repeats a long value tells nothing.
const HINT_MAX: usize = 300;

/// A value together with its key and the key's full path, for the words of a refusal.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) path: &'a str,
    pub(crate) key: &'a Key,
    pub(crate) node: &'a Node,
    pub(crate) syntax: Syntax,
}

impl Given<'_> {
    pub(crate) fn not_a(&self, wanted: &str, instead: impl Into<Option<String>>) -> ConfigError {
        ConfigError::NotA {
            key: self.path.to_owned(),
            found: self.node.show(),
            wanted: wanted.to_owned(),
            instead: instead.into().filter(|hint| hint.len() <= HINT_MAX),
        }
    }

    /// The key is read as something that the table of keys does not say it is. No user can bring
    /// this about, and the test that reads every key would.
    fn of_another_kind(&self) -> ConfigError {
        self.not_a("of the kind that this key has", None)
    }

    pub(crate) fn out_of_range(&self, limit: String) -> ConfigError {
        ConfigError::OutOfRange { key: self.path.to_owned(), found: self.node.show(), limit }
    }

    /// A hint to write `value`, which is TOML.
    pub(crate) fn example(&self, value: &str) -> String {
        format!("write {}", self.syntax.assign(self.path, self.key.name, value))
    }
}

pub(crate) fn flag(given: Given<'_>) -> Result<bool, ConfigError> {
    match given.node.value {
        Value::Flag(flag) => Ok(flag),
        _ => Err(given.not_a("true or false", given.example("true"))),
    }
}

pub(crate) fn count(given: Given<'_>) -> Result<u32, ConfigError> {
    let Kind::Count { from, to } = given.key.kind else { return Err(given.of_another_kind()) };
    let number = match &given.node.value {
        Value::Whole(number) => *number,
        Value::Text(text) if text.parse::<u32>().is_ok() => {
            return Err(given.not_a("a whole number", given.example(text)));
        }
        _ => return Err(given.not_a("a whole number", given.example(&from.max(2).to_string()))),
    };
    match u32::try_from(number) {
        Ok(count) if count < from => Err(given.out_of_range(format!("at least {from}"))),
        Ok(count) if count <= to => Ok(count),
        Err(_) if number < 0 => Err(given.out_of_range(format!("at least {from}"))),
        _ => Err(given.out_of_range(format!("at most {to}"))),
    }
}

pub(crate) fn cores(given: Given<'_>) -> Result<f64, ConfigError> {
    let cores = match &given.node.value {
        Value::Real(number) => *number,
        #[expect(clippy::cast_precision_loss, reason = "whole numbers this large are refused")]
        Value::Whole(number) => *number as f64,
        _ => return Err(given.not_a("a number of cores", given.example("0.5"))),
    };
    if cores.is_nan() {
        Err(given.not_a("a number of cores", given.example("0.5")))
    } else if cores <= 0.0 {
        Err(given.out_of_range("above 0".to_owned()))
    } else if cores > CORES_MAX {
        Err(given.out_of_range(format!("at most {CORES_MAX}")))
    } else {
        Ok(cores)
    }
}

pub(crate) fn duration_ms(given: Given<'_>) -> Result<u64, ConfigError> {
    let Kind::Duration { from_ms, to_ms } = given.key.kind else {
        return Err(given.of_another_kind());
    };
    let text = match &given.node.value {
        Value::Text(text) => text,
        Value::Whole(number) => {
            let hint = format!("write \"{number}s\" for seconds; units: ms, s, m, h, d");
            return Err(given.not_a("a duration", (*number >= 0).then_some(hint)));
        }
        _ => return Err(given.not_a("a duration", given.example("\"30s\""))),
    };
    match parse_duration(text) {
        Ok(ms) if ms < from_ms => {
            Err(given.out_of_range(format!("at least {}", show_duration(from_ms))))
        }
        Ok(ms) if ms > to_ms => {
            Err(given.out_of_range(format!("at most {}", show_duration(to_ms))))
        }
        Ok(ms) => Ok(ms),
        Err(error) => Err(given.not_a("a duration", error.hint())),
    }
}

pub(crate) fn share(given: Given<'_>) -> Result<f64, ConfigError> {
    let Kind::Share { above_zero, to } = given.key.kind else {
        return Err(given.of_another_kind());
    };
    let share = match &given.node.value {
        Value::Text(text) => {
            parse_share(text).map_err(|error| given.not_a("a share", error.hint()))?
        }
        #[expect(clippy::cast_precision_loss, reason = "only for the words of a hint")]
        Value::Whole(number) => {
            return Err(given.not_a("a share", instead_of_number(*number as f64)));
        }
        Value::Real(number) => return Err(given.not_a("a share", instead_of_number(*number))),
        _ => return Err(given.not_a("a share", given.example("\"30%\""))),
    };
    if above_zero && share <= 0.0 {
        Err(given.out_of_range("above 0%".to_owned()))
    } else if share > to {
        Err(given.out_of_range(format!("at most {}", show_share(to))))
    } else {
        Ok(share)
    }
}

pub(crate) fn path(given: Given<'_>) -> Result<PathBuf, ConfigError> {
    match (&given.node.value, given.syntax) {
        // Labels are in no directory that a path could start at.
        (Value::Text(text), Syntax::Labels) if !text.starts_with('/') => {
            Err(given.not_a("an absolute path", given.example("\"/path\"")))
        }
        (Value::Text(text), _) if !text.is_empty() && !text.contains('\0') => Ok(text.into()),
        _ => Err(given.not_a("a path", given.example("\"/path\""))),
    }
}

/// A name that means something elsewhere, such as an image or a network.
pub(crate) fn text(given: Given<'_>) -> Result<String, ConfigError> {
    let fine = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    match &given.node.value {
        Value::Text(text) if fine(text) => Ok(text.clone()),
        _ => Err(given.not_a("a name", given.example("\"NAME\""))),
    }
}

/// A user name: in HTTP basic authentication, a colon ends it.
pub(crate) fn principal(given: Given<'_>) -> Result<String, ConfigError> {
    text(given)
        .ok()
        .filter(|name| !name.contains(':'))
        .ok_or_else(|| given.not_a("a name without a colon", given.example("\"flyball\"")))
}

pub(crate) fn haproxy_name(given: Given<'_>) -> Result<String, ConfigError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    match &given.node.value {
        Value::Text(text) if !text.is_empty() && text.chars().all(fine) => Ok(text.clone()),
        _ => Err(given.not_a("a HAProxy name", "use A-Z, a-z, 0-9, ., _, - and :".to_owned())),
    }
}

/// Names that HAProxy takes; there may be none.
pub(crate) fn haproxy_names(given: Given<'_>) -> Result<BTreeSet<String>, ConfigError> {
    let refuse = || given.not_a("a list of HAProxy names", given.example("[\"web\"]"));
    let Value::List(items) = &given.node.value else { return Err(refuse()) };
    items.iter().map(|node| haproxy_name(Given { node, ..given }).map_err(|_| refuse())).collect()
}

/// Words of a `server` line. Which of them HAProxy takes is for the balancer to say.
pub(crate) fn options(given: Given<'_>) -> Result<String, ConfigError> {
    match &given.node.value {
        Value::Text(text) if !text.contains(char::is_control) => Ok(text.trim().to_owned()),
        _ => Err(given.not_a("options of a server line", given.example("\"ssl verify none\""))),
    }
}

/// Texts of one line each; there may be none.
pub(crate) fn lines(given: Given<'_>) -> Result<Vec<String>, ConfigError> {
    let refuse = || given.not_a("a list of lines", given.example("[\"balance leastconn\"]"));
    let Value::List(items) = &given.node.value else { return Err(refuse()) };
    let line = |item: &Node| match &item.value {
        Value::Text(text) if !text.contains(|c: char| c.is_control() && c != '\t') => {
            Ok(text.clone())
        }
        _ => Err(refuse()),
    };
    items.iter().map(line).collect()
}

pub(crate) fn bytes(given: Given<'_>) -> Result<u64, ConfigError> {
    let Kind::Bytes { from, to } = given.key.kind else { return Err(given.of_another_kind()) };
    let text = match &given.node.value {
        Value::Text(text) => text.clone(),
        Value::Whole(number) => number.to_string(),
        _ => return Err(given.not_a("an amount of memory", given.example("\"256MiB\""))),
    };
    match parse_bytes(&text) {
        Ok(bytes) if bytes < from => {
            Err(given.out_of_range(format!("at least {}", show_bytes(from))))
        }
        Ok(bytes) if bytes > to => Err(given.out_of_range(format!("at most {}", show_bytes(to)))),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(given.not_a("an amount of memory", error.hint())),
    }
}

pub(crate) fn http_path(given: Given<'_>) -> Result<String, ConfigError> {
    let fine = |text: &String| text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic());
    match &given.node.value {
        Value::Text(text) if fine(text) => Ok(text.clone()),
        _ => Err(given.not_a("a path on a web server", given.example("\"/healthz\""))),
    }
}

pub(crate) fn word(given: Given<'_>) -> Result<&'static str, ConfigError> {
    let Kind::Choice(words) = given.key.kind else { return Err(given.of_another_kind()) };
    let first = words.first().copied().unwrap_or_default();
    match &given.node.value {
        Value::Text(text) => words
            .iter()
            .find(|word| *word == text)
            .copied()
            .ok_or_else(|| unknown_word(given.path, text, words)),
        _ => Err(given.not_a("a word", given.example(&format!("\"{first}\"")))),
    }
}

pub(crate) fn words(given: Given<'_>) -> Result<Vec<String>, ConfigError> {
    let wanted = "a list of texts";
    let hint = || given.example("[\"./server\", \"--port\", \"{port}\"]");
    let Value::List(items) = &given.node.value else {
        if let Value::Text(text) = &given.node.value {
            let words: Vec<_> = text.split_whitespace().map(|w| format!("{w:?}")).collect();
            let list = format!("[{}]", words.join(", "));
            return Err(given.not_a(wanted, given.example(&list)));
        }
        return Err(given.not_a(wanted, hint()));
    };
    let words = items
        .iter()
        .map(|item| match &item.value {
            Value::Text(text) if !text.contains('\0') => Ok(text.clone()),
            _ => Err(given.not_a(wanted, hint())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(ConfigError::NotA {
            key: given.path.to_owned(),
            found: "a list without a program".to_owned(),
            wanted: "a command".to_owned(),
            instead: Some(hint()),
        }),
    }
}

/// The value of the variable `name`, which is in no message.
pub(crate) fn variable(path: &str, name: &str, node: &Node) -> Result<String, ConfigError> {
    let refuse = |found: &str, wanted: &str, instead: &str| ConfigError::NotA {
        key: path.to_owned(),
        found: found.to_owned(),
        wanted: wanted.to_owned(),
        instead: Some(instead.to_owned()),
    };
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(refuse("this name", "the name of a variable", "remove every ="));
    }
    match &node.value {
        Value::Text(text) if !text.contains('\0') => Ok(text.clone()),
        Value::Text(_) => Err(refuse("a text with a NUL", "a value", "remove the NUL")),
        _ => Err(refuse(node.name(), "a text", "put it in quotes")),
    }
}

/// What is wrong with `word`, of which there is none among `known`.
pub(crate) fn unknown_word(path: &str, word: &str, known: &[&str]) -> ConfigError {
    let list = known.iter().map(|k| format!("\"{k}\"")).collect::<Vec<_>>().join(", ");
    let instead = nearest(word, known.iter().copied()).map_or_else(
        || format!("valid values: {list}"),
        |near| format!("did you mean \"{near}\"?"),
    );
    ConfigError::UnknownWord { key: path.to_owned(), word: shorten(word), instead }
}

/// The candidate that is most likely what `word` was meant to be, if any is likely at all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The comparison takes time in the product of the lengths, and no key is nearly this long.
    if word.len() > 40 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (likeness(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// From 0 to 1. One slip (a letter swapped, left out, added) counts for much in a short word, in
/// which common beginnings tell little.
fn likeness(word: &str, candidate: &str) -> f64 {
    let slip = word.len() >= 3 && strsim::damerau_levenshtein(word, candidate) == 1;
    let floor = if slip { 0.9 } else { 0.0 };
    strsim::jaro_winkler(word, candidate).max(floor)
}
