//! `flyball simulate`. Every policy meets the same loads with the same random numbers.

mod journal;
mod report;
mod result;
mod size;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use flyball_sim::run::{self, Outcome, Requests, RunError, Settings};
use flyball_sim::trace::{self, Trace};
use flyball_sim::world::requests::service::Spread;
use flyball_sim::world::{self, Physics};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Simulate;
use crate::cli::simulate::{Mode, Overload, Work};
use crate::failure::Failure;
use crate::output::{note, print};
use size::Size;

/// A decision broke an invariant.
const BROKEN: u8 = 3;
/// A count did not settle.
const UNSETTLED: u8 = 4;

/// A load with what one replica serves of it.
struct Case {
    trace: Trace,
    /// The steps in which demand is compared with supply.
    steps: Trace,
    capacity: f64,
}

pub(crate) fn simulate(options: &Simulate) -> Result<ExitCode, Failure> {
    let cases = cases(options)?;
    let outcomes = match run_all(options, &cases) {
        Ok(outcomes) => outcomes,
        Err(error) => return refuse(&error),
    };
    warn_of_long_work(options, &cases);
    warn_of_a_full_line(&outcomes);
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
        note(&format!("the count of {} did not settle after {}", outcome.policy, outcome.trace));
    }
    Ok(if restless.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(UNSETTLED) })
}

/// Every policy over every load, on the cores there are.
fn run_all(options: &Simulate, cases: &[Case]) -> Result<Vec<Outcome>, RunError> {
    let policies = options.policy.len();
    let span_ms: u64 = cases.iter().map(|case| case.trace.duration_ms()).sum();
    let progress = progress(options.mode, cases.len() * policies, span_ms * policies as u64);
    let outcomes = run::all(cases.len() * policies, |job| {
        let (case, name) = (&cases[job / policies], &options.policy[job % policies]);
        let settings = settings(options, case);
        match options.mode {
            Mode::Fluid => {
                let outcome = run::fluid(name, &case.trace, &settings);
                progress.inc(case.trace.duration_ms());
                outcome
            }
            Mode::Requests => {
                let passed = |ms| progress.inc(ms);
                run::requests(name, &case.trace, &settings, &requests(options), &passed)
            }
        }
    });
    progress.finish_and_clear();
    outcomes.into_iter().collect()
}

/// A limit that no request can keep makes every policy look the same, patience that ends before any
/// request can be answered even more so.
fn warn_of_long_work(options: &Simulate, cases: &[Case]) {
    for case in cases.iter().filter(|_| options.mode == Mode::Requests) {
        let work_ms = requests(options).work_ms(&case.trace, &settings(options, case));
        let times =
            [("the limit", "--slo", options.slo), ("patience", "--patience", options.patience)];
        for (what, option, ms) in times {
            if work_ms > flyball_core::units::seconds(ms) * 1000.0 {
                note(&format!(
                    "a request of {} takes {work_ms:.0} ms, longer than {what} of {ms} ms\n\
                     hint: set {option} above that, or --slots to the number of requests that a \
                     replica works on at once",
                    case.trace.name
                ));
            }
        }
    }
}

/// A line that may hold no more is the simulation's limit, not the load's.
fn warn_of_a_full_line(outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.turned_away > 0) {
        note(&format!(
            "{}: {} requests of {} count as unserved because {} already waited, which is the \
             maximum\n\
             hint: use --mode fluid, or divide the load and --replica-capacity by the same number",
            outcome.policy,
            outcome.turned_away,
            outcome.trace,
            run::WAITING_MAX
        ));
    }
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
            Failure::new(format!("the capacity of a replica of {service} was never measured"))
                .hint("set it with --replica-capacity, in requests per second")
        })?;
        let cases = vec![case(options, recorded.trace, capacity)?];
        size::check(size(options, &cases))?;
        return Ok(cases);
    }
    let capacity = options.replica_capacity.unwrap_or_default();
    let mut cases = Vec::new();
    for path in &options.trace {
        cases.push(case(options, load(path)?, capacity)?);
        // Before the next one is read.
        size::check(size(options, &cases))?;
    }
    Ok(cases)
}

fn load(path: &Path) -> Result<Trace, Failure> {
    let trace = match path.to_str() {
        Some("-") => trace::read("standard input", std::io::stdin().lock()),
        _ => trace::open(path),
    };
    trace.map_err(Failure::new)
}

fn size(options: &Simulate, cases: &[Case]) -> Size {
    Size {
        policies: options.policy.len(),
        loads: cases.len(),
        values: cases.iter().map(|case| case.trace.values.len()).sum(),
        steps: cases.iter().map(|case| case.steps.values.len()).sum(),
        page: options.report.is_some(),
    }
}

/// The load on the grid asked for; without one, by the minute as a fluid, as it is for requests.
fn case(options: &Simulate, trace: Trace, capacity: f64) -> Result<Case, Failure> {
    let trace = match options.grid {
        Some(grid_ms) => trace.resample(grid_ms).ok_or_else(|| {
            Failure::new(format!("{} cannot be resampled to steps of {grid_ms} ms", trace.name))
                .hint(format!(
                    "choose a multiple of its own {} ms, at most its length",
                    trace.step_ms
                ))
        })?,
        None if options.mode == Mode::Fluid => trace.by_minute(),
        None => trace,
    };
    let steps = match options.mode {
        Mode::Fluid => trace.clone(),
        Mode::Requests => trace.by_minute(),
    };
    Ok(Case { trace, steps, capacity })
}

#[expect(clippy::cast_precision_loss, reason = "a time far below 2^52 ms")]
fn settings(options: &Simulate, case: &Case) -> Settings {
    let waits = world::Overload::Waits { patience_s: options.patience as f64 / 1000.0 };
    let overload = match (options.overload, options.mode) {
        (Some(Overload::Lost), _) | (None, Mode::Fluid) => world::Overload::Lost,
        (Some(Overload::Waits), _) | (None, Mode::Requests) => waits,
    };
    let slots = match options.mode {
        Mode::Fluid => Physics::default().slots,
        Mode::Requests => options.slots,
    };
    let interval_ms = match options.mode {
        Mode::Fluid => Some(options.interval.unwrap_or(case.trace.step_ms)),
        Mode::Requests => options.interval,
    };
    let physics = Physics {
        replica_capacity: case.capacity,
        slots,
        start_lag_ms: options.start_lag.median_ms,
        start_lag_p99_ms: options.start_lag.p99_ms,
        overload,
        metric_lag_ms: options.metric_lag,
        wait_limit_ms: options.slo,
        ..Physics::default()
    };
    let (bounds, seed) = (options.bounds.bounds(), options.seed);
    Settings { physics, bounds, interval_ms, sleep_after_ms: options.sleep_after, seed }
}

fn requests(options: &Simulate) -> Requests {
    let work = match options.work {
        Work::Same => Spread::Same,
        Work::Exponential => Spread::Exponential,
        Work::Heavy => Spread::Lognormal { cv: 2.0 },
    };
    Requests { work, core_s: flyball_core::units::seconds(options.request_cpu) }
}

/// A bar on standard error, where that is a terminal and it takes long enough to see one.
fn progress(mode: Mode, jobs: usize, span_ms: u64) -> ProgressBar {
    let short = jobs < 2 && mode == Mode::Fluid;
    if short || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {elapsed}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(span_ms).with_style(style);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}
