//! `flyball reload`: the daemon reads its file again. Exit status 0: all applied; 1: the file is
//! invalid, or something could not be applied; 2: the daemon could not be asked.

use std::process::ExitCode;

use flyball_web::{ProblemKind, ReloadReport};

use super::client;
use crate::cli::Reload;
use crate::failure::Failure;
use crate::output::{note, print};
use crate::plain;

pub(crate) async fn reload(options: Reload) -> Result<ExitCode, Failure> {
    let client = &options.client;
    match client.post_or_problem::<ReloadReport>("/api/v1/reload").await? {
        Ok(report) => {
            if client.json {
                print(&serde_json::to_string(&report).unwrap_or_default())?;
            } else {
                show(&report)?;
            }
            let all = report.not_applied.is_empty();
            Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Err(problem) if problem.is(ProblemKind::InvalidConfiguration) => {
            if client.json {
                print(&serde_json::to_string(&problem).unwrap_or_default())?;
            }
            note(&plain::lines(&problem.detail));
            note("nothing was applied: the earlier configuration goes on");
            Ok(ExitCode::from(1))
        }
        Err(problem) => Err(client::refusal(problem)),
    }
}

fn show(report: &ReloadReport) -> Result<(), Failure> {
    if report.applied.is_empty() && report.not_applied.is_empty() {
        return print("nothing changed");
    }
    for line in &report.applied {
        print(&format!("applied      {}", plain::one_line(line)))?;
    }
    for line in &report.not_applied {
        print(&format!("not applied  {}", plain::one_line(line)))?;
    }
    Ok(())
}
