//! No two files of a crate use each other, directly or through others, so that one of them can be
//! read first. What counts is a path that begins with `crate::`; a module and its own parts may
//! use each other by `super::`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Tree};

type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// No file reaches itself along `crate::` paths.
pub(super) fn file_circles(tree: &Tree) -> Vec<Finding> {
    let edges = edges(tree);
    let mut in_circle = BTreeSet::new();
    let mut found = Vec::new();
    for file in edges.keys() {
        let Some(circle) = circle(file, &edges).filter(|_| !in_circle.contains(file)) else {
            continue;
        };
        in_circle.extend(circle.iter().copied());
        let objection = format!("uses itself: {} -> {file}", circle.join(" -> "));
        found.push(Finding::new(*file, objection));
    }
    found
}

/// The files below `crates/NAME/src`, and which of the same crate each uses.
fn edges(tree: &Tree) -> Edges<'_> {
    let sources = tree.ending(".rs").filter(|(path, _)| source_root(path).is_some());
    let sources: BTreeMap<&str, &str> = sources.collect();
    let edges = sources.iter().filter_map(|(path, text)| {
        let root = source_root(path)?;
        let code = code(text);
        let paths = code.split("crate::").skip(1).flat_map(paths);
        let used = paths.filter_map(|names| file_of(root, names, &sources));
        Some((*path, used.filter(|used| used != path).collect()))
    });
    edges.collect()
}

/// `crates/a/src/` of `crates/a/src/b.rs`.
fn source_root(path: &str) -> Option<&str> {
    let (name, _) = path.strip_prefix("crates/")?.split_once("/src/")?;
    path.get(.."crates/".len() + name.len() + "/src/".len())
}

/// The lines before the tests, without comments and without what a macro makes of other files.
fn code(text: &str) -> String {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    let code: String = lines.map(|line| line.split("//").next().unwrap_or_default()).collect();
    code.replace("$crate::", "")
}

/// What stands behind `crate::`: one path, or those between braces. What stands between braces
/// within those is left out.
fn paths(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else { return vec![rest] };
    let (mut depth, mut parts) = (0_i32, Vec::new());
    for part in group.split_inclusive(['{', '}', ',']) {
        if depth == 0 {
            parts.push(part.trim());
        }
        depth += i32::from(part.ends_with('{')) - i32::from(part.ends_with('}'));
        if depth < 0 {
            break;
        }
    }
    parts
}

/// The file of the deepest module that a path names.
fn file_of<'a>(root: &str, path: &str, sources: &BTreeMap<&'a str, &str>) -> Option<&'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut module = root.to_owned();
    let mut deepest = None;
    for part in path.split("::") {
        let name = part.split(|c| !is_name(c)).next().unwrap_or_default();
        module.push_str(name);
        let Some((file, _)) = sources.get_key_value(format!("{module}.rs").as_str()) else { break };
        deepest = Some(*file);
        module.push('/');
    }
    deepest
}

/// The way from `start` back to it, if there is one.
fn circle<'a>(start: &'a str, edges: &Edges<'a>) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in edges.get(way.last()?).into_iter().flatten() {
            if *next == start {
                return Some(way);
            }
            if seen.insert(*next) {
                ways.push(way.iter().chain([next]).copied().collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: [(&str, &str); 3]) -> Vec<String> {
        file_circles(&Tree::from(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_that_use_each_other_are_one_circle() {
        let files = [
            ("crates/a/src/x.rs", "use crate::y::Y;\n"),
            ("crates/a/src/y.rs", "fn f() { crate::z::deep::g(); }"),
            ("crates/a/src/z.rs", "mod deep;\nuse crate::{x::X, other};"),
        ];
        let [x, y, z] = files.map(|(path, _)| path);
        assert_eq!(found(files), [format!("{x}: uses itself: {x} -> {y} -> {z} -> {x}")]);
    }

    #[test]
    fn a_chain_a_test_a_comment_and_another_crate_are_no_circle() {
        let files = [
            ("crates/a/src/x.rs", "use crate::y::Y;\nuse crate::y::sub;"),
            (
                "crates/a/src/y.rs",
                "// crate::x\n#[cfg(test)]\nmod tests {\n    use crate::x::X;\n}",
            ),
            ("crates/b/src/y.rs", "use crate::x::X;"),
        ];
        assert_eq!(found(files), [""; 0]);
    }
}
