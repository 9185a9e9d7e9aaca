//! Rules on the whole dependency graph: licences and duplicates, as deny.toml states them.
//!
//! Reads the same file as cargo-deny and checks the part that depends only on this commit;
//! advisories change by the day and are cargo-deny's. Invariant: an entry of deny.toml that
//! nothing needs any more is a finding too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Finding, Tree, licence};
use crate::step;

const DENY: &str = "deny.toml";

/// One package of the graph.
#[derive(Debug, Clone)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
}

/// What deny.toml allows.
struct Policy {
    licences: BTreeSet<String>,
    duplicates: BTreeSet<String>,
    targets: Vec<String>,
}

impl Policy {
    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().with_context(|| format!("{DENY} is not TOML"))?;
        let list = |section: &str, key: &str| {
            let found = table.get(section).and_then(|section| section.get(key));
            found.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let skipped = list("bans", "skip");
        let skipped =
            skipped.iter().filter_map(|entry| entry.get("crate").unwrap_or(entry).as_str());
        let strings = |values: Vec<Value>| {
            values.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        Ok(Self {
            licences: strings(list("licenses", "allow")).into_iter().collect(),
            duplicates: skipped.map(str::to_owned).collect(),
            targets: strings(list("graph", "targets")),
        })
    }
}

/// Compares the graph that cargo resolves with deny.toml.
pub(super) fn check(root: &Path, tree: &Tree) -> Result<Vec<Finding>> {
    let policy = Policy::parse(tree.text(DENY).with_context(|| format!("there is no {DENY}"))?)?;
    let packages = foreign_packages(&metadata(root, &policy.targets)?)?;
    Ok(licences(&packages, &policy).into_iter().chain(duplicates(&packages, &policy)).collect())
}

fn metadata(root: &Path, targets: &[String]) -> Result<Json> {
    let mut command = step::cargo(root);
    command.args(["metadata", "--format-version", "1", "--quiet"]);
    for target in targets {
        command.args(["--filter-platform", target]);
    }
    let output =
        command.stderr(Stdio::inherit()).output().context("cannot start `cargo metadata`")?;
    ensure!(output.status.success(), "`cargo metadata` ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")
}

/// Every package that is not ours, of those that any of our targets builds.
fn foreign_packages(metadata: &Json) -> Result<Vec<Package>> {
    let text = |json: &Json, key: &str| json[key].as_str().map(str::to_owned);
    let nodes = metadata["resolve"]["nodes"].as_array().context("metadata without a graph")?;
    let resolved: BTreeSet<_> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let listed = metadata["packages"].as_array().context("metadata without packages")?;
    let built =
        listed.iter().filter(|it| it["id"].as_str().is_some_and(|id| resolved.contains(id)));
    let foreign = built.filter(|it| !it["source"].is_null());
    let package = |it: &Json| {
        let (name, version) = text(it, "name").zip(text(it, "version"))?;
        Some(Package { name, version, licence: text(it, "license") })
    };
    foreign.map(|it| package(it).context("metadata with a nameless package")).collect()
}

fn licences(packages: &[Package], policy: &Policy) -> Vec<Finding> {
    let objection = |package: &Package| {
        let Some(expression) = &package.licence else {
            return Some("states no licence".to_owned());
        };
        match licence::satisfied(expression, &policy.licences) {
            Ok(true) => None,
            Ok(false) => Some(format!("its licence `{expression}` is not in {DENY}")),
            Err(error) => Some(format!("its licence `{expression}` cannot be read: {error}")),
        }
    };
    let found = packages.iter().filter_map(|package| Some((package, objection(package)?)));
    found.map(|(package, text)| Finding::new(label(package), text)).collect()
}

fn duplicates(packages: &[Package], policy: &Policy) -> Vec<Finding> {
    let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in packages {
        by_name.entry(&package.name).or_default().push(package);
    }
    let mut findings = Vec::new();
    for versions in by_name.values() {
        let (listed, unlisted): (Vec<&Package>, Vec<&Package>) =
            versions.iter().partition(|package| policy.duplicates.contains(&label(package)));
        if unlisted.len() > 1 {
            let both = unlisted.into_iter().map(label).collect::<Vec<_>>().join(", ");
            findings.push(Finding::new(DENY, format!("built more than once: {both}")));
        } else if versions.len() == 1 && !listed.is_empty() {
            let text = format!("`{}` is no duplicate any more", label(listed[0]));
            findings.push(Finding::new(DENY, text));
        }
    }
    let present: BTreeSet<String> = packages.iter().map(label).collect();
    let gone = policy.duplicates.difference(&present);
    findings
        .extend(gone.map(|entry| Finding::new(DENY, format!("`{entry}` is not used any more"))));
    findings
}

fn label(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let text = "
            [graph]
            targets = [\"x86_64-unknown-linux-gnu\"]
            [licenses]
            allow = [\"MIT\"]
            [bans]
            skip = [{ crate = \"syn@1.0.0\", reason = \"old macros\" }]";
        Policy::parse(text).unwrap()
    }

    fn package(name: &str, version: &str) -> Package {
        let licence = Some("MIT".to_owned());
        Package { name: name.to_owned(), version: version.to_owned(), licence }
    }

    #[test]
    fn a_licence_that_is_missing_or_not_allowed_is_found() {
        let mut nameless = package("a", "1.0.0");
        nameless.licence = None;
        let mut strict = package("b", "1.0.0");
        strict.licence = Some("GPL-3.0-only".to_owned());
        let found = licences(&[nameless, strict, package("c", "1.0.0")], &policy());
        let places: Vec<_> = found.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["a@1.0.0", "b@1.0.0"]);
    }

    #[test]
    fn duplicates_must_be_listed_and_lists_must_be_needed() {
        let (old, new, third) =
            (package("syn", "1.0.0"), package("syn", "2.0.0"), package("syn", "3.0.0"));
        let both = [old.clone(), new.clone()];
        assert_eq!(duplicates(&both, &policy()), []);
        let three = duplicates(&[old.clone(), new.clone(), third], &policy());
        assert_eq!(three[0].objection, "built more than once: syn@2.0.0, syn@3.0.0");
        let alone = duplicates(&[old], &policy());
        assert_eq!(alone[0].objection, "`syn@1.0.0` is no duplicate any more");
        let gone = duplicates(&[new], &policy());
        assert_eq!(gone[0].objection, "`syn@1.0.0` is not used any more");
    }

    #[test]
    fn only_foreign_packages_that_are_built_count() {
        let metadata = serde_json::json!({
            "resolve": { "nodes": [{ "id": "ours" }, { "id": "used" }] },
            "packages": [
                { "id": "ours", "name": "flyball", "version": "0.1.0", "source": null },
                { "id": "used", "name": "a", "version": "1.0.0", "source": "registry" },
                { "id": "other", "name": "b", "version": "1.0.0", "source": "registry" },
            ],
        });
        let found = foreign_packages(&metadata).unwrap();
        assert_eq!(found.iter().map(label).collect::<Vec<_>>(), ["a@1.0.0"]);
        assert_eq!(policy().targets, ["x86_64-unknown-linux-gnu"]);
    }
}
