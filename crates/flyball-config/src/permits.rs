//! What labels may set: the operator's permissions, by the names of labels alone. Limits of the
//! container itself are compared later.

use std::collections::BTreeSet;

use crate::check;
use crate::check::Given;
use crate::config_error::ConfigError;
use crate::keys::{self, ByLabel, Key, Kind, Section, section_at, service_keys};
use crate::syntax::{LABELS_PATH, Syntax};
use crate::table_reader::TableReader;
use crate::value::{Value, shorten};

/// The largest `max` by label where nothing is said: a bound on what one container can cost.
const MAX: u32 = 20;

/// What the operator lets labels say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permits {
    /// The largest `max` that they may ask for.
    pub max: u32,
    /// The keys that they may give although those reach beyond the service: `haproxy.check`.
    pub may: BTreeSet<String>,
}

impl Default for Permits {
    fn default() -> Self {
        Self { max: MAX, may: BTreeSet::new() }
    }
}

impl Permits {
    /// The permissions in the table of a system; `None` if anything was reported.
    pub(crate) fn take(fields: &mut TableReader<'_>) -> Option<Self> {
        let max = fields.take(&keys::LABELS_MAX, check::count).or(MAX);
        let may = fields.take(&keys::LABELS_MAY, label_keys).or(BTreeSet::new());
        Some(Self { max: max?, may: may? })
    }

    /// Whether labels may give the key at `path`, or the table that it is in.
    pub(crate) fn allow(&self, path: &str) -> bool {
        self.may.iter().any(|key| {
            let rest = path.strip_prefix(key.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// Why the label `flyball.NAME` is not obeyed, by its name alone. `table`: where the operator
    /// would permit it. Unknown names are left to the reader of the labels.
    pub(crate) fn refusal(&self, name: &str, table: &str) -> Option<ConfigError> {
        let key = || Syntax::Labels.named(LABELS_PATH, name);
        steps(name).find_map(|(path, step)| match step.by_label {
            Some(ByLabel::Always | ByLabel::Within) => None,
            Some(ByLabel::Allowed) if self.allow(&path) => None,
            Some(ByLabel::Allowed) => {
                Some(ConfigError::NotByLabel { key: key(), instead: permission(&path, table) })
            }
            Some(ByLabel::Never) | None => {
                let instead = format!("remove the label: only flyball.toml may set {path}");
                Some(ConfigError::NotByLabel { key: key(), instead })
            }
        })
    }
}

/// What the operator writes to permit the key at `path`, and what that means.
pub(crate) fn permission(path: &str, table: &str) -> String {
    let path =
        allowable().into_iter().find(|key| path.starts_with(key.as_str())).unwrap_or_default();
    format!(
        "remove it, or write labels_may = [\"{path}\"] in [{table}] of flyball.toml if the authors \
         of labels may do that"
    )
}

/// The keys along the way that a label's name goes, each with its path.
fn steps(name: &str) -> impl Iterator<Item = (String, &'static Key)> {
    let mut section: Option<&'static Section> = Some(&keys::SERVICE);
    let mut path = String::new();
    name.split('.').map_while(move |part| {
        let key = section?.key(&part.replace('-', "_"))?;
        section = match key.kind {
            Kind::Table(inner) => section_at(inner),
            _ => None,
        };
        path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        Some((path.clone(), key))
    })
}

/// The keys that labels may be permitted, without those in a table that is itself one of them.
pub(crate) fn allowable() -> Vec<String> {
    let asks = |key: &Key| matches!(key.by_label, Some(ByLabel::Allowed | ByLabel::Within));
    let all: Vec<String> =
        service_keys().filter(|(_, key)| asks(key)).map(|(path, _)| path).collect();
    let inner = |path: &String| {
        all.iter()
            .any(|other| path.strip_prefix(other.as_str()).is_some_and(|r| r.starts_with('.')))
    };
    let mut outer: Vec<String> = all.iter().filter(|path| !inner(path)).cloned().collect();
    outer.sort();
    outer
}

fn label_keys(given: Given<'_>) -> Result<BTreeSet<String>, ConfigError> {
    let wanted = "a list of keys that labels may set";
    let example = || given.example("[\"image\", \"reach\"]");
    let Value::List(items) = &given.node.value else { return Err(given.not_a(wanted, example())) };
    let known = allowable();
    let key = |text: &String| {
        let name = text.strip_prefix("flyball.").unwrap_or(text).replace('-', "_");
        if known.contains(&name) {
            return Ok(name);
        }
        let never = service_keys().find(|(path, _)| *path == name);
        let instead = match never.map(|(_, key)| key.by_label) {
            Some(Some(ByLabel::Always)) => "remove it: labels may always set this key".to_owned(),
            Some(_) => "remove it: only this file may set this key".to_owned(),
            None => format!("valid keys: {}", known.join(", ")),
        };
        Err(ConfigError::UnknownWord { key: given.path.to_owned(), word: shorten(text), instead })
    };
    items
        .iter()
        .map(|item| match &item.value {
            Value::Text(text) => key(text),
            _ => Err(given.not_a(wanted, example())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_service_says_whether_a_label_may_give_it() {
        let undecided: Vec<String> = service_keys()
            .filter(|(_, key)| key.by_label.is_none())
            .map(|(path, _)| path)
            .collect();
        assert!(undecided.is_empty(), "decide for {undecided:?}, see keys::ByLabel");
    }

    #[test]
    fn what_can_be_permitted_is_what_reaches_beyond_a_service() {
        let all = allowable().join(" ");
        assert_eq!(
            all,
            "command cpus env haproxy.check haproxy.options haproxy.template image labels listen log memory \
             network publish_on reach"
        );
    }

    #[test]
    fn a_table_that_is_permitted_permits_what_is_in_it() {
        let may = |keys: &[&str]| Permits {
            may: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Permits::default()
        };
        let template = "haproxy.template.prefix";
        assert!(may(&[]).refusal(template, "docker").is_some());
        assert!(may(&["haproxy.template"]).refusal(template, "docker").is_none());
        assert!(may(&["haproxy.check"]).refusal(template, "docker").is_some());
        assert!(may(&["env"]).refusal("env.A.B", "docker").is_none());
        assert!(may(&["en"]).refusal("env.A", "docker").is_some());
    }
}
