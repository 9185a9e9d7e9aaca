//! `cargo xtask bench NAME`: which program measures what. The programs print the figures.

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};

use crate::step;

/// What to measure and how to print it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What to measure.
    name: Bench,
    /// Print one JSON object on stdout instead of a table.
    #[arg(long)]
    json: bool,
    /// Passed on to the benchmark.
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Requests/s and latency of the embedded balancer, beside HAProxy where it is installed.
    Proxy,
    /// From a load step to the first request served by a new replica.
    Reaction,
    /// Time and memory of one look over many services.
    Decide,
    /// Two weeks of a load in the simulator's fluid world, for each policy.
    Simulate,
    /// Requests/s of the simulator's world of requests.
    Requests,
    /// What the governor's `slo` costs and brings where requests are not as modelled.
    Slo,
    /// A change of HAProxy's servers at run time, beside an edit of its file and a reload.
    Reload,
    /// Containers behind HAProxy: starts, load steps, scaling at volume, the cost of looking.
    Containers,
    /// flyball's policy beside other autoscalers on the traces of a folder, or how often to look.
    Policy,
}

impl Bench {
    /// What cargo runs: an example, or a bench where the measured program itself must be built
    /// beside the one that measures.
    fn words(self) -> [&'static str; 6] {
        let example = |package, name| ["run", "--release", "--package", package, "--example", name];
        match self {
            Self::Proxy => example("flyball-proxy", "bench_proxy"),
            Self::Reaction => example("flyball", "bench_reaction"),
            Self::Decide => example("flyball-core", "bench_decide"),
            Self::Simulate => example("flyball-sim", "bench_simulate"),
            Self::Requests => example("flyball-sim", "bench_requests"),
            Self::Slo => example("flyball-sim", "bench_slo"),
            Self::Reload => example("flyball-haproxy", "bench_reload"),
            Self::Policy => example("flyball-sim", "bench_policy"),
            Self::Containers => {
                ["bench", "--quiet", "--package", "flyball", "--bench", "containers"]
            }
        }
    }
}

/// Builds the benchmark for release and runs it.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> ExitCode {
    step::passed_on(&mut command(root, arguments))
}

fn command(root: &Path, arguments: &Arguments) -> Command {
    let mut command = step::cargo(root);
    command.args(arguments.name.words()).arg("--");
    if arguments.json {
        command.arg("--json");
    }
    command.args(&arguments.rest);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_the_rest_reach_the_example() {
        let rest = vec!["--runs".to_owned(), "5".to_owned()];
        let arguments = Arguments { name: Bench::Reaction, json: true, rest };
        let command = command(Path::new("/"), &arguments);
        let words: Vec<_> = command.get_args().filter_map(|word| word.to_str()).collect();
        let expected = "--package flyball --example bench_reaction -- --json --runs 5";
        assert!(words.join(" ").ends_with(expected), "{words:?}");
    }
}
