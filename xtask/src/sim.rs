//! `cargo xtask sim`: the fault simulation over many seeds, or one seed again.

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::step;

/// Which seeds.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many; 2000 unless one is named.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first, or the only one.
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the simulation for release and runs it.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> ExitCode {
    step::passed_on(&mut command(root, arguments))
}

fn command(root: &Path, arguments: &Arguments) -> Command {
    let mut command = step::cargo(root);
    let example =
        ["run", "--quiet", "--release", "--package", "flyball-sim", "--example", "sim", "--"];
    command.args(example);
    for (option, value) in [("--seeds", arguments.seeds), ("--seed", arguments.seed)] {
        if let Some(value) = value {
            command.arg(option).arg(value.to_string());
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_of_a_replay_reaches_the_simulation() {
        let command = command(Path::new("/"), &Arguments { seeds: None, seed: Some(7) });
        let words: Vec<_> = command.get_args().filter_map(|word| word.to_str()).collect();
        assert!(words.join(" ").ends_with("--example sim -- --seed 7"), "{words:?}");
    }
}
