//! Kinds of words, and the help for those that are misspelt.

use super::error::ConfigError;
use super::key::Form;
use super::kinds::{Given, Kind};
use super::value::{Value, shorten};

pub(crate) const fn choice(words: &'static [&'static str]) -> Kind<&'static str> {
    Kind::of(Form::Choice(words), word)
}

fn word(given: Given<'_>) -> Result<&'static str, ConfigError> {
    let Form::Choice(words) = given.key.form else { return Err(given.of_another_form()) };
    let first = words.first().copied().unwrap_or_default();
    match &given.node.value {
        Value::Text(text) => {
            let known = words.iter().find(|word| *word == text);
            known.copied().ok_or_else(|| unknown_word(given.path, text, words))
        }
        _ => Err(given.not_like("a word", &format!("\"{first}\""))),
    }
}

/// What is wrong with `word`, of which there is none among `known`.
pub(crate) fn unknown_word(path: &str, word: &str, known: &[&str]) -> ConfigError {
    let list = known.iter().map(|k| format!("\"{k}\"")).collect::<Vec<_>>().join(", ");
    let instead = nearest(word, known.iter().copied()).map_or_else(
        || format!("valid values: {list}"),
        |near| format!("did you mean \"{near}\"?"),
    );
    not_valid(path, word, instead)
}

/// The key at `path` does not take `word`.
pub(crate) fn not_valid(path: &str, word: &str, instead: String) -> ConfigError {
    let wrong = format!(": \"{}\" is not a valid value", shorten(word));
    ConfigError::setting(path, &wrong, instead)
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
