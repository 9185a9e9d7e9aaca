//! The reference of all keys, as Markdown.
//!
//! Decides how the table of keys is printed. Invariant: it prints every key of every section, so
//! that the documentation cannot fall behind what is read.

use std::fmt::Write;

use crate::duration::show_duration;
use crate::keys::{Fallback, Key, Kind, SECTIONS};
use crate::share::show_share;

/// All sections and keys of the file: type, default and meaning of each.
pub fn reference() -> String {
    let mut page = String::from(
        "# flyball.toml\n\n\
         A duration is a whole number and a unit: `\"250ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`, `\"14d\"`.\n\
         A share is a number and a percent sign: `\"30%\"`. Relative paths start at the file's directory.\n",
    );
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## `[{}]`\n\n{}\n\n", section.path, section.meaning);
        page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            page.push_str(&row(key));
        }
    }
    page
}

fn row(key: &Key) -> String {
    let fallback = match key.fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Is(value) => format!("`{value}`"),
        Fallback::Otherwise(words) => words.to_owned(),
    };
    format!("| `{}` | {} | {fallback} | {} |\n", key.name, kind(&key.kind), key.meaning)
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Address => "IP address and port".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::HttpPath => "path that starts with `/`".to_owned(),
        Kind::Words => "list of texts".to_owned(),
        Kind::Variables => "table of texts".to_owned(),
        Kind::Cores => "number above 0".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Count { from, to } => format!("whole number, {from} to {to}"),
        Kind::Duration { from_ms, to_ms } => {
            format!("duration, {} to {}", show_duration(*from_ms), show_duration(*to_ms))
        }
        Kind::Share { above_zero, to } => {
            let from = if *above_zero { "above 0%" } else { "0%" };
            format!("share, {from} to {}", show_share(*to))
        }
        Kind::Choice(words) => {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or ")
        }
        Kind::Table(path) => format!("see `[{path}]`"),
    }
}
