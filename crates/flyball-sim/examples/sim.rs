//! Runs the fault simulation of many seeds, or of one, and lists the seeds that failed. Exit
//! status: 0 all passed, 2 bad arguments, 3 code panicked, 4 an invariant was broken, 5 a service
//! did not settle; of several the first of these.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::process::ExitCode;
use std::time::Instant;

use flyball_sim::world::faults::Failure;
use flyball_sim::world::faults::sweep::{Fall, sweep};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seeds = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--seeds", count] => count.parse().map(|count| 0..count),
        ["--seed", seed] => seed.parse().map(|seed: u64| seed..seed.saturating_add(1)),
        ["--seeds", count, "--seed", first] | ["--seed", first, "--seeds", count] => {
            first.parse().and_then(|first: u64| {
                count.parse().map(|count: u64| first..first.saturating_add(count))
            })
        }
        _ => Ok(0..2_000),
    };
    let Ok(seeds) = seeds else {
        eprintln!("error: {words:?} are no seeds\nhint: --seeds COUNT, or --seed SEED");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let sweep = sweep(seeds, threads);
    let mut status = 0;
    for (seed, fall) in &sweep.failed {
        let (code, words) = match fall {
            Fall::Crashed => (3, "code panicked".to_owned()),
            Fall::Failed(failed) => match failed.failure {
                Failure::Broken(_) => (4, failed.to_string()),
                Failure::Unsettled(_) => (5, failed.to_string()),
            },
        };
        eprintln!("seed {seed}: {words}\nagain with: cargo xtask sim --seed {seed}\n");
        status = if status == 0 { code } else { code.min(status) };
    }
    println!(
        "{} seeds stood {} faults in {} looks, {} did not; at most {} looks to settle; {:.1} s",
        sweep.stood,
        sweep.faults,
        sweep.looks,
        sweep.failed.len(),
        sweep.settled_looks_max,
        begun.elapsed().as_secs_f64()
    );
    ExitCode::from(status)
}
