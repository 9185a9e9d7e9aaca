//! The apps that describe themselves by their labels.
//!
//! Decides which apps are to be looked after: those with the label `flyball.service`. Does not know
//! what the settings in other labels mean.
//! Invariant: an app without that label is somebody else's.

use std::collections::BTreeMap;

use super::answers::AppAnswer;

const SERVICE: &str = "flyball.service";
const PREFIX: &str = "flyball.";
/// Where such apps are listed.
pub(super) const PATH: &str = "/v2/apps?label=flyball.service&embed=apps.counts";

/// An app that is to be looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledApp {
    /// What its `flyball.service` label says.
    pub service: String,
    /// Its id.
    pub app: String,
    /// Its labels that begin with `flyball.`, as they were written.
    pub labels: BTreeMap<String, String>,
}

/// Those of `apps`, in the order of their names; of two that claim one name, the first by its id.
pub(super) fn services_of(apps: &[AppAnswer]) -> Vec<LabelledApp> {
    let mut found: BTreeMap<&str, &AppAnswer> = BTreeMap::new();
    let mut by_id: Vec<&AppAnswer> = apps.iter().collect();
    by_id.sort_by_key(|app| app.id.as_str());
    for app in by_id {
        if let Some(name) = app.labels.get(SERVICE) {
            found.entry(name).or_insert(app);
        }
    }
    let labelled = |(name, app): (&str, &AppAnswer)| LabelledApp {
        service: name.to_owned(),
        app: app.id.clone(),
        labels: app
            .labels
            .iter()
            .filter(|(label, _)| label.starts_with(PREFIX))
            .map(|(label, value)| (label.clone(), value.clone()))
            .collect(),
    };
    found.into_iter().map(labelled).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_two_apps_with_one_name_the_first_by_its_id_has_it() {
        let app = |id: &str, labels: serde_json::Value| json!({ "id": id, "labels": labels });
        let apps = json!([
            app("/z", json!({ "flyball.service": "web" })),
            app("/a", json!({ "flyball.service": "web", "flyball.max": "5", "team": "x" })),
            app("/b", json!({ "team": "x" })),
        ]);
        let apps: Vec<AppAnswer> = serde_json::from_value(apps).unwrap();
        let found = services_of(&apps);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].service.as_str(), found[0].app.as_str()), ("web", "/a"));
        assert_eq!(found[0].labels.len(), 2);
    }
}
