//! Kinds of texts and of lists of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::error::ConfigError;
use super::key::Form;
use super::kinds::{Given, Kind};
use super::syntax::Syntax;
use super::value::{Value, show_path};

/// The largest token file, in bytes.
const TOKEN_MAX: u64 = 4_096;

pub(crate) const PATH: Kind<PathBuf> = Kind::plain("path", path);
pub(crate) const TOKEN_FILE: Kind<PathBuf> = Kind::plain("path", token_file);
pub(crate) const TEXT: Kind<String> = Kind::plain("text", text);
pub(crate) const PRINCIPAL: Kind<String> = Kind::plain("text", principal);
pub(crate) const HTTP_PATH: Kind<String> = Kind::plain("path that starts with `/`", http_path);
pub(crate) const OPTIONS: Kind<String> = Kind::plain("words of a `server` line", options);
pub(crate) const HAPROXY_NAME: Kind<String> =
    Kind::plain("text of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-` and `:`", haproxy_name);
pub(crate) const HAPROXY_NAMES: Kind<BTreeSet<String>> =
    Kind::plain("list of HAProxy names", haproxy_names);
pub(crate) const HOST_NAMES: Kind<BTreeSet<String>> =
    Kind::plain("host name, or list of host names", host_names);
pub(crate) const WORDS: Kind<Vec<String>> = Kind::of(Form::Words, words);
pub(crate) const LINES: Kind<Vec<String>> = Kind::of(Form::Lines, lines);

fn path(given: Given<'_>) -> Result<PathBuf, ConfigError> {
    match (&given.node.value, given.around.syntax) {
        // Labels are in no directory that a path could start at.
        (Value::Text(text), Syntax::Labels) if !text.starts_with('/') => {
            Err(given.not_like("an absolute path", "\"/path\""))
        }
        (Value::Text(text), _) if !text.is_empty() && !text.contains('\0') => {
            Ok(given.around.base.join(text))
        }
        _ => Err(given.not_like("a path", "\"/path\"")),
    }
}

/// A file that holds a secret, which is not kept.
fn token_file(given: Given<'_>) -> Result<PathBuf, ConfigError> {
    let path = path(given)?;
    let why = match flyball_file::read_text(&path, TOKEN_MAX) {
        Ok(token) if token.trim().is_empty() => "is empty".to_owned(),
        Ok(_) => return Ok(path),
        Err(error) => format!("cannot be used: {error}"),
    };
    let instead = "write a one-line secret into it: head -c 32 /dev/urandom | base64".to_owned();
    Err(ConfigError::setting(given.path, &format!(": {} {why}", show_path(&path)), instead))
}

/// A name that means something elsewhere, such as an image or a network.
fn text(given: Given<'_>) -> Result<String, ConfigError> {
    given.text_that(is_graphic, "a name", "\"NAME\"")
}

/// A user name: in HTTP basic authentication, a colon ends it.
fn principal(given: Given<'_>) -> Result<String, ConfigError> {
    let fine = |name: &str| is_graphic(name) && !name.contains(':');
    given.text_that(fine, "a name without a colon", "\"flyball\"")
}

fn http_path(given: Given<'_>) -> Result<String, ConfigError> {
    let fine = |text: &str| text.starts_with('/') && is_graphic(text);
    given.text_that(fine, "a path on a web server", "\"/healthz\"")
}

fn is_graphic(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

fn haproxy_name(given: Given<'_>) -> Result<String, ConfigError> {
    match &given.node.value {
        Value::Text(text) if is_haproxy_name(text) => Ok(text.clone()),
        _ => Err(given.not_a("a HAProxy name", "use A-Z, a-z, 0-9, ., _, - and :".to_owned())),
    }
}

/// Names that HAProxy takes; there may be none.
fn haproxy_names(given: Given<'_>) -> Result<BTreeSet<String>, ConfigError> {
    let name = |text: &str| is_haproxy_name(text).then(|| text.to_owned());
    given.each(name, "a list of HAProxy names", "[\"web\"]")
}

fn is_haproxy_name(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    !text.is_empty() && text.chars().all(fine)
}

/// One host name, or several; in lower case, without a port.
fn host_names(given: Given<'_>) -> Result<BTreeSet<String>, ConfigError> {
    let (wanted, example) = ("a host name, or a list of them", "[\"web.example\"]");
    if let Value::Text(text) = &given.node.value {
        let name = host_name(text).ok_or_else(|| given.not_like(wanted, example))?;
        return Ok(BTreeSet::from([name]));
    }
    given.each(host_name, wanted, example)
}

fn host_name(text: &str) -> Option<String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_name = (1..=253).contains(&text.len()) && text.bytes().all(fine);
    is_name.then(|| text.to_ascii_lowercase())
}

/// Words of a `server` line. Which of them HAProxy takes is for the balancer to say.
fn options(given: Given<'_>) -> Result<String, ConfigError> {
    let fine = |text: &str| !text.contains(char::is_control);
    let text = given.text_that(fine, "options of a server line", "\"ssl verify none\"")?;
    Ok(text.trim().to_owned())
}

/// Texts of one line each; there may be none.
fn lines(given: Given<'_>) -> Result<Vec<String>, ConfigError> {
    let fine = |text: &str| !text.contains(|c: char| c.is_control() && c != '\t');
    let line = |text: &str| fine(text).then(|| text.to_owned());
    given.each(line, "a list of lines", "[\"balance leastconn\"]")
}

/// A program and its arguments.
fn words(given: Given<'_>) -> Result<Vec<String>, ConfigError> {
    let (wanted, example) = ("a list of texts", "[\"./server\", \"--port\", \"{port}\"]");
    if let Value::Text(text) = &given.node.value {
        let words: Vec<_> = text.split_whitespace().map(|w| format!("{w:?}")).collect();
        return Err(given.not_like(wanted, &format!("[{}]", words.join(", "))));
    }
    let word = |text: &str| (!text.contains('\0')).then(|| text.to_owned());
    let words: Vec<String> = given.each(word, wanted, example)?;
    if words.first().is_none_or(String::is_empty) {
        let (found, instead) = ("a list without a program", given.example(example));
        return Err(ConfigError::not_a(given.path, found, "a command", instead));
    }
    Ok(words)
}
