//! Rules on the text of single files. The word lists are written in two halves, so that they do not
//! trigger their own rule.

use super::{Finding, Tree};

/// Lines a file may have, tests included.
const MAX_LINES: usize = 600;

/// Endings of the files that people write and that must stay readable in one go.
const WRITTEN: [&str; 4] = [".rs", ".js", ".css", ".html"];

/// What marks unfinished work.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Where packages and images come from: the machine's configuration, not this repository's business.
const REGISTRIES: [&str; 10] = [
    concat!("crates", ".io"),
    concat!("docker", ".io/"),
    concat!("index.docker", ".io"),
    concat!("registry-1.docker", ".io"),
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
    concat!("pypi", ".org"),
    concat!("files.python", "hosted.org"),
    concat!("registry.npm", "js.org"),
    concat!("proxy.gol", "ang.org"),
];

/// What the core must not touch: clocks, I/O, randomness, unordered collections.
const FENCED: [&str; 17] = [
    "HashMap",
    "HashSet",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::io",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "getrandom",
    "rand",
    "tokio",
];

/// Every Rust file begins with its purpose.
pub(super) fn missing_header(tree: &Tree) -> Vec<Finding> {
    let bare = tree.ending(".rs").filter(|(_, text)| !text.starts_with("//!"));
    bare.map(|(path, _)| Finding::new(path, "the first line must be `//! ...`")).collect()
}

/// No file grows beyond what one can hold in mind.
pub(super) fn too_long(tree: &Tree) -> Vec<Finding> {
    let written = tree.ending("").filter(|(path, _)| WRITTEN.iter().any(|end| path.ends_with(end)));
    let counted = written.map(|(path, text)| (path, text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > MAX_LINES);
    let objection = |lines| format!("{lines} lines, at most {MAX_LINES}: split it");
    long.map(|(path, lines)| Finding::new(path, objection(lines))).collect()
}

/// Nothing is left for later without an issue.
pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    let ours = tree.ending("").filter(|(path, _)| !path.ends_with(".lock"));
    each_line(ours, |line| UNFINISHED.into_iter().find(|word| has_word(line, word)))
}

/// No registry is named, so that any mirror works.
pub(super) fn registry_hosts(tree: &Tree) -> Vec<Finding> {
    let ours = tree.ending("").filter(|(path, _)| *path != "Cargo.lock");
    each_line(ours, |line| REGISTRIES.into_iter().find(|host| line.contains(host)))
}

/// The core stays free of clocks, I/O, randomness and unordered collections.
pub(super) fn core_fence(tree: &Tree) -> Vec<Finding> {
    let core = tree.ending(".rs").filter(|(path, _)| path.starts_with("crates/flyball-core/src/"));
    each_line(core, |line| {
        let code = line.split("//").next().unwrap_or_default();
        FENCED.into_iter().find(|word| has_word(code, word))
    })
}

/// What two crates share is a crate, so that the edges between them are seen.
pub(super) fn modules_of_others(tree: &Tree) -> Vec<Finding> {
    let ours = tree.ending(".rs").filter_map(|(path, text)| Some((crate_of(path)?, path, text)));
    let mut findings = Vec::new();
    for (own, path, text) in ours {
        for (number, line) in (1..).zip(text.lines()) {
            let Some(module) = module_path(line) else { continue };
            if !stays_within(own, path, module) {
                let objection = format!("`{module}` belongs to another crate: share it as a crate");
                findings.push(Finding::new(format!("{path}:{number}"), objection));
            }
        }
    }
    findings
}

/// `crates/a` of `crates/a/src/b.rs`.
fn crate_of(path: &str) -> Option<&str> {
    let (name, _) = path.strip_prefix("crates/")?.split_once('/')?;
    path.get(.."crates/".len() + name.len())
}

/// The file that a `path` attribute names.
fn module_path(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix(concat!("#[pa", "th = \""))?.split('"').next()
}

fn stays_within(own: &str, path: &str, module: &str) -> bool {
    let deep = path.matches('/').count() - own.matches('/').count() - 1;
    module.matches("../").count() <= deep
}

/// Whether any documentation holds a code block that rustdoc would run: one in Rust, or in no
/// language by name.
pub(super) fn have_doctests(tree: &Tree) -> bool {
    tree.ending(".rs").any(|(_, text)| has_doctest(text))
}

