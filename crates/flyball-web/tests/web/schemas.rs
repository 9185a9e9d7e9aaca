//! The schemas of the OpenAPI document, and whether the answers are as they say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::scripted::{Mood, Scripted, Site};

/// All schemas by their names.
pub(crate) struct Schemas(Value);

impl Schemas {
    pub(crate) async fn read() -> Self {
        let site = Site::open(Scripted::new(Mood::Works)).await;
        let document = site.get("/api/v1/openapi.json").await.json();
        site.close().await;
        Self(document["components"]["schemas"].clone())
    }

    #[track_caller]
    pub(crate) fn named(&self, name: &str) -> &Value {
        let schema = &self.0[name];
        assert!(schema.is_object(), "there is no schema {name}");
        schema
    }

    /// The schema that a reference names, or itself.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        name.map_or(schema, |name| self.named(name))
    }

    /// The schema with all its parts and variants.
    fn parts<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        let inner = ["allOf", "oneOf", "anyOf"].map(|kind| schema[kind].as_array());
        let inner = inner.into_iter().flatten().flatten().flat_map(|part| self.parts(part));
        std::iter::once(schema).chain(inner).collect()
    }

    /// The fields of a schema with what they hold, those of all its parts and variants together.
    pub(crate) fn fields<'a>(&'a self, schema: &'a Value) -> BTreeMap<&'a str, Vec<&'a Value>> {
        let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for part in self.parts(schema) {
            for (name, holds) in part["properties"].as_object().into_iter().flatten() {
                found.entry(name).or_default().push(holds);
            }
        }
        found
    }

    /// The fields that no variant may leave out.
    fn required<'a>(&'a self, schema: &'a Value) -> Vec<&'a str> {
        let schema = self.resolved(schema);
        let own = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let parts = schema["allOf"].as_array().into_iter().flatten();
        own.chain(parts.flat_map(|part| self.required(part))).collect()
    }

    /// The names of all fields of all schemas, at any depth.
    pub(crate) fn all_names(&self) -> BTreeSet<String> {
        fn collect(value: &Value, names: &mut BTreeSet<String>) {
            if let Some(fields) = value["properties"].as_object() {
                names.extend(fields.keys().cloned());
            }
            match value {
                Value::Object(fields) => fields.values().for_each(|value| collect(value, names)),
                Value::Array(all) => all.iter().for_each(|value| collect(value, names)),
                _ => {}
            }
        }
        let mut names = BTreeSet::new();
        collect(&self.0, &mut names);
        names
    }

    /// What is in `answer` and not in `schema`, or the reverse.
    fn differences(&self, answer: &Value, schema: &Value, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(all) = answer.as_array() {
            for items in self.parts(schema).into_iter().filter_map(|part| part.get("items")) {
                found.extend(all.iter().flat_map(|item| self.differences(item, items, at)));
            }
        }
        let Some(answered) = answer.as_object() else { return found };
        let fields = self.fields(schema);
        for (name, value) in answered {
            let at = format!("{at}.{name}");
            match fields.get(name.as_str()) {
                None => found.push(format!("{at} is not described")),
                Some(holds) => {
                    let each = holds.iter().map(|schema| self.differences(value, schema, &at));
                    found.extend(each.min_by_key(Vec::len).unwrap_or_default());
                }
            }
        }
        let missing = self.required(schema).into_iter().filter(|name| answer.get(name).is_none());
        found.extend(missing.map(|name| format!("{at}.{name} is not answered")));
        found
    }
}

#[tokio::test]
async fn answers_have_the_fields_of_their_schemas() {
    let schemas = Schemas::read().await;
    let site = Site::open(Scripted::new(Mood::Works)).await;
    for (path, name) in [
        ("/api/v1/services/web", "Service"),
        ("/api/v1/services/batch", "Service"),
        ("/api/v1/services/web/explain", "Explained"),
        ("/api/v1/leader", "LeaderStatus"),
        ("/api/v1/services/nobody", "Problem"),
    ] {
        let answer = site.get(path).await.json();
        let found = schemas.differences(&answer, schemas.named(name), name);
        assert!(found.is_empty(), "{path}: {found:#?}");
    }
    let samples = site.get("/api/v1/services/web/samples").await.json();
    let found = schemas.differences(&samples[0], schemas.named("Sample"), "Sample");
    assert!(found.is_empty(), "{found:#?}");
    let mut odd = site.get("/api/v1/services/web").await.json();
    odd["decision"]["signals"]["more"] = 1.into();
    odd["bounds"] = serde_json::json!({ "min": 1 });
    let found = schemas.differences(&odd, schemas.named("Service"), "Service");
    let told =
        ["Service.bounds.max is not answered", "Service.decision.signals.more is not described"];
    assert_eq!(found, told);
    site.close().await;
}
