//! `cargo xtask lab`: scripted external systems to try flyball with, on 127.0.0.1 only.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::step;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Which system
    name: Lab,
    /// Its arguments; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lab {
    /// A Marathon with one app, and the agents under it.
    Marathon,
}

/// Builds what is needed and runs it until its input ends.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> ExitCode {
    let Lab::Marathon = arguments.name;
    let mut build = step::cargo(root);
    build.args(["build", "--quiet", "--package", "flyball", "--package", "flyball-testkit"]);
    if let Err(error) = step::run(&mut build) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    let mut lab = step::cargo(root);
    lab.args(["run", "--quiet", "--package", "flyball-testkit", "--"]).args(&arguments.rest);
    // The sample service is called by its name.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = vec![root.join("target/debug")];
    folders.extend(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(folders) {
        lab.env("PATH", path);
    }
    step::passed_on(&mut lab)
}
