//! The table of policies and their settings, for `--help` and for the documentation. Every policy
//! and every setting that is read is shown.

use std::fmt::Write;

use super::POLICIES;
use super::grammar::{Entry, Fallback, Setting};

const GRAMMAR: &str = "NAME, NAME:SETTING=VALUE,SETTING=VALUE..., or for short NAME:VALUE. A share is 70% or 70, a \
     duration 250ms, 90s, 5m or 1h.";

/// All policies with their settings, as text.
pub fn help() -> String {
    let mut text = format!("{GRAMMAR}\n");
    for entry in POLICIES {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}{}: {}", entry.name, shortened(entry), entry.meaning);
        for setting in entry.settings {
            let name = setting.name;
            let value = value(setting);
            let _ = write!(text, "\n    {name}={value}: {}", setting.meaning);
            if let Fallback::Otherwise(words) = setting.fallback {
                let _ = write!(text, " (default: {words})");
            }
        }
    }
    text
}

/// The same as a table in Markdown, a row for each setting.
pub fn markdown() -> String {
    let mut text = format!("{GRAMMAR}\n\n| policy | setting | default | is |\n|---|---|---|---|\n");
    for entry in POLICIES {
        let name = entry.name;
        let short = shortened(entry);
        let _ = writeln!(text, "| `{name}{short}` | | | {} |", entry.meaning);
        for setting in entry.settings {
            let default = match setting.fallback {
                Fallback::Is(value) => format!("`{value}`"),
                Fallback::Otherwise(words) => words.to_owned(),
            };
            let of = setting.name;
            let meaning = setting.meaning;
            let _ = writeln!(text, "| `{name}` | `{of}` | {default} | {meaning} |");
        }
    }
    text
}

fn value(setting: &Setting) -> String {
    match setting.fallback {
        Fallback::Is(value) => value.to_owned(),
        Fallback::Otherwise(_) => setting.takes.to_string(),
    }
}

/// What may be written without a name: `[:TARGET[:WINDOW]]`.
fn shortened(entry: &Entry) -> String {
    let places = entry.short.iter().rev();
    places.fold(String::new(), |after, names| {
        let names: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
        format!("[:{}{after}]", names.join(" or "))
    })
}
