//! The template: embedded here, imported and compared by Zabbix. Additions by users stay.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::applier::{Applier, text};
use super::compare::{Difference, defaulted, differences, lines, settle};
use super::{NAME, REPLICA_NAME, Verb};
use crate::error::ZabbixError;
use crate::version::Version;

/// In the format of 6.0, which newer servers convert.
pub(super) const SOURCE: &str = include_str!("../../data/template.yaml");
/// The templates of a service and of a replica, and what marks them as ours; as in [`SOURCE`].
pub(super) const OURS: [(&str, &str); 2] = [
    (NAME, "6c6e3a52d0f84b0f9a4d3b7f0b1c5a02"),
    (REPLICA_NAME, "6c6e3a52d0f84b0f9a4d3b7f0b1c5a03"),
];
/// The template's group, and what marks it as ours.
pub(super) const GROUP: (&str, &str) = ("Templates/Flyball", "6c6e3a52d0f84b0f9a4d3b7f0b1c5a01");

/// Imports the templates if need be; gives the id of the services', `None` if it is not there yet.
pub(super) async fn build(applier: &mut Applier<'_>) -> Result<Option<String>, ZabbixError> {
    let found = find(applier).await?;
    let params = import(applier.api.version());
    let comparison = applier.api.call("configuration.importcompare", params.clone()).await?;
    let mut differing = differences(&comparison);
    take_out_defaults(applier, &mut differing).await?;
    let details = lines(&differing);
    if !details.is_empty() {
        let verb = if found.is_empty() { Verb::Make } else { Verb::Update };
        let call = ("configuration.import", params);
        applier.change(verb, ("template", NAME), details, call).await?;
    }
    let found = find(applier).await?;
    Ok(found.into_iter().find(|(name, _)| *name == NAME).map(|(_, id)| id))
}

/// The kinds of objects that have defaults which a template writes out, and what they are read by.
const WITH_DEFAULTS: [(&str, &str); 3] = [
    ("items", "item.get"),
    ("item_prototypes", "itemprototype.get"),
    ("discovery_rules", "discoveryrule.get"),
];

/// Takes out what differs in its writing alone: Zabbix compares with an export, which leaves out what
/// it defaults to, and defaults change (`history` was 90 days in 6.0 and is 31 in 7.0).
async fn take_out_defaults(
    applier: &Applier<'_>,
    differences: &mut Vec<Difference>,
) -> Result<(), ZabbixError> {
    for (kind, method) in WITH_DEFAULTS {
        let uuids = defaulted(differences, kind);
        if uuids.is_empty() {
            continue;
        }
        let ask = json!({ "filter": { "uuid": uuids }, "output": "extend" });
        let there = applier.api.list(method, ask).await?;
        let by_uuid = |object: Value| (text(&object, "uuid").to_owned(), object);
        settle(differences, &there.into_iter().map(by_uuid).collect::<BTreeMap<_, _>>());
    }
    Ok(())
}

/// Those of ours that are there, with their ids.
pub(super) async fn find(
    applier: &Applier<'_>,
) -> Result<Vec<(&'static str, String)>, ZabbixError> {
    let names = OURS.map(|(name, _)| name);
    let ask = json!({ "filter": { "host": names }, "output": ["templateid", "host", "uuid"] });
    let all = applier.api.list("template.get", ask).await?;
    let mut found = Vec::new();
    for template in &all {
        let name = text(template, "host");
        match OURS.iter().find(|(ours, _)| *ours == name) {
            Some((name, uuid)) if text(template, "uuid") == *uuid => {
                found.push((*name, text(template, "templateid").to_owned()));
            }
            _ => return Err(ZabbixError::Taken { what: "a template", name: name.to_owned() }),
        }
    }
    Ok(found)
}

fn import(version: Version) -> Value {
    let both = json!({ "createMissing": true, "updateExisting": true });
    let mut rules = json!({
        "templates": both, "items": both, "triggers": both, "graphs": both,
        "discoveryRules": both, "templateDashboards": both,
    });
    let groups = if version.has_template_groups() { "template_groups" } else { "groups" };
    rules[groups] = json!({ "createMissing": true, "updateExisting": false });
    json!({ "format": "yaml", "source": SOURCE, "rules": rules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_template_carries_the_marks_that_are_looked_for() {
        let ours = OURS.iter().flat_map(|(name, uuid)| [*name, *uuid]);
        for mark in ours.chain([GROUP.0, GROUP.1]) {
            assert!(SOURCE.contains(mark), "{mark}");
        }
    }

    #[test]
    fn every_trigger_closes_when_nothing_runs() {
        let recoveries: Vec<_> =
            SOURCE.lines().filter(|line| line.contains("recovery_expression:")).collect();
        assert_eq!(recoveries.len(), 2);
        for line in recoveries {
            assert!(line.contains("or last(/Flyball/flyball.nodes.live)=0"), "{line}");
        }
    }

    #[test]
    fn groups_of_templates_have_a_rule_of_their_own_from_6_2_on() {
        let rules = |text| import(Version::parse(text).unwrap())["rules"].clone();
        assert!(rules("6.0.14").get("groups").is_some());
        assert!(rules("7.4.0").get("groups").is_none());
        assert!(rules("7.4.0").get("template_groups").is_some());
    }
}
