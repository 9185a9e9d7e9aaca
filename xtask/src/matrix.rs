//! The end-to-end suites against other versions of other systems. Exit status 0 means that every
//! suite passed and skipped nothing.

mod root;
mod rows;
mod suite;

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Args;

use root::Root;
use rows::{ROWS, Row};
use suite::Outcome;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Which systems; all, if none is named
    #[arg(value_parser = names())]
    names: Vec<String>,
}

fn names() -> clap::builder::PossibleValuesParser {
    ROWS.iter().map(|row| row.name).collect::<Vec<_>>().into()
}

/// The systems that `cargo xtask test` does not run against.
pub(crate) fn names_apart() -> Vec<&'static str> {
    ROWS.iter().filter(|row| row.release.is_some()).map(|row| row.name).collect()
}

/// Runs the suites of the systems that are named.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let wanted = |row: &&Row| {
        arguments.names.is_empty() || arguments.names.iter().any(|name| name == row.name)
    };
    let outcomes: Vec<_> =
        ROWS.iter().filter(wanted).map(|row| (row, run_row(root, row))).collect();
    println!("\n{}", table(&outcomes));
    let mut bad = Vec::new();
    for (row, outcome) in &outcomes {
        match outcome {
            Ok(outcome) => {
                outcome.not_run.iter().for_each(|line| println!("{}: not run: {line}", row.name));
                bad.extend((!outcome.is_good()).then_some(row.name));
            }
            Err(error) => {
                println!("{}: {error:#}", row.name);
                bad.push(row.name);
            }
        }
    }
    ensure!(bad.is_empty(), "failed: {}", bad.join(", "));
    Ok(())
}

/// The same for names from the environment, separated by commas.
pub(crate) fn run_named(root: &Path, list: &str) -> Result<()> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| row.name == **name)) {
        let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        bail!("there is no system {unknown:?} in the matrix: {}", known.join(", "));
    }
    run(root, &Arguments { names })
}

fn run_row(root: &Path, row: &Row) -> Result<Outcome> {
    eprintln!("==> {}", row.name);
    let began = Instant::now();
    let debian = row.release.map(|release| Root::ready(release, row.packages)).transpose()?;
    if debian.is_some() {
        eprintln!("    its root is ready after {:.1} s", began.elapsed().as_secs_f64());
    }
    suite::run(root, row, debian.as_ref())
}

/// As the reference has it.
fn table(outcomes: &[(&Row, Result<Outcome>)]) -> String {
    let mut text =
        "| system | version | Debian | suite | passed | failed | time |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (row, outcome) in outcomes {
        let debian = row.release.unwrap_or("this machine's");
        let result = match outcome {
            Ok(outcome) => format!(
                "{} | {debian} | `{}` | {} | {} | {:.0} s",
                outcome.version,
                row.suite.join(" "),
                outcome.passed,
                outcome.failed,
                outcome.time_s
            ),
            Err(_) => format!("? | {debian} | `{}` | 0 | not run | - ", row.suite.join(" ")),
        };
        text.push_str(&format!("| {} | {result} |\n", row.system));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_could_not_be_run_has_a_row_of_its_own() {
        let row = &ROWS[0];
        let good = Outcome {
            version: "7.0.22".to_owned(),
            passed: 3,
            failed: 1,
            time_s: 61.6,
            not_run: Vec::new(),
        };
        let text = table(&[(row, Ok(good)), (row, Err(anyhow::anyhow!("no network")))]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert!(
            lines[0].contains("| 7.0.22 |") && lines[0].ends_with("| 3 | 1 | 62 s |"),
            "{text}"
        );
        assert!(lines[1].contains("not run"), "{text}");
    }

    #[test]
    fn a_system_that_is_not_in_the_matrix_is_refused_with_those_that_are() {
        let error = run_named(Path::new("/"), "zabbix-1.0").unwrap_err().to_string();
        assert!(error.contains("zabbix-7.0"), "{error}");
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
    }
}
