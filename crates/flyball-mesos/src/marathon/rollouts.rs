//! Tells flyball's own deployments of an app from external ones. Own are those it started, and
//! scale-only ones that only an earlier run can have started. Flyball waits for any other.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

/// More than any app has at once.
const KEPT: usize = 50;
/// What changes a count and nothing else.
const SCALE: &str = "ScaleApplication";

/// A deployment as `/v2/deployments` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deployment {
    /// Its actions and the apps that they are for, each pair once.
    actions: Vec<(String, String)>,
}

/// The deployments under way, by their ids.
pub(super) type Deployments = BTreeMap<String, Deployment>;

/// The ids that flyball was given for its own changes of one app.
#[derive(Debug, Default)]
pub(super) struct Own(VecDeque<String>);

impl Own {
    pub(super) fn add(&mut self, id: String) {
        self.0.push_back(id);
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|own| own == id)
    }
}

impl Deployment {
    /// Whether it does nothing but change the count of `app`.
    pub(super) fn only_scales(&self, app: &str) -> bool {
        let scales = |(action, of): &(String, String)| action == SCALE && of == app;
        !self.actions.is_empty() && self.actions.iter().all(scales)
    }

    /// What it does to `app`.
    pub(super) fn words(&self, app: &str) -> String {
        let of_app = self.actions.iter().filter(|(_, of)| of == app).map(|(action, _)| action);
        let words: Vec<&str> = of_app.map(String::as_str).collect();
        if words.is_empty() { "of its group".to_owned() } else { words.join(", ") }
    }
}

/// The deployments in an answer of `/v2/deployments`. Steps are lists, or objects with lists.
pub(super) fn deployments_of(answer: &Value) -> Deployments {
    let all = answer.as_array().into_iter().flatten();
    let one = |deployment: &Value| {
        let mut actions = Vec::new();
        for key in ["steps", "currentActions"] {
            collect(deployment.get(key).unwrap_or(&Value::Null), &mut actions);
        }
        actions.sort();
        actions.dedup();
        Some((deployment.get("id")?.as_str()?.to_owned(), Deployment { actions }))
    };
    all.filter_map(one).collect()
}

fn collect(value: &Value, actions: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, actions)),
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str);
            // An action that cannot be read must not pass for one that scales.
            if let Some(action) = text("action").or_else(|| text("type")) {
                let of = text("app").or_else(|| text("pod")).unwrap_or_default();
                actions.push((action.to_owned(), of.to_owned()));
            } else {
                object.values().for_each(|value| collect(value, actions));
            }
        }
        _ => {}
    }
}

/// The deployments that a refusal with status 409 names.
pub(super) fn lockers(body: &Value) -> Vec<String> {
    let all = body.get("deployments").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|one| Some(one.get("id")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changes_nothing_but_this_apps_count_can_be_taken_for_ours() {
        let scale = json!({ "action": "ScaleApplication", "app": "/web" });
        let other = json!({ "action": "ScaleApplication", "app": "/db" });
        let restart = json!({ "action": "RestartApplication", "app": "/web" });
        let strange = json!({ "action": "ScalePod", "pod": "/pod" });
        let only = |steps: Value, now: Value| {
            let answer = json!([{ "id": "d1", "steps": steps, "currentActions": now }]);
            deployments_of(&answer)["d1"].only_scales("/web")
        };
        assert!(only(json!([{ "actions": [scale] }]), json!([scale])));
        assert!(only(json!([[scale]]), json!([])), "the form of old versions");
        for other in [&other, &restart, &strange] {
            assert!(!only(json!([{ "actions": [scale, other] }]), json!([])), "{other}");
            assert!(!only(json!([{ "actions": [scale] }]), json!([other])), "{other}");
        }
        assert!(!only(json!([]), json!([])), "nothing is known of it");
    }

    #[test]
    fn a_refusal_names_who_holds_the_lock() {
        let body = json!({ "message": "App is locked", "deployments": [{ "id": "97c1" }, {}] });
        assert_eq!(lockers(&body), ["97c1"]);
        assert_eq!(lockers(&Value::Null), Vec::<String>::new());
    }

    #[test]
    fn ids_of_our_own_are_kept_as_far_as_they_can_matter() {
        let mut own = Own::default();
        (0..60).for_each(|n| own.add(format!("d{n}")));
        assert!(own.has("d59") && own.has("d10") && !own.has("d9"));
    }
}
