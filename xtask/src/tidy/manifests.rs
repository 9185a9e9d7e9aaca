//! Rules on the crates' manifests: lints, versions and the edges between our crates. The edges are
//! those of the crate table in ARCHITECTURE.md, which is written nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::{Finding, Tree};

/// Folders in which a crate lists what it needs.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// What tests of any crate may use.
const TEST_KIT: &str = "flyball-testkit";

/// What the core may use from others, tests aside: serialization of its data types, and their schema.
const CORE_MAY_USE: [&str; 2] = ["serde", "utoipa"];

/// Who of ours a crate uses.
#[derive(Debug, PartialEq, Eq)]
enum Edges {
    To(BTreeSet<String>),
    All,
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

/// Our crates depend on each other as in the crate table of ARCHITECTURE.md: no edge more, and
/// none less. Tests may also use the test kit.
pub(super) fn edges(tree: &Tree) -> Vec<Finding> {
    let table = tree.text(ARCHITECTURE).map(edge_table).unwrap_or_default();
    each(tree, |manifest| {
        let package = manifest.package();
        let Some(drawn) = table.get(package) else {
            let objection = format!("`{package}` has no row in the crate table of {ARCHITECTURE}");
            return vec![Finding::new(manifest.path, objection)];
        };
        let Edges::To(drawn) = drawn else { return Vec::new() };
        let dependencies = manifest.dependencies();
        let ours = || dependencies.iter().filter(|it| is_ours(it.name));
        let is_test_only = |it: &Dependency| it.kind == "dev-dependencies" && it.name == TEST_KIT;
        let extra = ours().filter(|it| !drawn.contains(it.name) && !is_test_only(it));
        let extra = extra.map(|it| format!("`{package}` must not depend on `{}`", it.name));
        let unused = drawn.iter().filter(|name| ours().all(|it| it.name != **name));
        let unused = unused.map(|name| format!("{ARCHITECTURE} draws an edge to `{name}`"));
        extra.chain(unused).map(|objection| Finding::new(manifest.path, objection)).collect()
    })
}

/// Who of ours each crate uses, by the rows `| crate | is | uses of ours |`.
fn edge_table(text: &str) -> BTreeMap<String, Edges> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let [path, _, uses, ..] = cells[..] else { return None };
        let path = path.strip_prefix('`')?.strip_suffix('`')?;
        Some((package_at(path)?, edges_of(uses)))
    });
    rows.collect()
}

/// `crates/flyball-core` holds `flyball-core`, `fuzz` holds `flyball-fuzz`.
fn package_at(path: &str) -> Option<String> {
    match path {
        "xtask" => Some(path.to_owned()),
        "fuzz" => Some("flyball-fuzz".to_owned()),
        _ => path.strip_prefix("crates/").map(str::to_owned),
    }
}

fn edges_of(uses: &str) -> Edges {
    match uses {
        "all" => Edges::All,
        "nothing" => Edges::To(BTreeSet::new()),
        names => {
            Edges::To(names.split(',').map(|name| format!("flyball-{}", name.trim())).collect())
        }
    }
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

    const MAP: &str = "\
| crate | is | uses of ours |
|---|---|---|
| `crates/flyball-docker` | engines | core, cgroup |
| `crates/flyball` | everything | all |
| `fuzz` | targets | all |
";

    fn edge_objections(manifest: &str) -> Vec<String> {
        let tree = Tree::from([(ARCHITECTURE, MAP), ("crates/a/Cargo.toml", manifest)]);
        edges(&tree).into_iter().map(|finding| finding.objection).collect()
    }

    #[test]
    fn an_edge_that_the_map_does_not_draw_is_found() {
        let manifest = "
            [package]
            name = \"flyball-docker\"
            [dependencies]
            flyball-core.workspace = true
            flyball-cgroup.workspace = true
            flyball-haproxy.workspace = true
            [dev-dependencies]
            flyball-testkit.workspace = true";
        let expected = ["`flyball-docker` must not depend on `flyball-haproxy`"];
        assert_eq!(edge_objections(manifest), expected);
        for package in ["flyball", "flyball-fuzz"] {
            let manifest = manifest.replace("flyball-docker", package);
            assert_eq!(edge_objections(&manifest), [""; 0]);
        }
    }

    #[test]
    fn an_edge_that_the_map_draws_and_no_crate_uses_is_found() {
        let manifest = "
            [package]
            name = \"flyball-docker\"
            [dependencies]
            flyball-core.workspace = true";
        let expected = ["ARCHITECTURE.md draws an edge to `flyball-cgroup`"];
        assert_eq!(edge_objections(manifest), expected);
    }

    #[test]
    fn a_crate_without_a_row_in_the_map_is_found() {
        let found = edge_objections("[package]\nname = \"flyball-extra\"");
        assert_eq!(found, ["`flyball-extra` has no row in the crate table of ARCHITECTURE.md"]);
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
