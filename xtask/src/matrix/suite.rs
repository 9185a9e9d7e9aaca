//! One run of a suite, and its result. A test missing from nextest's report was not run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::root::{Root, version_here};
use super::rows::Row;
use crate::step;
use crate::test::{NOT_RUN, NotRun};

/// Where nextest's profile `matrix` writes its report, in the workspace wherever cargo builds.
const REPORT: &str = "target/nextest/matrix/junit.xml";

/// What came of a suite.
pub(super) struct Outcome {
    /// Debian's, of the system that was tried.
    pub(super) version: String,
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// How long the tests took, without building them.
    pub(super) time_s: f64,
    /// What this machine could not run, a line each.
    pub(super) not_run: Vec<String>,
}

impl Outcome {
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0 && self.not_run.is_empty()
    }
}

/// Runs the suite of `row` with the programs of `debian`, or of this machine.
pub(super) fn run(root: &Path, row: &Row, debian: Option<&Root>) -> Result<Outcome> {
    let notes = NotRun::new()?;
    let report = root.join(REPORT);
    // One of an earlier run would be taken for this one's.
    let _old = fs::remove_file(&report);
    let mut nextest = step::cargo(root);
    // The profile writes the report.
    nextest.args(["nextest", "run", "--profile", "matrix"]).args(row.suite);
    nextest.env(NOT_RUN, notes.file()).envs(row.environment.iter().copied());
    if let Some(debian) = debian {
        nextest.env("FLYBALL_ROOT", debian.folder());
    }
    let status = step::status_of(&mut nextest)?;
    let text = fs::read_to_string(&report)
        .with_context(|| format!("no test was run: nextest ended with {status}"))?;
    let counts = Counts::read(&text).context("nextest's report is not as expected")?;
    let package = row.packages[0];
    let version = match debian {
        Some(debian) => debian.version(package),
        None => version_here(package),
    };
    Ok(Outcome {
        version: version.as_deref().map_or("none installed", upstream).to_owned(),
        passed: counts.tests.saturating_sub(counts.failed),
        failed: counts.failed,
        time_s: counts.time_s,
        not_run: notes.read()?,
    })
}

/// Debian's version without its epoch and its own part: `1:7.0.22+dfsg-1` is 7.0.22.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split(['-', '+', '~']).next().unwrap_or(version)
}

/// The figures of a report in JUnit's format.
#[derive(Debug, PartialEq)]
struct Counts {
    tests: u64,
    failed: u64,
    time_s: f64,
}

impl Counts {
    fn read(report: &str) -> Option<Self> {
        let start = report.find("<testsuites ")?;
        let tag = &report[start..start + report[start..].find('>')?];
        let value = |name: &str| {
            let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
            tag[start..].split('"').next()
        };
        let number = |name: &str| value(name)?.parse::<u64>().ok();
        let failed = number("failures")? + number("errors")?;
        Some(Self { tests: number("tests")?, failed, time_s: value("time")?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_report_are_read_by_name() {
        let report = "<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" tests=\"3\" \
            failures=\"1\" errors=\"1\" uuid=\"a\" timestamp=\"b\" time=\"61.250\">\n";
        let counts = Counts { tests: 3, failed: 2, time_s: 61.25 };
        assert_eq!(Counts::read(report), Some(counts));
        assert_eq!(Counts::read("<testsuite tests=\"3\">"), None);
        assert_eq!(Counts::read(""), None);
    }

    #[test]
    fn a_version_is_shown_without_what_debian_adds() {
        let all = ["1:7.0.22+dfsg-1~deb13u1", "3.0.11-1+deb13u2", "26.1.5"].map(upstream);
        assert_eq!(all, ["7.0.22", "3.0.11", "26.1.5"]);
    }
}
