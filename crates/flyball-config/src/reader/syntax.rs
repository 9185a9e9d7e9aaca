//! The two ways to write a setting: in the file, or as a label of a container. What a hint says to
//! write is valid in the syntax of the message.

use super::key::Section;
use super::value::shorten;

/// Where a setting was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// In the file: `start_lag = "2s"` in `[services.web]`.
    File,
    /// As a label: `flyball.start-lag=2s`.
    Labels,
}

/// The path of a service's keys as labels. Every message says "label", because some keys of the
/// file, such as `flyball.listen`, look the same.
pub(crate) const LABELS_PATH: &str = "label flyball";

impl Syntax {
    /// The full path of a known key called `name` in the table at `path`.
    pub(crate) fn key(self, path: &str, name: &str) -> String {
        match self {
            Self::File => join(path, name),
            Self::Labels => format!("{path}.{}", dashed(name)),
        }
    }

    /// The full path of something in the table at `path` that its writer called `name`.
    pub(crate) fn named(self, path: &str, name: &str) -> String {
        match self {
            Self::File => join(path, name),
            Self::Labels => format!("{path}.{}", shorten(name)),
        }
    }

    /// How the key `name` with the full path `path` is given `value`, which is TOML.
    pub(crate) fn assign(self, path: &str, name: &str, value: &str) -> String {
        match self {
            Self::File => format!("{name} = {value}"),
            Self::Labels => format!("{}={}", bare(path), value.trim_matches('"')),
        }
    }

    /// How the key `name` in the table at `path` is called where no value follows.
    pub(crate) fn mention(self, path: &str, name: &str) -> String {
        match self {
            Self::File => name.to_owned(),
            Self::Labels => bare(&self.key(path, name)).to_owned(),
        }
    }

    /// What to write for the key `name` in the table at `path`, which is the table `section`.
    pub(crate) fn table_hint(self, path: &str, name: &str, section: &Section) -> String {
        let path = self.key(path, name);
        let keys = section.keys().into_iter().map(|key| self.mention(&path, key.name));
        match self {
            Self::File => format!("write {name} = {{ ... }}"),
            Self::Labels => format!("valid keys: {}", keys.collect::<Vec<_>>().join(", ")),
        }
    }

    /// What to write for the key `name` in the table at `path`, which takes texts by name.
    pub(crate) fn variables_hint(self, path: &str, name: &str) -> String {
        match self {
            Self::File => format!("write {name} = {{ NAME = \"value\" }}"),
            Self::Labels => format!("write {}.NAME=value", self.mention(path, name)),
        }
    }

    /// A key of the section at `section_path`, seen from another section.
    pub(crate) fn elsewhere(self, section_path: &str, name: &str) -> String {
        match (self, section_path.strip_prefix("services.NAME")) {
            (Self::Labels, Some(rest)) => format!("write flyball{}.{}", dashed(rest), dashed(name)),
            (Self::Labels, None) => format!("{name} belongs in [{section_path}] of flyball.toml"),
            (Self::File, _) => format!("{name} belongs in [{section_path}]"),
        }
    }
}

fn bare(path: &str) -> &str {
    path.strip_prefix("label ").unwrap_or(path)
}

fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

/// `path` and `name` as one path, the name quoted if TOML would want it so.
pub(crate) fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let name = if plain { name.to_owned() } else { format!("\"{}\"", shorten(name)) };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
