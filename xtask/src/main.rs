//! The project's own commands. Exit status 0 means that everything requested ran and passed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people at a terminal"
)]

mod bench;
mod dist;
mod fuzz;
mod lab;
mod matrix;
mod sim;
mod step;
mod systems;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Flyball's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format, tidy, clippy, tests, doctests: what CI runs.
    Test,
    /// The end-to-end suites against other versions of what they need.
    Matrix(matrix::Arguments),
    /// The house rules that no other tool checks.
    Tidy,
    /// One benchmark: its figures and the conditions they were taken under.
    Bench(bench::Arguments),
    /// The packages: a `.deb`, a tarball and an image, with checksums, in `target/dist`.
    Dist(dist::Arguments),
    /// Simulated services under faults, one for each seed. Exit status 3: code panicked, 4: an
    /// invariant was broken, 5: a service did not settle.
    Sim(sim::Arguments),
    /// Fuzz all code that reads external input, or one target.
    Fuzz(fuzz::Arguments),
    /// A scripted external system to try flyball with.
    Lab(lab::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test => test::run(&root()),
        Command::Matrix(arguments) => matrix::run(&root(), &arguments),
        Command::Dist(arguments) => dist::run(&root(), &arguments),
        Command::Tidy => tidy::run(&root()),
        Command::Bench(arguments) => return bench::run(&root(), &arguments),
        Command::Sim(arguments) => return sim::run(&root(), &arguments),
        Command::Fuzz(arguments) => return fuzz::run(&root(), &arguments),
        Command::Lab(arguments) => return lab::run(&root(), &arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder: the parent of this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
