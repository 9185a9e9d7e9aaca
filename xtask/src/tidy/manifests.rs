//! Rules on the crates' manifests: lints, versions and the edges between our crates.
//!
//! Knows the layout that ARCHITECTURE.md draws. Invariant: a crate that the layout does not know
//! may depend on nothing of ours until it is given its place in [`allowed`].

use toml::{Table, Value};

use super::{Finding, Tree};

/// Folders in which a crate lists what it needs.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What the core may use from others, tests aside: data types and their serialization.
const CORE_MAY_USE: [&str; 1] = ["serde"];

/// Who of ours a crate may depend on.
#[derive(Debug, PartialEq, Eq)]
enum Edges {
    To(&'static [&'static str]),
    All,
}

/// The layout: adapters know the core and the leaves, only `flyball` knows everything.
fn allowed(package: &str) -> Option<Edges> {
    Some(match package {
        "flyball-core" | "flyball-file" | "flyball-lab" | "flyball-net" | "xtask" => Edges::To(&[]),
        "flyball-tls" | "flyball-token" => Edges::To(&["flyball-file"]),
        "flyball-cgroup" | "flyball-engine" | "flyball-zookeeper" => Edges::To(&["flyball-core"]),
        "flyball-agent" => {
            Edges::To(&["flyball-core", "flyball-cgroup", "flyball-net", "flyball-token"])
        }
        "flyball-config" | "flyball-journal" => Edges::To(&["flyball-core", "flyball-file"]),
        "flyball-web" => Edges::To(&["flyball-core", "flyball-net", "flyball-token"]),
        "flyball-haproxy" | "flyball-proxy" => {
            Edges::To(&["flyball-core", "flyball-cgroup", "flyball-agent", "flyball-file"])
        }
        "flyball-docker" => Edges::To(&[
            "flyball-core",
            "flyball-cgroup",
            "flyball-agent",
            "flyball-engine",
            "flyball-file",
        ]),
        "flyball-process" => {
            Edges::To(&["flyball-core", "flyball-cgroup", "flyball-agent", "flyball-engine"])
        }
        "flyball-zabbix" => Edges::To(&["flyball-core", "flyball-tls"]),
        // Its tests run against the lab's Marathon.
        "flyball-mesos" => Edges::To(&[
            "flyball-core",
            "flyball-cgroup",
            "flyball-engine",
            "flyball-file",
            "flyball-lab",
            "flyball-tls",
            "flyball-token",
            "flyball-zookeeper",
        ]),
        "flyball-sim" => Edges::To(&["flyball-core", "flyball-config", "flyball-file"]),
        "flyball" | "flyball-fuzz" => Edges::All,
        _ => return None,
    })
}

/// One crate's manifest.
struct Manifest<'a> {
    path: &'a str,
    table: Table,
}

/// One line of a manifest that names a dependency.
struct Dependency<'a> {
    kind: &'a str,
    name: &'a str,
    value: &'a Value,
}

impl Manifest<'_> {
    fn package(&self) -> &str {
        let name = self.table.get("package").and_then(|package| package.get("name"));
        name.and_then(Value::as_str).unwrap_or_default()
    }

    fn takes_workspace_lints(&self) -> bool {
        let lints = self.table.get("lints").and_then(|lints| lints.get("workspace"));
        lints.and_then(Value::as_bool).unwrap_or(false)
    }

    /// All dependencies, those of single targets included.
    fn dependencies(&self) -> Vec<Dependency<'_>> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        let mut found = Vec::new();
        for table in std::iter::once(&self.table).chain(targets) {
            for kind in KINDS {
                let listed = table.get(kind).and_then(Value::as_table).into_iter().flatten();
                found.extend(listed.map(|(name, value)| Dependency { kind, name, value }));
            }
        }
        found
    }
}

/// Every crate lives under the same lints.
pub(super) fn workspace_lints(tree: &Tree) -> Vec<Finding> {
    each(tree, |manifest| {
        let objection = "must say `[lints] workspace = true`";
        let bare = !manifest.takes_workspace_lints();
        bare.then(|| Finding::new(manifest.path, objection)).into_iter().collect()
    })
}

/// Every version is written once, in the workspace's manifest.
pub(super) fn workspace_versions(tree: &Tree) -> Vec<Finding> {
    each(tree, |manifest| {
        let dependencies = manifest.dependencies().into_iter();
        let own = dependencies
            .filter(|it| it.value.get("workspace").and_then(Value::as_bool) != Some(true));
        own.map(|it| {
            let objection = format!("`{}` must take its version from the workspace", it.name);
            Finding::new(manifest.path, objection)
        })
        .collect()
    })
}

