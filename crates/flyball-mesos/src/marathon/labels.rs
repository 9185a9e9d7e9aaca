//! Finds Marathon apps that have the label `flyball.service`.

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

/// Those of `apps`, in the order of their names, then of their ids.
pub(super) fn services_of(apps: &[AppAnswer]) -> Vec<LabelledApp> {
    let labelled = |app: &AppAnswer| {
        let ours = app.labels.iter().filter(|(label, _)| label.starts_with(PREFIX));
        Some(LabelledApp {
            service: app.labels.get(SERVICE)?.clone(),
            app: app.id.clone(),
            labels: ours.map(|(label, value)| (label.clone(), value.clone())).collect(),
        })
    };
    let mut found: Vec<LabelledApp> = apps.iter().filter_map(labelled).collect();
    found.sort_by(|a, b| (&a.service, &a.app).cmp(&(&b.service, &b.app)));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_app_that_claims_a_name_is_told_with_its_id() {
        let app = |id: &str, labels: serde_json::Value| json!({ "id": id, "labels": labels });
        let apps = json!([
            app("/z", json!({ "flyball.service": "web" })),
            app("/a", json!({ "flyball.service": "web", "flyball.max": "5", "team": "x" })),
            app("/b", json!({ "team": "x" })),
        ]);
        let apps: Vec<AppAnswer> = serde_json::from_value(apps).unwrap();
        let found = services_of(&apps);
        let claims: Vec<_> = found.iter().map(|it| (&*it.service, &*it.app)).collect();
        assert_eq!(claims, [("web", "/a"), ("web", "/z")]);
        assert_eq!(found[0].labels.len(), 2);
    }
}
