//! The one test command, its steps, and what was not run. Nothing is skipped silently, and with
//! `CI=true` nothing is skipped at all. nextest runs the tests; `.config/nextest.toml` groups them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::step::{self, Steps};
use crate::{matrix, systems, tidy};

/// The environment variable that names the file to which a test appends one line, `TEST: REASON`,
/// when this machine lacks something that it needs.
pub(crate) const NOT_RUN: &str = "FLYBALL_NOT_RUN";

/// The environment variable that names the systems of the matrix to run as well, with commas between.
const MATRIX: &str = "FLYBALL_MATRIX";

/// Runs every step; stops at the first that fails.
pub(crate) fn run(root: &Path) -> Result<()> {
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    let notes = NotRun::new()?;
    let mut steps = Steps::default();
    let mut left_out = Vec::new();

    steps.take("format", || step::run(step::cargo(root).args(["fmt", "--all", "--check"])))?;
    steps.take("tidy", || {
        let report = tidy::check(root)?;
        report.print();
        left_out.extend(report.not_run);
        ensure!(report.findings.is_empty(), "{} findings", report.findings.len());
        Ok(())
    })?;
    steps.take("clippy", || step::run(&mut clippy(root, strict)))?;
    install_nextest(root, &mut steps)?;
    steps.take("systems", || {
        systems::install();
        Ok(())
    })?;
    steps.take("tests", || step::run(nextest(root, strict).env(NOT_RUN, &notes.file)))?;
    if tidy::has_doctests(root)? {
        steps.take("doctests", || {
            step::run(step::cargo(root).args(["test", "--workspace", "--doc", "--quiet"]))
        })?;
    }
    left_out.extend(notes.read()?);
    match std::env::var(MATRIX) {
        Ok(names) => steps.take("matrix", || matrix::run_named(root, &names))?,
        Err(_) => println!(
            "other versions of the systems are tried by `cargo xtask matrix`, or with {MATRIX}={}",
            matrix::names_apart().join(",")
        ),
    }

    println!("\n{}", steps.summary());
    conclude(&left_out, strict)
}

fn clippy(root: &Path, strict: bool) -> Command {
    let mut command = step::cargo(root);
    command.args(["clippy", "--workspace", "--all-targets"]);
    command.args(strict.then_some("--locked")).args(["--", "-D", "warnings"]);
    built_once(&mut command, strict);
    command
}

fn nextest(root: &Path, strict: bool) -> Command {
    let mut command = step::cargo(root);
    command.args(["nextest", "run", "--workspace", "--no-tests", "fail"]);
    command.args(strict.then_some("--locked"));
    built_once(&mut command, strict);
    command
}

/// A checkout that is built once and thrown away has no use for what makes the next build shorter.
fn built_once(command: &mut Command, strict: bool) {
    command.envs(strict.then_some(("CARGO_INCREMENTAL", "0")));
}

fn install_nextest(root: &Path, steps: &mut Steps) -> Result<()> {
    let mut probe = step::cargo(root);
    probe.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("cargo-nextest is not installed; installing it once with `cargo install`");
    steps.take("nextest", || {
        step::run(step::cargo(root).args(["install", "--locked", "cargo-nextest"]))
    })
}

fn conclude(left_out: &[String], strict: bool) -> Result<()> {
    if left_out.is_empty() {
        println!("every check ran on this machine");
        return Ok(());
    }
    println!("not run on this machine:");
    for line in left_out {
        println!("  {line}");
    }
    ensure!(!strict, "CI=true, and {} checks were not run", left_out.len());
    Ok(())
}

/// The file in which tests note what they could not run; gone when this is dropped.
pub(crate) struct NotRun {
    file: PathBuf,
}

impl NotRun {
    pub(crate) fn new() -> Result<Self> {
        let name = format!("flyball-not-run-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self { file })
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn read(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.file)
            .with_context(|| format!("cannot read {}", self.file.display()))?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        Ok(lines)
    }
}

impl Drop for NotRun {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_fails_only_under_ci() {
        let left_out = ["docker: no daemon".to_owned()];
        assert!(conclude(&left_out, false).is_ok());
        assert_eq!(
            conclude(&left_out, true).unwrap_err().to_string(),
            "CI=true, and 1 checks were not run"
        );
        assert!(conclude(&[], true).is_ok());
    }

    #[test]
    fn what_tests_noted_is_read_in_order_and_once() {
        let notes = NotRun::new().unwrap();
        fs::write(&notes.file, "b: no daemon\na: no root\nb: no daemon\n").unwrap();
        assert_eq!(notes.read().unwrap(), ["a: no root", "b: no daemon"]);
    }
}
