//! One step of a longer command: announces it, runs it and times it.

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The steps taken so far and the time each took.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Runs `step`, announced as `name`; stops the whole command if it fails.
    pub(crate) fn take(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        eprintln!("==> {name}");
        let begun = Instant::now();
        let outcome = step();
        let took = begun.elapsed();
        self.done.push((name, took));
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        eprintln!("    {name}: {word} in {}", in_seconds(took));
        outcome.with_context(|| format!("{name} failed"))
    }

    /// One line per step and the total.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for (name, took) in &self.done {
            text.push_str(&format!("  {name:<10}{:>9}\n", in_seconds(*took)));
        }
        let total = self.done.iter().map(|(_, took)| *took).sum();
        text.push_str(&format!("  {:<10}{:>9}", "total", in_seconds(total)));
        text
    }
}

/// The cargo that started this program, in the workspace's folder.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // What cargo passed to this program about its package is read by other build scripts: they, and
    // all that depends on them, would be rebuilt whenever cargo is started from here and then from
    // a shell.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `command` to its end; an exit status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status_of(command)?;
    ensure!(status.success(), "`{}` ended with {status}", line_of(command));
    Ok(())
}

/// Runs `command` to its end, whatever it is.
pub(crate) fn status_of(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot start `{}`", line_of(command)))
}

/// Runs `command` to its end and passes its exit status on; one that could not be started, or was
/// ended by a signal, has failed.
pub(crate) fn passed_on(command: &mut Command) -> ExitCode {
    match status_of(command) {
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn in_seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_named_and_still_timed() {
        let mut steps = Steps::default();
        let error = steps.take("fmt", || anyhow::bail!("line 3")).unwrap_err();
        assert_eq!(format!("{error:#}"), "fmt failed: line 3");
        assert!(steps.summary().starts_with("  fmt "), "{}", steps.summary());
    }

    #[test]
    fn an_exit_status_other_than_zero_is_an_error_that_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` ended with exit status: 3");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = run(&mut Command::new("/nonexistent/flyball")).unwrap_err();
        assert!(error.to_string().starts_with("cannot start `flyball`"), "{error}");
    }
}
