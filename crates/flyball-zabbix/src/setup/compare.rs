//! What Zabbix's own comparison of a template with its import says, in a few lines.
//!
//! Decides only what is worth a line. Invariant: an empty comparison gives no line, any other at
//! least one.

use serde_json::{Map, Value};

use super::workshop::text;

/// Lines that a comparison is told in at most; the rest is counted.
const LINES_MAX: usize = 20;

/// The differences in `comparison`, as `configuration.importcompare` gives it.
pub(super) fn differences(comparison: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk(comparison, &mut lines);
    if lines.is_empty() && comparison.as_object().is_some_and(|kinds| !kinds.is_empty()) {
        lines.push("in a way that has no name here".to_owned());
    }
    if lines.len() > LINES_MAX {
        let rest = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {rest} more"));
    }
    lines
}

fn walk(kinds: &Value, lines: &mut Vec<String>) {
    for (kind, found) in kinds.as_object().into_iter().flatten() {
        let Some(found) = found.as_object() else { continue };
        for (verb, sign) in [("added", "+"), ("updated", "~"), ("removed", "-")] {
            for entry in found.get(verb).and_then(Value::as_array).into_iter().flatten() {
                one(kind, sign, entry, lines);
            }
        }
    }
}

/// An entry: the object before and after, and what differs below it.
fn one(kind: &str, sign: &str, entry: &Value, lines: &mut Vec<String>) {
    let (before, after) = (entry.get("before"), entry.get("after"));
    let name = after.or(before).map(name_of).unwrap_or_default();
    let kind = kind.trim_end_matches('s').replace('_', " ");
    match (before.and_then(Value::as_object), after.and_then(Value::as_object)) {
        (Some(before), Some(after)) => {
            let fields = fields(before, after);
            if !fields.is_empty() {
                lines.push(format!("{sign} {kind} \"{name}\": {}", fields.join(", ")));
            }
        }
        _ => lines.push(format!("{sign} {kind} \"{name}\"")),
    }
    walk(entry, lines);
}

fn name_of(object: &Value) -> String {
    let name = ["name", "template", "key", "uuid"].map(|key| text(object, key));
    name.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

fn fields(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let show = |value: Option<&Value>| match value {
        Some(Value::String(text)) if text.len() <= 60 => text.clone(),
        Some(_) => "...".to_owned(),
        None => "default".to_owned(),
    };
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    after
        .keys()
        .chain(gone)
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| format!("{key} {} -> {}", show(before.get(key)), show(after.get(key))))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_comparison_is_told_by_kind_and_name() {
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
        assert_eq!(differences(&comparison), want);
    }

    #[test]
    fn nothing_is_no_difference_and_an_unknown_one_is_a_difference() {
        assert!(differences(&json!([])).is_empty() && differences(&json!({})).is_empty());
        assert_eq!(differences(&json!({ "other": [] })).len(), 1);
    }
}
