//! Runs every target of `fuzz/` with libFuzzer. Exit status 0 means that every target ran for the
//! requested time and found nothing.

mod report;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::step;
use report::Report;

/// A run of one input that takes this long is a finding.
const INPUT_LIMIT_S: u32 = 30;
/// So is one that takes this much memory.
const MEMORY_LIMIT_MB: u32 = 1_024;
/// Bytes of one input at most.
const INPUT_MAX: u32 = 4_096;

/// Which targets, and for how long.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One target; all of them, one after the other, if none is named.
    target: Option<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Ends each after this many runs, if that comes first.
    #[arg(long)]
    runs: Option<u64>,
}

/// Builds the targets and runs them.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> ExitCode {
    match all(root, arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
fn all(root: &Path, arguments: &Arguments) -> Result<bool> {
    let known = targets(root)?;
    let wanted: Vec<String> = match &arguments.target {
        None => known,
        Some(name) => {
            let list = known.join(", ");
            ensure!(known.contains(name), "there is no target `{name}`\nhint: one of {list}");
            vec![name.clone()]
        }
    };
    install(root)?;
    let place = Place::of(root);
    step::run(&mut place.build(root, arguments.target.as_deref()))?;
    let mut reports = Vec::new();
    for name in wanted {
        eprintln!("==> {name}");
        let report = place.fuzz(root, &name, arguments)?;
        eprintln!("    {report}");
        reports.push(report);
    }
    println!("{}", report::table(&reports));
    Ok(reports.iter().all(|report| report.found.is_none()))
}

/// The targets' names, in order.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let files =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let name = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> =
        files.filter_map(|file| file.ok().and_then(|file| name(file.path()))).collect();
    names.sort();
    Ok(names)
}

fn install(root: &Path) -> Result<()> {
    let mut probe = step::cargo(root);
    probe.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("cargo-fuzz is not installed; installing it once with `cargo install`");
    step::run(step::cargo(root).args(["install", "--locked", "cargo-fuzz"]))
}

/// Where instrumented programs, inputs that lead somewhere new and findings are kept: out of the way
/// of ordinary builds.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn of(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        Self { folder: root.join(target.unwrap_or_else(|| "target".into())).join("fuzz") }
    }

    /// Without a sanitizer: that needs a nightly compiler, and flyball has no unsafe code. Overflows
    /// and debug assertions are checked.
    fn build(&self, root: &Path, target: Option<&str>) -> Command {
        let mut command = step::cargo(root);
        command.args(["fuzz", "build", "--sanitizer", "none", "--features", "libfuzzer"]);
        command.args(["--fuzz-dir", "fuzz", "--target-dir"]).arg(&self.folder).args(target);
        command
    }

    fn fuzz(&self, root: &Path, name: &str, arguments: &Arguments) -> Result<Report> {
        let folder = |kind: &str| {
            let folder = self.folder.join(kind).join(name);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))
                .map(|()| folder)
        };
        let (corpus, found) = (folder("corpus")?, folder("found")?);
        let log = found.join("log");
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(self.program(name)?);
        command.arg(&corpus).arg(root.join("fuzz/seeds").join(name));
        command.args(options(&found, arguments)).stderr(output);
        let status = step::status_of(&mut command)?;
        let text = fs::read_to_string(&log).unwrap_or_default();
        Ok(Report::of(name, status.success(), &text))
    }

    /// cargo-fuzz builds for the host by its name.
    fn program(&self, name: &str) -> Result<PathBuf> {
        let built = fs::read_dir(&self.folder)?.filter_map(Result::ok);
        let mut built = built.map(|folder| folder.path().join("release").join(name));
        built.find(|path| path.is_file()).with_context(|| format!("{name} was not built"))
    }
}

fn options(found: &Path, arguments: &Arguments) -> Vec<String> {
    let mut options = vec![
        format!("-max_total_time={}", arguments.seconds),
        format!("-max_len={INPUT_MAX}"),
        format!("-timeout={INPUT_LIMIT_S}"),
        format!("-rss_limit_mb={MEMORY_LIMIT_MB}"),
        format!("-artifact_prefix={}/", found.display()),
        "-print_final_stats=1".to_owned(),
    ];
    options.extend(arguments.runs.map(|runs| format!("-runs={runs}")));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_runs_reach_libfuzzer() {
        let arguments = Arguments { target: None, seconds: 5, runs: Some(7) };
        let options = options(Path::new("/found"), &arguments);
        for option in ["-max_total_time=5", "-runs=7", "-artifact_prefix=/found/"] {
            assert!(options.iter().any(|given| given == option), "{option}: {options:?}");
        }
    }

    #[test]
    fn every_target_of_the_folder_is_run() {
        let names = targets(&crate::root()).unwrap();
        assert!(names.contains(&"configuration".to_owned()) && names.is_sorted(), "{names:?}");
    }
}
