//! The house rules that neither the compiler nor clippy checks. A rule that cannot be checked is
//! reported instead of passing.

mod circles;
mod dependencies;
mod documents;
mod licence;
mod manifests;
mod sources;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};

use tree::Tree;

/// One objection: where, and to what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    objection: String,
}

impl Finding {
    fn new(place: impl Into<String>, objection: impl Into<String>) -> Self {
        Self { place: place.into(), objection: objection.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.objection)
    }
}

/// All findings of the rules.
#[derive(Default)]
pub(crate) struct Report {
    /// What has to change.
    pub(crate) findings: Vec<Finding>,
    /// Rules that could not be checked, and why.
    pub(crate) not_run: Vec<String>,
}

impl Report {
    /// Prints everything to stderr.
    pub(crate) fn print(&self) {
        for finding in &self.findings {
            eprintln!("{finding}");
        }
        for rule in &self.not_run {
            eprintln!("not checked: {rule}");
        }
    }
}

/// Checks every rule and prints the outcome; findings are an error.
pub(crate) fn run(root: &Path) -> Result<()> {
    let report = check(root)?;
    report.print();
    ensure!(report.findings.is_empty(), "tidy has {} findings", report.findings.len());
    Ok(())
}

/// Checks every rule.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let tree = Tree::read(root)?;
    let mut report = Report::default();
    for rule in [
        sources::missing_header,
        sources::too_long,
        sources::unfinished,
        sources::registry_hosts,
        sources::core_fence,
        sources::modules_of_others,
        circles::file_circles,
        manifests::workspace_lints,
        manifests::workspace_versions,
        manifests::edges,
        manifests::core_dependencies,
        documents::changelog,
        words::private_words,
    ] {
        report.findings.extend(rule(&tree));
    }
    match documents::architecture(&tree) {
        Some(findings) => report.findings.extend(findings),
        None => report.not_run.push("tidy: there is no ARCHITECTURE.md to compare with".into()),
    }
    report.findings.extend(dependencies::check(root, &tree)?);
    Ok(report)
}

/// Whether any public documentation holds an example that rustdoc would run.
pub(crate) fn has_doctests(root: &Path) -> Result<bool> {
    Ok(sources::have_doctests(&Tree::read(root)?))
}