/// Our crates depend on each other only as the layout says.
pub(super) fn edges(tree: &Tree) -> Vec<Finding> {
    each(tree, |manifest| {
        let package = manifest.package();
        let Some(edges) = allowed(package) else {
            let objection = format!("`{package}` has no place in xtask's table of edges");
            return vec![Finding::new(manifest.path, objection)];
        };
        let ours = manifest.dependencies().into_iter().filter(|it| is_ours(it.name));
        let wrong = ours.filter(|it| match &edges {
            Edges::All => false,
            Edges::To(names) => !names.contains(&it.name),
        });
        wrong
            .map(|it| {
                let objection = format!("`{package}` must not depend on `{}`", it.name);
                Finding::new(manifest.path, objection)
            })
            .collect()
    })
}

/// The core takes nothing in that could hide a clock, a socket or a random source.
pub(super) fn core_dependencies(tree: &Tree) -> Vec<Finding> {
    each(tree, |manifest| {
        if manifest.package() != "flyball-core" {
            return Vec::new();
        }
        let used = manifest.dependencies().into_iter().filter(|it| it.kind != "dev-dependencies");
        let foreign = used.filter(|it| !CORE_MAY_USE.contains(&it.name));
        foreign
            .map(|it| Finding::new(manifest.path, format!("the core must not use `{}`", it.name)))
            .collect()
    })
}

fn is_ours(name: &str) -> bool {
    name == "flyball" || name == "xtask" || name.starts_with("flyball-")
}

fn each(tree: &Tree, rule: impl Fn(&Manifest) -> Vec<Finding>) -> Vec<Finding> {
    let manifests = tree.ending("/Cargo.toml");
    let findings = manifests.map(|(path, text)| match text.parse() {
        Ok(table) => rule(&Manifest { path, table }),
        Err(error) => vec![Finding::new(path, format!("is not TOML: {error}"))],
    });
    findings.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objections(rule: fn(&Tree) -> Vec<Finding>, manifest: &str) -> Vec<String> {
        let tree = Tree::from([("crates/a/Cargo.toml", manifest)]);
        rule(&tree).into_iter().map(|finding| finding.objection).collect()
    }

    #[test]
    fn a_crate_without_the_workspace_lints_is_found() {
        assert_eq!(objections(workspace_lints, "[lints]\nworkspace = true").len(), 0);
        assert_eq!(objections(workspace_lints, "[lints.rust]\nunsafe_code = \"deny\"").len(), 1);
        assert_eq!(objections(workspace_lints, "[package]\nname = \"a\"").len(), 1);
    }

    #[test]
    fn a_version_of_its_own_is_found_in_every_kind_of_dependency() {
        let manifest = "
            [dependencies]
            serde.workspace = true
            toml = { workspace = true, features = [\"parse\"] }
            rand = \"0.9\"
            [target.'cfg(unix)'.dev-dependencies]
            tempfile = { version = \"3\" }";
        let found = objections(workspace_versions, manifest);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`rand`") && found[1].contains("`tempfile`"), "{found:?}");
    }

    #[test]
    fn an_adapter_may_use_the_core_and_not_its_neighbour() {
        let manifest = "
            [package]
            name = \"flyball-docker\"
            [dependencies]
            flyball-core.workspace = true
            flyball-cgroup.workspace = true
            flyball-haproxy.workspace = true";
        let expected = ["`flyball-docker` must not depend on `flyball-haproxy`"];
        assert_eq!(objections(edges, manifest), expected);
    }

    #[test]
    fn a_crate_nobody_gave_a_place_is_found() {
        let found = objections(edges, "[package]\nname = \"flyball-extra\"");
        assert_eq!(found, ["`flyball-extra` has no place in xtask's table of edges"]);
        assert_eq!(allowed("flyball"), Some(Edges::All));
    }

    #[test]
    fn the_core_may_use_more_in_its_tests_than_in_itself() {
        let manifest = "
            [package]
            name = \"flyball-core\"
            [dependencies]
            serde.workspace = true
            jiff.workspace = true
            [dev-dependencies]
            proptest.workspace = true";
        assert_eq!(objections(core_dependencies, manifest), ["the core must not use `jiff`"]);
    }

    #[test]
    fn a_broken_manifest_is_a_finding_not_a_crash() {
        let found = objections(edges, "[package");
        assert!(found[0].starts_with("is not TOML"), "{found:?}");
    }
}
