//! The policy benchmark: all traces x start lags x policies with their settings x seeds, on all
//! cores. Prints the page docs/reference/policy-benchmark.md or one JSON object.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

mod policy;

use std::process::ExitCode;

/// Needs a folder with `open/*.csv` and `stats.json` (capacity and hot window of each trace), and
/// prints so where that is missing.
fn main() -> ExitCode {
    match policy::run(std::env::args().skip(1)) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
