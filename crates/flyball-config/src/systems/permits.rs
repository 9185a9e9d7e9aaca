//! What labels may set: the operator's permissions, by the names of labels alone. Limits of the
//! container itself are compared later.

use std::collections::BTreeSet;

use crate::reader::{
    ByLabel, ConfigError, Form, Given, Key, Keys, Kind, LABELS_PATH, REPLICAS_MAX, Read, Section,
    Syntax, count, not_valid, of_nothing, section,
};
use crate::service::ServiceKeys;

section! {
    /// What the operator lets labels say.
    PermitsKeys "" => pub Permits {
        /// The largest `max` that labels may set.
        max("labels_max"): u32 = count(1, REPLICAS_MAX), default "20";
        /// Keys that labels may set although they affect more than the service, such as `["image",
        /// "reach"]`. They are marked "with permission" below. See [who may do
        /// what](../guide/trust.md).
        may("labels_may"): BTreeSet<String> = Kind::plain("list of keys", label_keys), default "[]";
    }
}

/// The permissions in the table of a system.
pub(super) const PERMITS: Kind<Permits> = Kind {
    form: Form::Group(PermitsKeys::SECTION),
    read: Read::Group(|reader| PermitsKeys::read(reader).all()),
};

impl Default for Permits {
    fn default() -> Self {
        of_nothing(|keys: PermitsKeys, _| keys.all())
    }
}

impl Permits {
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
        let key = Syntax::Labels.named(LABELS_PATH, name);
        let refuse = |instead| ConfigError::setting(&key, ": labels may not set this key", instead);
        steps(name).find_map(|(path, step)| match step.by_label {
            Some(ByLabel::Always | ByLabel::Within) => None,
            Some(ByLabel::Allowed) if self.allow(&path) => None,
            Some(ByLabel::Allowed) => Some(refuse(permission(&path, table))),
            Some(ByLabel::Never) | None => {
                Some(refuse(format!("remove the label: only flyball.toml may set {path}")))
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
    let mut section: Option<&'static Section> = Some(ServiceKeys::SECTION);
    let mut path = String::new();
    name.split('.').map_while(move |part| {
        let key = section?.key(&part.replace('-', "_"))?;
        section = key.form.section();
        path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        Some((path.clone(), key))
    })
}

/// Every key of a service, as `labels_may` calls it: `haproxy.template`.
fn service_keys() -> impl Iterator<Item = (String, &'static Key)> {
    let keys = |section: &'static Section| {
        let table = section.path.strip_prefix(ServiceKeys::SECTION.path).unwrap_or_default();
        let path =
            move |key: &Key| format!("{table}.{}", key.name).trim_start_matches('.').to_owned();
        section.keys().into_iter().map(move |key| (path(key), key))
    };
    ServiceKeys::SECTION.with_all_below().into_iter().flat_map(keys)
}

/// The keys that labels may be permitted, without those in a table that is itself one of them.
fn allowable() -> Vec<String> {
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
    let (wanted, example) = ("a list of keys that labels may set", "[\"image\", \"reach\"]");
    let names: Vec<String> = given.each(|text| Some(text.to_owned()), wanted, example)?;
    let known = allowable();
    let key = |text: &String| {
        let name = text.strip_prefix("flyball.").unwrap_or(text).replace('-', "_");
        if known.contains(&name) {
            return Ok(name);
        }
        let other = service_keys().find(|(path, _)| *path == name);
        let instead = match other.map(|(_, key)| key.by_label) {
            Some(Some(ByLabel::Always)) => "remove it: labels may always set this key".to_owned(),
            Some(_) => "remove it: only this file may set this key".to_owned(),
            None => format!("valid keys: {}", known.join(", ")),
        };
        Err(not_valid(given.path, text, instead))
    };
    names.iter().map(key).collect()
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
        assert!(undecided.is_empty(), "decide for {undecided:?}, see ByLabel");
    }

    #[test]
    fn what_can_be_permitted_is_what_reaches_beyond_a_service() {
        let all = allowable().join(" ");
        assert_eq!(
            all,
            "activator command cpus env haproxy.check haproxy.options haproxy.template host image \
             labels listen log memory network publish_on reach"
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
