//! `flyball.toml` and labels.
//!
//! Promises: never a panic; either a configuration without contradictions or errors, each with its
//! place and bounded in number and length; a service of labels is one of three: taken, refused, noted.

use std::collections::BTreeMap;

use flyball_config::{
    Config, ConfigErrors, Described, Env, Labelled, Limits, PROBLEMS_MAX, Service, ServiceLabels,
    Source,
};

/// Bytes of one message at most: a line of the file is shortened before it is shown.
const MESSAGE_MAX: usize = 4_096;

fn env() -> Env {
    Env { home: Some("/home/f".into()), ..Env::default() }
}

/// A text as `flyball.toml`.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match flyball_config::parse(text, "flyball.toml", &env()) {
        Ok(config) => config.services.values().for_each(complete),
        Err(errors) => said(&errors),
    }
}

/// Lines of `NAME=VALUE` as the labels of containers: `service=NAME` begins one.
pub fn labels(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let nothing =
        || Described { labels: BTreeMap::new(), source: Source::Container(Limits::default()) };
    let mut services = ServiceLabels::new();
    let mut name = String::new();
    for (label, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if label == "service" {
            value.clone_into(&mut name);
        }
        let service = services.entry(name.clone()).or_insert_with(nothing);
        service.labels.insert(format!("flyball.{label}"), value.to_owned());
    }
    let config = Config::of_labels_only(&env()).expect("a home is enough");
    let Labelled { services: taken, refused, notes } = config.labelled(&services);
    taken.values().for_each(complete);
    refused.values().for_each(said);
    assert!(notes.is_empty(), "there is no file beside which a label could mean nothing");
    assert_eq!(taken.len() + refused.len(), services.len(), "a service is lost, or made up");
    assert!(taken.keys().chain(refused.keys()).all(|name| services.contains_key(name)));
}

/// What a service that was taken must be.
fn complete(service: &Service) {
    let bounds = service.policy.bounds;
    assert!(bounds.min <= bounds.max && bounds.max >= 1, "{bounds:?}");
    assert!(!format!("{service:?}").is_empty());
}

/// What errors must be.
fn said(errors: &ConfigErrors) {
    let text = errors.to_string();
    let shown = text.matches("error: ").count();
    assert!(shown >= 1, "an error that says nothing: {text}");
    assert!(text.len() <= (PROBLEMS_MAX + 1) * MESSAGE_MAX, "{} bytes", text.len());
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(control), "what was written reaches the terminal raw: {text:?}");
}
