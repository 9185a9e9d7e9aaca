//! What a key is, apart from its type: for the reference, for labels and for hints. Sections are
//! declared with [`super::section!`] and hang together by the keys that are tables.

use crate::bytes::show_bytes;
use crate::duration::show_duration;
use crate::share::show_share;

/// Keys that stand together in one table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its path; `NAME` stands for a service's name.
    pub(crate) path: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) declared: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) fallback: Fallback,
    pub(crate) meaning: &'static str,
    /// All of this must hold, or the key means nothing.
    pub(crate) only: &'static [Only],
    /// Whether a label may give it; `None` for what is no key of a service.
    pub(crate) by_label: Option<ByLabel>,
}

/// Whether a label may set a key of a service. Labels belong to the authors of containers; the file
/// is the operator's (docs/design/015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByLabel {
    /// It reaches nothing beyond the service.
    Always,
    /// Up to what the container itself has; beyond that where `labels_may` names it.
    Within,
    /// Only where `labels_may` names it.
    Allowed,
    /// Only the file may.
    Never,
}

/// A choice beside which a key means something: the key that chooses, and its words.
#[derive(Debug)]
pub(crate) struct Only(pub(crate) &'static str, pub(crate) &'static [&'static str]);

/// How a value is written, and within which limits, which are inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// As these words say; one text where a label gives it.
    Plain(&'static str),
    Words,
    Lines,
    Variables,
    Cores,
    Flag,
    Whole {
        from: u32,
        to: u32,
    },
    Bytes {
        from: u64,
        to: u64,
    },
    Duration {
        from_ms: u64,
        to_ms: u64,
    },
    Share {
        above_zero: bool,
        to: f64,
    },
    Choice(&'static [&'static str]),
    /// A table with keys of its own.
    Table(&'static Section),
    /// The same, or a word.
    WordOrTable(&'static Section),
    /// Keys of this very table that several sections have in common.
    Group(&'static Section),
}

/// What a key is when it is left out.
#[derive(Debug)]
pub(crate) enum Fallback {
    /// It must be there; an example.
    Required(&'static str),
    /// This, as it would be written.
    Is(&'static str),
    /// What these words say.
    Otherwise(&'static str),
}

impl Section {
    /// Its keys, in the order of the reference.
    pub(crate) fn keys(&self) -> Vec<&'static Key> {
        let with_groups = |key: &'static Key| match key.form {
            Form::Group(group) => group.keys(),
            _ => vec![key],
        };
        self.declared.iter().flat_map(with_groups).collect()
    }

    /// The key that is called `name`.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().into_iter().find(|key| key.name == name)
    }

    /// This section and all below it, each before those that its keys lead to.
    pub(crate) fn with_all_below(&'static self) -> Vec<&'static Self> {
        let below = self.keys().into_iter().filter_map(|key| key.form.section());
        std::iter::once(self).chain(below.flat_map(Self::with_all_below)).collect()
    }
}

impl Form {
    /// The section that a table of this form is.
    pub(crate) fn section(&self) -> Option<&'static Section> {
        match self {
            Self::Table(section) | Self::WordOrTable(section) => Some(section),
            _ => None,
        }
    }

    /// How the reference calls it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Plain(words) => (*words).to_owned(),
            Self::Words | Self::Lines => "list of texts".to_owned(),
            Self::Variables => "table of texts".to_owned(),
            Self::Cores => "number above 0".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole { from, to } => format!("whole number, {from} to {to}"),
            Self::Bytes { from, to } => {
                format!("amount of memory, {} to {}", show_bytes(*from), show_bytes(*to))
            }
            Self::Duration { from_ms, to_ms } => {
                format!("duration, {} to {}", show_duration(*from_ms), show_duration(*to_ms))
            }
            Self::Share { above_zero, to } => {
                let from = if *above_zero { "above 0%" } else { "0%" };
                format!("share, {from} to {}", show_share(*to))
            }
            Self::Choice(words) => format!("`{}`", either(words)),
            Self::Table(section) | Self::WordOrTable(section) | Self::Group(section) => {
                format!("see `[{}]`", section.path)
            }
        }
    }
}

impl Only {
    /// The condition as the reference writes it.
    pub(crate) fn words(&self) -> String {
        format!("`{} = {}`", self.0, either(self.1))
    }
}

fn either(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join("` or `")
}
