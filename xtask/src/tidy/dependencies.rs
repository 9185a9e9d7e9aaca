//! Rules on the whole dependency graph: licences and duplicates, from deny.toml. Only what this
//! commit determines is checked; advisories change daily and are cargo-deny's job. A listed
//! duplicate that no longer exists is also a finding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use super::{Finding, Tree, licence};
use crate::step;

const DENY: &str = "deny.toml";

/// One package of the graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Compares what cargo builds for our targets, tests included, with deny.toml.
pub(super) fn check(root: &Path, tree: &Tree) -> Result<Vec<Finding>> {
    let policy = Policy::parse(tree.text(DENY).with_context(|| format!("there is no {DENY}"))?)?;
    let mut packages = BTreeSet::new();
    for target in &policy.targets {
        packages.extend(foreign_packages(&built_for(root, target)?)?);
    }
    ensure!(!packages.is_empty(), "{DENY} names no target under `graph`");
    let packages: Vec<_> = packages.into_iter().collect();
    Ok(licences(&packages, &policy).into_iter().chain(duplicates(&packages, &policy)).collect())
}

/// One line for each package, as `NAME vVERSION`, a tab and its licence.
///
/// Not from `cargo metadata`: that lists optional packages that are not enabled.
fn built_for(root: &Path, target: &str) -> Result<String> {
    let mut command = step::cargo(root);
    command.args(["tree", "--quiet", "--workspace", "--target", target, "--prefix", "none"]);
    command.args(["--edges", "normal,build,dev", "--format", "{p}\t{l}"]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start `cargo tree`")?;
    ensure!(output.status.success(), "`cargo tree` ended with {}", output.status);
    String::from_utf8(output.stdout).context("`cargo tree` printed no UTF-8")
}

/// Every package that is not ours: ours come with their folder.
fn foreign_packages(lines: &str) -> Result<BTreeSet<Package>> {
    let lines = lines.lines().filter(|line| !line.is_empty() && !line.contains(" (/"));
    lines.map(|line| package(line).with_context(|| format!("cannot read `{line}`"))).collect()
}

fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split(' ');
    let (name, version) = words.next().zip(words.next()?.strip_prefix('v'))?;
    let licence = licence.trim_end_matches("(*)").trim();
    let licence = (!licence.is_empty()).then(|| licence.to_owned());
    Some(Package { name: name.to_owned(), version: version.to_owned(), licence })
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
            let text = format!("`{}` is no longer a duplicate", label(listed[0]));
            findings.push(Finding::new(DENY, text));
        }
    }
    let present: BTreeSet<String> = packages.iter().map(label).collect();
    let gone = policy.duplicates.difference(&present);
    findings.extend(gone.map(|entry| Finding::new(DENY, format!("`{entry}` is no longer used"))));
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
        assert_eq!(alone[0].objection, "`syn@1.0.0` is no longer a duplicate");
        let gone = duplicates(&[new], &policy());
        assert_eq!(gone[0].objection, "`syn@1.0.0` is no longer used");
    }

    #[test]
    fn only_foreign_packages_count_each_once() {
        let lines = "flyball v0.1.0 (/home/a/flyball)\tMIT OR Apache-2.0\n\
                     a_derive v1.0.0 (proc-macro)\tMIT\n\
                     \n\
                     a_derive v1.0.0 (proc-macro)\tMIT (*)\n\
                     b v2.0.0\t\n";
        let found = foreign_packages(lines).unwrap();
        assert_eq!(found.iter().map(label).collect::<Vec<_>>(), ["a_derive@1.0.0", "b@2.0.0"]);
        assert_eq!(found.last().unwrap().licence, None);
        assert!(foreign_packages("no such line").is_err());
    }
}
