//! Findings of the preflight check, and the edits that fix them.
//!
//! A hint that names lines is generated from the edits, so tests apply exactly what users read.

use std::fmt;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether flyball can work with it.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do. There always is something where the level is not [`Level::Ok`].
    pub hint: Option<String>,
    /// The same as lines, where it can be said in lines.
    pub edits: Vec<Edit>,
}

/// Whether flyball can work with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It can.
    Ok,
    /// It can, and requests may be lost or slow.
    Advice,
    /// It cannot.
    Wrong,
}

/// One line to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Add it to a section of HAProxy's configuration, such as `backend web`.
    Add {
        /// The section, as it begins.
        section: String,
        /// The line.
        line: String,
    },
    /// Put it in the place of the lines of that section that begin with the same words.
    Replace {
        /// The section, as it begins.
        section: String,
        /// How the lines begin that it takes the place of.
        old: String,
        /// The line.
        line: String,
    },
    /// Take it out.
    Remove {
        /// The section, as it begins.
        section: String,
        /// How the line begins.
        line: String,
    },
    /// Add a section.
    Section {
        /// The section, as it begins.
        section: String,
        /// Its only line.
        line: String,
    },
    /// Set a key of the service.
    Flyball {
        /// The key, such as `haproxy.options`.
        key: &'static str,
        /// Its value as TOML.
        value: String,
    },
}

impl Finding {
    pub(crate) fn well(what: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), hint: None, edits: Vec::new() }
    }

    /// It works, and would work better.
    pub(crate) fn advice(what: impl Into<String>, edits: Vec<Edit>) -> Self {
        let hint = Some(said(&edits));
        Self { level: Level::Advice, what: what.into(), hint, edits }
    }

    pub(crate) fn wrong(what: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self { level: Level::Wrong, ..Self::advice(what, edits) }
    }

    /// The same in words that are no lines.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// All of `edits`, the lines of one section behind its title.
fn said(edits: &[Edit]) -> String {
    let mut parts: Vec<(String, Vec<&str>)> = Vec::new();
    for edit in edits {
        match (edit, parts.last_mut()) {
            (Edit::Add { section, line }, Some((title, lines)))
                if *title == format!("in `{section}`: ") =>
            {
                lines.push(line);
            }
            (Edit::Add { section, line }, _) => {
                parts.push((format!("in `{section}`: "), vec![line]));
            }
            (other, _) => parts.push((other.to_string(), Vec::new())),
        }
    }
    let part = |(title, lines): (String, Vec<&str>)| format!("{title}{}", lines.join("; "));
    parts.into_iter().map(part).collect::<Vec<_>>().join(", and ")
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { section, line } => write!(f, "in `{section}`: {line}"),
            Self::Replace { section, old, line } => {
                write!(f, "in `{section}`, instead of `{old}`: {line}")
            }
            Self::Remove { section, line } => write!(f, "remove `{line}` from `{section}`"),
            Self::Section { section, line } => write!(f, "add a section `{section}` with `{line}`"),
            Self::Flyball { key, value } => write!(f, "in the service's keys: {key} = {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_its_lines() {
        let add = |line: &str| Edit::Add { section: "backend web".into(), line: line.into() };
        let key = Edit::Flyball { key: "slots", value: "8".into() };
        assert_eq!(
            said(&[add("retries 3"), add("option redispatch 1"), key]),
            "in `backend web`: retries 3; option redispatch 1, and in the service's keys: slots = 8"
        );
    }
}
