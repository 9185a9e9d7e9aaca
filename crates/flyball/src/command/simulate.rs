//! `flyball simulate`: a load replayed through any policy, with what it cost and how well it served.
//!
//! Decides which runs there are and how they are shown. Does not know how a run goes: that is
//! flyball-sim's. Invariant: every policy meets the same loads with the same chance.

mod journal;
mod report;
mod result;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use flyball_sim::run::{self, Outcome, RunError, Settings};
use flyball_sim::trace::{self, Trace};
use flyball_sim::world::{self, Physics};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Simulate;
use crate::cli::simulate::{Mode, Overload};
use crate::failure::Failure;
use crate::output::{note, print};

/// A decision broke an invariant.
const BROKEN: u8 = 3;
/// A count did not come to rest.
const UNSETTLED: u8 = 4;
/// The usual grid: below it, counts of requests are noise.
const GRID_MS: u64 = 60_000;

/// A load with what one replica serves of it.
struct Case {
    trace: Trace,
    capacity: f64,
}

pub(crate) fn simulate(options: &Simulate) -> Result<ExitCode, Failure> {
    let cases = cases(options)?;
    let jobs = cases.len() * options.policy.len();
    let progress = progress(jobs);
    let outcomes = run::all(jobs, |job| {
        let case = &cases[job / options.policy.len()];
        let name = &options.policy[job % options.policy.len()];
        let outcome = match options.mode {
            Mode::Fluid => run::fluid(name, &case.trace, &settings(options, case)),
        };
        progress.inc(1);
        outcome
    });
    progress.finish_and_clear();
    let outcomes: Vec<Outcome> = match outcomes.into_iter().collect() {
        Ok(outcomes) => outcomes,
        Err(error) => return refuse(&error),
    };
    if options.json {
        for outcome in &outcomes {
            print(&result::json(outcome)?)?;
        }
    } else {
        print(&result::text(&outcomes))?;
    }
    if let Some(path) = &options.report {
        report::write(path, &cases, &outcomes)?;
        note(&format!("the report is in {}", path.display()));
    }
    let restless: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.settled).collect();
    for outcome in &restless {
        note(&format!("{} did not come to rest after {}", outcome.policy, outcome.trace));
    }
    Ok(if restless.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(UNSETTLED) })
}

fn refuse(error: &RunError) -> Result<ExitCode, Failure> {
    match error {
        RunError::Impossible { .. } => Err(Failure::new(error)),
        RunError::Broken(_) => {
            Failure::new(error).print();
            Ok(ExitCode::from(BROKEN))
        }
    }
}

fn cases(options: &Simulate) -> Result<Vec<Case>, Failure> {
    if let Some(service) = &options.service {
        let recorded = journal::read(service, options.since, &options.file)?;
        let capacity = options.replica_capacity.or(recorded.capacity).ok_or_else(|| {
            Failure::new(format!("what a replica of {service} serves was never measured"))
                .hint("say it with --replica-capacity, in requests per second")
        })?;
        return Ok(vec![Case { trace: on_grid(recorded.trace, options.grid)?, capacity }]);
    }
    let capacity = options.replica_capacity.unwrap_or_default();
    let open = |path| {
        let trace = trace::open(path).map_err(Failure::new)?;
        Ok(Case { trace: on_grid(trace, options.grid)?, capacity })
    };
    options.trace.iter().map(|path| open(path)).collect()
}

/// The load on the grid asked for; without one, on whole steps of a minute or a little more.
fn on_grid(trace: Trace, grid_ms: Option<u64>) -> Result<Trace, Failure> {
    let usual_ms = GRID_MS.div_ceil(trace.step_ms) * trace.step_ms;
    match grid_ms {
        Some(grid_ms) => trace.resample(grid_ms).ok_or_else(|| {
            Failure::new(format!("{} cannot be laid on steps of {grid_ms} ms", trace.name))
                .hint(format!("a multiple of its own {} ms, at most its length", trace.step_ms))
        }),
        None => Ok(trace.resample(usual_ms).unwrap_or(trace)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time far below 2^52 ms")]
fn settings(options: &Simulate, case: &Case) -> Settings {
    let overload = match options.overload {
        Overload::Lost => world::Overload::Lost,
        Overload::Waits => world::Overload::Waits { patience_s: options.patience as f64 / 1000.0 },
    };
    let physics = Physics {
        replica_capacity: case.capacity,
        start_lag_ms: options.start_lag,
        overload,
        metric_lag_ms: options.metric_lag,
        wait_limit_ms: options.slo,
        ..Physics::default()
    };
    let look_ms = Some(options.look.unwrap_or(case.trace.step_ms));
    Settings { physics, bounds: options.bounds.bounds(), look_ms, seed: options.seed }
}

/// A bar on standard error, where that is a terminal and there is more than one run.
fn progress(jobs: usize) -> ProgressBar {
    if jobs < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs  {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(jobs as u64).with_style(style);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyball_sim::trace::Unit;

    fn trace(step_ms: u64, count: usize) -> Trace {
        let (name, unit) = ("t".to_owned(), Unit::Cores);
        Trace { name, unit, step_ms, values: vec![1.0; count] }
    }

    #[test]
    fn the_usual_grid_is_a_minute_or_the_traces_own_if_that_is_longer() {
        let step = |step_ms, count, grid| on_grid(trace(step_ms, count), grid).unwrap().step_ms;
        assert_eq!(step(10_000, 100, None), 60_000);
        assert_eq!(step(7_000, 100, None), 63_000);
        assert_eq!(step(300_000, 3, None), 300_000);
        assert_eq!(step(1_000, 30, None), 1_000, "too short for a minute");
        assert_eq!(step(1_000, 30, Some(5_000)), 5_000);
        assert!(on_grid(trace(10_000, 9), Some(15_000)).is_err());
    }
}
