//! Interprets Zabbix's own comparison of a template with its import.
//!
//! A comparison without an entry is no difference; an entry in an unknown form is at least one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::applier::text;

/// Lines that a comparison is shown in at most; the rest is counted.
const LINES_MAX: usize = 20;
/// What an import would do to an object, and how that is shown.
const VERBS: [(&str, &str); 3] = [("added", "+"), ("updated", "~"), ("removed", "-")];

/// One object that is not as it should be.
#[derive(Debug)]
pub(super) struct Difference {
    /// As the import calls its kind, such as `items`.
    kind: String,
    uuid: String,
    name: String,
    sign: &'static str,
    /// Empty where the whole object is missing or too many.
    fields: Vec<Field>,
}

/// A field before and after the import; `None` where the export leaves it out, which it does with
/// what the server defaults to.
#[derive(Debug)]
struct Field {
    name: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// The differences in `comparison`, as `configuration.importcompare` gives it.
pub(super) fn differences(comparison: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(comparison, &mut found);
    let is_unknown = |entries: &Value| VERBS.iter().all(|(verb, _)| entries.get(verb).is_none());
    let mut kinds = comparison.as_object().into_iter().flatten();
    if let Some((kind, _)) = kinds.find(|(_, entries)| is_unknown(entries)) {
        found.push(Difference::unknown(kind));
    }
    found
}

/// The lines that show the differences; a few at most.
pub(super) fn lines(differences: &[Difference]) -> Vec<String> {
    let mut lines: Vec<String> = differences.iter().map(Difference::line).collect();
    if lines.len() > LINES_MAX {
        let rest = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {rest} more"));
    }
    lines
}

/// The objects of a kind in which something seems to be left to the server's default, by their uuids.
pub(super) fn defaulted(differences: &[Difference], kind: &str) -> Vec<String> {
    let of_kind = differences.iter().filter(|difference| difference.kind == kind);
    let some = of_kind.filter(|difference| difference.fields.iter().any(Field::seems_defaulted));
    some.map(|difference| difference.uuid.clone()).collect()
}

/// Takes out what is no difference: a field that the export leaves out, since it is what this server
/// defaults to, while the import writes it out. `there` has the objects by their uuids.
pub(super) fn settle(differences: &mut Vec<Difference>, there: &BTreeMap<String, Value>) {
    differences.retain_mut(|difference| {
        let Some(object) = there.get(&difference.uuid) else { return true };
        let before = difference.fields.len();
        let same = |field: &Field| field.after.as_ref() == object.get(&field.name);
        difference.fields.retain(|field| !(field.seems_defaulted() && same(field)));
        // What has no fields was not compared by them.
        before == 0 || !difference.fields.is_empty()
    });
}

fn walk(kinds: &Value, found: &mut Vec<Difference>) {
    for (kind, entries) in kinds.as_object().into_iter().flatten() {
        for (verb, sign) in VERBS {
            for entry in entries.get(verb).and_then(Value::as_array).into_iter().flatten() {
                one(kind, sign, entry, found);
            }
        }
    }
}

/// An entry: the object before and after, and what differs below it.
fn one(kind: &str, sign: &'static str, entry: &Value, found: &mut Vec<Difference>) {
    let (before, after) = (entry.get("before"), entry.get("after"));
    let object = after.or(before).unwrap_or(&Value::Null);
    let fields = match (before.and_then(Value::as_object), after.and_then(Value::as_object)) {
        (Some(before), Some(after)) => Some(fields(before, after)),
        _ => None,
    };
    // An object that is as it should be is there for what is below it.
    if fields.as_ref().is_none_or(|fields| !fields.is_empty()) {
        found.push(Difference {
            kind: kind.to_owned(),
            uuid: text(object, "uuid").to_owned(),
            name: name_of(object),
            sign,
            fields: fields.unwrap_or_default(),
        });
    }
    walk(entry, found);
}

fn name_of(object: &Value) -> String {
    let name = ["name", "template", "key", "uuid"].map(|key| text(object, key));
    name.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

fn fields(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Field> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let names = after.keys().chain(gone).filter(|key| before.get(*key) != after.get(*key));
    let field = |name: &String| Field {
        name: name.clone(),
        before: before.get(name).cloned(),
        after: after.get(name).cloned(),
    };
    names.map(field).collect()
}

impl Difference {
    fn unknown(kind: &str) -> Self {
        let name = "in a way that has no name here".to_owned();
        Self { kind: kind.to_owned(), uuid: String::new(), name, sign: "~", fields: Vec::new() }
    }

    fn line(&self) -> String {
        let kind = self.kind.trim_end_matches('s').replace('_', " ");
        let head = format!("{} {kind} \"{}\"", self.sign, self.name);
        if self.fields.is_empty() {
            return head;
        }
        let fields: Vec<String> = self.fields.iter().map(Field::line).collect();
        format!("{head}: {}", fields.join(", "))
    }
}

impl Field {
    fn seems_defaulted(&self) -> bool {
        self.before.is_none() && matches!(self.after, Some(Value::String(_)))
    }

    fn line(&self) -> String {
        let show = |value: &Option<Value>| match value {
            Some(Value::String(text)) if text.len() <= 60 => text.clone(),
            Some(_) => "...".to_owned(),
            None => "default".to_owned(),
        };
        format!("{} {} -> {}", self.name, show(&self.before), show(&self.after))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines_of(comparison: &Value) -> Vec<String> {
        lines(&differences(comparison))
    }

    #[test]
    fn a_comparison_is_described_by_kind_and_name() {
        let template = json!({ "name": "Flyball" });
        let comparison = json!({
            "groups": { "added": [{ "after": { "uuid": "1", "name": "Templates/Flyball" } }] },
            "templates": { "updated": [{
                "before": template, "after": template,
                "items": { "updated": [{
                    "before": { "name": "Mean CPU", "delay": "5s" },
                    "after": { "name": "Mean CPU", "delay": "1s" },
                }] },
            }] },
        });
        let want = ["+ group \"Templates/Flyball\"", "~ item \"Mean CPU\": delay 5s -> 1s"];
        assert_eq!(lines_of(&comparison), want);
    }

    #[test]
    fn nothing_is_no_difference_and_an_unknown_one_is_a_difference() {
        assert!(lines_of(&json!([])).is_empty() && lines_of(&json!({})).is_empty());
        assert_eq!(lines_of(&json!({ "other": [] })).len(), 1);
        assert_eq!(lines_of(&json!({ "other": { "moved": [1] } })).len(), 1);
    }

    /// What Zabbix 7.0 says of a template that was imported a moment ago: its export leaves out what
    /// has become its default.
    fn of_7_0() -> Value {
        let item = |field: &str, value: &str| {
            let before = json!({ "uuid": "12", "name": "Replicas wanted" });
            let mut after = before.clone();
            after[field] = value.into();
            json!({ "items": { "updated": [{ "before": before, "after": after }] } })
        };
        let mut template = item("history", "31d");
        for side in ["before", "after"] {
            template[side] = json!({ "uuid": "2", "name": "Flyball" });
        }
        json!({ "templates": { "updated": [template] } })
    }

    #[test]
    fn what_the_server_defaults_to_is_no_difference() {
        let mut found = differences(&of_7_0());
        assert_eq!(lines(&found), ["~ item \"Replicas wanted\": history default -> 31d"]);
        assert_eq!(defaulted(&found, "items"), ["12"]);
        settle(&mut found, &[("12".to_owned(), json!({ "history": "31d" }))].into());
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn another_default_is_a_difference() {
        let mut found = differences(&of_7_0());
        settle(&mut found, &[("12".to_owned(), json!({ "history": "90d" }))].into());
        assert_eq!(found.len(), 1);
        settle(&mut found, &BTreeMap::new());
        assert_eq!(found.len(), 1);
    }
}
