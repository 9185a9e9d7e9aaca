//! The policy benchmark: all traces of a folder x start lags x policies with their settings x
//! seeds. It runs the races on all cores and prints what `sweep` makes of them, as the page
//! docs/reference/policy-benchmark.md or as one JSON object. It wants a folder with `open/*.csv`
//! and `stats.json` (capacity and hot window of each trace) and says so where that is missing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

mod policy;

use std::process::ExitCode;

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