fn has_doctest(text: &str) -> bool {
    let docs = text.lines().map(str::trim_start);
    let docs = docs.filter_map(|line| line.strip_prefix("///").or(line.strip_prefix("//!")));
    let fences = docs.filter_map(|doc| doc.trim().strip_prefix("```"));
    let mut opening = fences.step_by(2).map(|language| language.split(',').next());
    opening.any(|language| {
        matches!(language, Some("" | "rust" | "no_run" | "should_panic" | "compile_fail"))
    })
}

fn each_line<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    find: impl Fn(&str) -> Option<&'static str>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        for (number, line) in (1..).zip(text.lines()) {
            let found = find(line).map(|word| format!("`{word}` is not allowed here"));
            findings.extend(found.map(|text| Finding::new(format!("{path}:{number}"), text)));
        }
    }
    findings
}

/// Whether `word` stands in `line` by itself: a longer name does not count, unless `word` is a
/// path whose last part may go on, as in `std::net::Tcp`.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let may_go_on = word.contains("::");
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part_of_name);
        let after = line[at + word.len()..].chars().next().is_some_and(part_of_name);
        !before && (may_go_on || !after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.place.as_str()).collect()
    }

    #[test]
    fn a_module_of_another_crate_is_found_and_one_of_the_same_crate_is_not() {
        let attribute = |module: &str| format!("{}\"{module}\"]\n", concat!("#[pa", "th = "));
        let (own, other) = (attribute("../b.rs"), attribute("../../../b/tests/c.rs"));
        let tree = Tree::from([
            ("crates/a/tests/d/main.rs", own.as_str()),
            ("crates/a/tests/e/main.rs", other.as_str()),
        ]);
        assert_eq!(places(&modules_of_others(&tree)), ["crates/a/tests/e/main.rs:1"]);
    }

    #[test]
    fn a_rust_file_must_begin_with_its_purpose() {
        let tree = Tree::from([("a.rs", "//! A.\n"), ("b.rs", "// B.\n"), ("c.md", "C")]);
        assert_eq!(places(&missing_header(&tree)), ["b.rs"]);
    }

    #[test]
    fn line_601_is_one_too_many() {
        let (fits, long) = ("x\n".repeat(600), "x\n".repeat(601));
        let tree = Tree::from([("fits.rs", &*fits), ("long.js", &*long), ("data.csv", &*long)]);
        assert_eq!(places(&too_long(&tree)), ["long.js"]);
    }

    #[test]
    fn unfinished_work_is_found_with_its_line() {
        let marked = format!("fine\n# {} later\n", UNFINISHED[0]);
        let tree = Tree::from([("a.toml", &*marked), ("b.rs", "methodology")]);
        assert_eq!(places(&unfinished(&tree)), ["a.toml:2"]);
    }

    #[test]
    fn a_registry_host_is_found_everywhere_but_in_the_lock_file() {
        let named = format!("source = \"{}\"", REGISTRIES[0]);
        let tree = Tree::from([("Cargo.lock", &*named), ("docs/a.md", &*named)]);
        assert_eq!(places(&registry_hosts(&tree)), ["docs/a.md:1"]);
    }

    #[test]
    fn the_core_is_fenced_in_code_but_may_be_talked_about() {
        let code = "//! Reads no Instant.\nuse std::net::TcpStream;\nlet operand = 1; // HashMap\n";
        let tree = Tree::from([
            ("crates/flyball-core/src/a.rs", code),
            ("crates/flyball-proxy/src/a.rs", "use tokio::net;"),
        ]);
        assert_eq!(places(&core_fence(&tree)), ["crates/flyball-core/src/a.rs:2"]);
    }

    #[test]
    fn a_longer_name_is_another_word() {
        assert!(has_word("use rand::Rng", "rand"));
        assert!(!has_word("let operand = brand(random)", "rand"));
        assert!(has_word("std::net::UdpSocket", "std::net::Udp"));
    }

    #[test]
    fn only_rust_examples_in_documentation_are_doctests() {
        assert!(has_doctest("/// ```\n/// f();\n/// ```"));
        assert!(has_doctest("//! ```rust,no_run\n//! f();\n//! ```"));
        assert!(!has_doctest("/// ```text\n/// f\n/// ```"));
    }
}
