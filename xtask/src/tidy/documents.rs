//! Rules on the documents: the paths they name exist, and what exists is named.

use std::collections::BTreeSet;

use super::{Finding, Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const CHANGELOG: &str = "CHANGELOG.md";

/// Users can read what is about to change.
pub(super) fn changelog(tree: &Tree) -> Vec<Finding> {
    let text = tree.text(CHANGELOG).unwrap_or_default();
    let has_section = text.lines().any(|line| line.trim_end() == "## Unreleased");
    let missing = (!has_section).then(|| Finding::new(CHANGELOG, "has no `## Unreleased` section"));
    missing.into_iter().collect()
}

/// The map fits the land: every path named exists, every crate is named. None without a map.
pub(super) fn architecture(tree: &Tree) -> Option<Vec<Finding>> {
    let text = tree.text(ARCHITECTURE)?;
    let named = named_paths(text);
    let gone = named.iter().filter(|path| !tree.holds(path));
    let gone = gone.map(|path| Finding::new(ARCHITECTURE, format!("`{path}` does not exist")));
    let unnamed = crates(tree).into_iter().filter(|name| !has_name(text, name));
    let unnamed = unnamed.map(|name| Finding::new(ARCHITECTURE, format!("`{name}` is not named")));
    Some(gone.chain(unnamed).collect())
}

fn named_paths(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices("crates/").map(|(at, _)| &text[at..]);
    let paths = starts.map(|rest| {
        let end = rest.find(|c: char| !is_path_char(c)).unwrap_or(rest.len());
        rest[..end].trim_end_matches(['.', '/'])
    });
    paths.filter(|path| *path != "crates").collect()
}

fn is_path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.')
}

fn crates(tree: &Tree) -> BTreeSet<&str> {
    let manifests = tree.ending("/Cargo.toml").filter_map(|(path, _)| path.strip_prefix("crates/"));
    manifests.filter_map(|path| path.strip_suffix("/Cargo.toml")).collect()
}

/// Whether `name` stands in `text` by itself, so that `flyball-core` does not name `flyball`.
fn has_name(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.split(|c| !part_of_name(c)).any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_needs_its_unreleased_section() {
        assert_eq!(changelog(&Tree::from([])).len(), 1);
        assert_eq!(changelog(&Tree::from([(CHANGELOG, "# C\n\n## 0.1.0\n")])).len(), 1);
        assert_eq!(changelog(&Tree::from([(CHANGELOG, "# C\n\n## Unreleased\n")])).len(), 0);
    }

    #[test]
    fn the_map_names_what_is_there_and_only_that() {
        let tree = Tree::from([
            (ARCHITECTURE, "See `crates/a/src/lib.rs` and crates/a/gone.rs. Under crates/ more."),
            ("crates/a/src/lib.rs", ""),
            ("crates/a/Cargo.toml", ""),
            ("crates/a-b/Cargo.toml", ""),
        ]);
        let found = architecture(&tree).unwrap();
        let objections: Vec<_> = found.iter().map(|finding| finding.objection.as_str()).collect();
        assert_eq!(objections, ["`crates/a/gone.rs` does not exist", "`a-b` is not named"]);
    }

    #[test]
    fn without_a_map_the_rule_is_not_checked() {
        assert!(architecture(&Tree::from([])).is_none());
    }
}
