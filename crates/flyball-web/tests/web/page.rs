//! The page reads no field that the API does not have: its scripts are compared with the OpenAPI
//! document, which comes from the types that the server answers with.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schemas::Schemas;

/// What the variables of the scripts hold: the file or "" for all, the variable, its schemas. `/*`
/// behind a schema is what any of its variants holds.
const VARIABLES: [(&str, &str, &[&str]); 21] = [
    ("", "view", &["Service"]),
    ("", "replica", &["ReplicaView"]),
    ("panels.js", "node", &["NodeView"]),
    ("", "notice", &["Notice"]),
    ("panels.js", "own", &["GenerationView"]),
    ("panels.js", "deploy", &["DeployView"]),
    ("panels.js", "rolling", &["Rollout"]),
    ("", "decision", &["Decision"]),
    ("", "signals", &["Signals"]),
    ("", "minute", &["LastMinute"]),
    ("", "leadership", &["LeaderStatus"]),
    ("", "problem", &["Problem"]),
    ("", "sample", &["Sample"]),
    ("", "latest", &["Sample"]),
    ("charts.js", "before", &["Sample"]),
    ("", "s", &["Sample"]),
    ("charts.js", "t", &["Threshold", "Explained"]),
    ("panels.js", "t", &["Threshold"]),
    ("", "told", &["Explained"]),
    ("page.js", "data", &["StreamBegin", "Gap", "SampleEvent", "Explained", "ReplicaChange"]),
    ("words.js", "terms", &["Step/*"]),
];

/// The language's own, which end a chain of fields.
const BUILT_IN: [&str; 11] = [
    "at", "every", "filter", "flatMap", "forEach", "length", "map", "slice", "some", "split",
    "sort",
];

/// Schemas of [`VARIABLES`].
fn named<'a>(schemas: &'a Schemas, name: &str) -> Vec<&'a Value> {
    match name.strip_suffix("/*") {
        None => vec![schemas.named(name)],
        Some(name) => schemas.fields(schemas.named(name)).into_values().flatten().collect(),
    }
}

/// Follows `path` from `from`; the first name that is no field, if there is one.
fn lost<'p>(schemas: &Schemas, from: &[&Value], path: &[&'p str]) -> Option<&'p str> {
    let (name, rest) = path.split_first()?;
    let fields: Vec<_> = from.iter().map(|schema| schemas.fields(schema)).collect();
    if fields.iter().all(BTreeMap::is_empty) || BUILT_IN.contains(name) {
        return None;
    }
    let next: Vec<&Value> =
        fields.iter().filter_map(|of| of.get(name)).flatten().copied().collect();
    if next.is_empty() { Some(name) } else { lost(schemas, &next, rest) }
}

/// The chains `a.b.c` and `a?.b` of a script, and those that `const { b, c } = a.x` takes apart.
fn chains(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found: Vec<String> = Vec::new();
    for statement in code.split("const {").skip(1) {
        let Some((names, rest)) = statement.split_once("} = ") else { continue };
        let from = rest.split([';', '(', ' ']).next().unwrap_or_default();
        let names = names.split(',').filter_map(|name| name.split(':').next()).map(str::trim);
        found.extend(names.map(|name| format!("{from}.{name}")));
    }
    let code = code.replace("...", " ").replace("?.", ".");
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    found.extend(code.split(|c| !is_part(c)).filter(|word| word.contains('.')).map(str::to_owned));
    found
}

/// What `text` reads that no schema has, and how many reads were looked up.
fn unknown(schemas: &Schemas, file: &str, text: &str) -> (Vec<String>, usize) {
    let (names, mut bad, mut followed) = (schemas.all_names(), Vec::new(), 0);
    for chain in chains(text) {
        let parts: Vec<&str> = chain.split('.').collect();
        let (variable, path) = (parts[0], &parts[1..]);
        let known = VARIABLES
            .iter()
            .find(|(of, name, _)| *name == variable && (of.is_empty() || *of == file));
        if let Some((.., holds)) = known {
            followed += 1;
            let from: Vec<&Value> = holds.iter().flat_map(|name| named(schemas, name)).collect();
            bad.extend(
                lost(schemas, &from, path).map(|name| format!("{file}: {chain}: no {name}")),
            );
        }
        // Only the API writes its names like this.
        let foreign = path.iter().filter(|name| name.contains('_') && !names.contains(**name));
        bad.extend(foreign.map(|name| format!("{file}: {chain}: nothing has {name}")));
    }
    (bad, followed)
}

fn scripts() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let named = files.map(|file| (file.file_name().into_string().unwrap(), file.path()));
    let scripts = named.filter(|(name, _)| name.ends_with(".js"));
    scripts.map(|(name, path)| (name, std::fs::read_to_string(path).unwrap())).collect()
}

#[tokio::test]
async fn the_page_reads_only_fields_that_the_api_has() {
    let schemas = Schemas::read().await;
    let mut looked_up = 0;
    for (file, text) in scripts() {
        let (bad, followed) = unknown(&schemas, &file, &text);
        assert!(bad.is_empty(), "{bad:#?}");
        looked_up += followed;
    }
    assert!(looked_up > 100, "only {looked_up} reads were found: has the page new variables?");
}

#[tokio::test]
async fn a_field_that_the_api_does_not_have_is_found() {
    let schemas = Schemas::read().await;
    for wrong in [
        "view.decison",
        "view.decision?.signals.redy",
        "`${view.bounds.maximum}`",
        "x.held_bock",
        "const { min, most } = view.bounds;",
        "terms.replicas",
        "leadership.since",
    ] {
        assert_eq!(unknown(&schemas, "words.js", wrong).0.len(), 1, "{wrong}");
    }
}

#[tokio::test]
async fn every_notice_and_every_state_has_its_shape_on_the_page() {
    let schemas = Schemas::read().await;
    let scripts: BTreeMap<String, String> = scripts().into_iter().collect();
    for (schema, file, table) in [
        ("NoticeKind", "parts.js", "const SHAPES = {"),
        ("ReplicaState", "panels.js", "const STATES = {"),
    ] {
        let (_, table) = scripts[file].split_once(table).unwrap();
        let (table, _) = table.split_once("};").unwrap();
        let words = variants(schemas.named(schema));
        assert!(words.len() >= 5, "{schema}: {words:?}");
        for word in words {
            assert!(table.contains(&format!("{word}: ")), "{file} has no shape for {word}");
        }
    }
}

/// The words of an enum without fields, however the document lists them.
fn variants(schema: &Value) -> Vec<&str> {
    let own = schema["enum"].as_array().into_iter().flatten();
    let parts = schema["oneOf"].as_array().into_iter().flatten();
    let inner = parts.flat_map(|part| part["enum"].as_array().into_iter().flatten());
    own.chain(inner).filter_map(Value::as_str).collect()
}
