//! The result of one target, parsed from libFuzzer's output. A target that ended early has found
//! something, whatever it printed.

use std::fmt;

/// What came of one target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    name: String,
    runs: u64,
    per_s: u64,
    /// Places of the program that were reached.
    reached: u64,
    memory_mb: u64,
    /// The input that shows a fault, and the first words about it.
    pub(super) found: Option<String>,
}

impl Report {
    /// Of the target `name`, which ended well or not and printed `text`.
    pub(super) fn of(name: &str, ended_well: bool, text: &str) -> Self {
        let stat = |key: &str| {
            let line = text.lines().rev().find_map(|line| line.strip_prefix(key));
            line.and_then(|value| value.trim_start_matches(':').trim().parse().ok()).unwrap_or(0)
        };
        Self {
            name: name.to_owned(),
            runs: stat("stat::number_of_executed_units"),
            per_s: stat("stat::average_exec_per_sec"),
            reached: reached(text),
            memory_mb: stat("stat::peak_rss_mb"),
            found: (!ended_well).then(|| fault(text)),
        }
    }
}

/// `#123 NEW    cov: 456 ft: ...`: the last such number.
fn reached(text: &str) -> u64 {
    let number = |line: &str| line.split_once(" cov: ")?.1.split(' ').next()?.parse().ok();
    text.lines().rev().find_map(number).unwrap_or(0)
}

/// Where the input is, and what the program printed before it ended.
fn fault(text: &str) -> String {
    let panic = text.lines().skip_while(|line| !line.contains("panicked at")).take(6);
    let panic: Vec<&str> = panic.take_while(|line| !line.starts_with("stack backtrace")).collect();
    let why = text.lines().find(|line| line.starts_with("SUMMARY:")).unwrap_or("it ended early");
    let written = text.lines().find_map(|line| line.split_once("Test unit written to "));
    let input = written.map_or("no input was kept", |(_, path)| path);
    let why = if panic.is_empty() { why.to_owned() } else { panic.join("\n") };
    format!("{why}\ninput: {input}\nhint: fix it, then keep the input below fuzz/seeds")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, per_s, found, .. } = self;
        match found {
            None => write!(f, "{runs} runs, {per_s}/s, nothing found"),
            Some(fault) => write!(f, "{runs} runs, FOUND:\n{fault}"),
        }
    }
}

/// All of them, a line each.
pub(super) fn table(reports: &[Report]) -> String {
    let mut text =
        format!("{:<18}{:>12}{:>10}{:>10}{:>8}  found", "target", "runs", "runs/s", "places", "MB");
    for Report { name, runs, per_s, reached, memory_mb, found } in reports {
        let found = if found.is_some() { "yes" } else { "nothing" };
        text.push_str(&format!(
            "\n{name:<18}{runs:>12}{per_s:>10}{reached:>10}{memory_mb:>8}  {found}"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &str = "INFO: seed corpus: files: 5\n#5\tINITED cov: 100 ft: 1 corp: 5/1b\n\
        #900\tNEW    cov: 123 ft: 4 corp: 6/1b\n#1000\tDONE   cov: 123 ft: 4\n\
        stat::number_of_executed_units: 1000\nstat::average_exec_per_sec:     500\n\
        stat::peak_rss_mb:              44\n";

    #[test]
    fn figures_are_those_that_libfuzzer_prints_in_the_end() {
        let report = Report::of("traces", true, DONE);
        assert_eq!((report.runs, report.per_s, report.reached), (1_000, 500, 123));
        assert_eq!((report.memory_mb, report.found.as_ref()), (44, None));
        assert!(table(&[report]).ends_with("1000       500       123      44  nothing"));
    }

    #[test]
    fn a_target_that_ended_early_has_found_something() {
        let text = "thread '<unnamed>' panicked at src/a.rs:3:5:\noverflow\nnote: run with\n\
            ==1== ERROR: libFuzzer: deadly signal\nSUMMARY: libFuzzer: deadly signal\n\
            artifact_prefix='/f/'; Test unit written to /f/crash-1\n";
        let found = Report::of("traces", false, text).found.unwrap();
        assert!(found.starts_with("thread '<unnamed>' panicked at src/a.rs:3:5:\noverflow\n"));
        assert!(found.contains("\ninput: /f/crash-1\nhint: "), "{found}");
        let killed = Report::of("traces", false, "").found.unwrap();
        assert!(killed.starts_with("it ended early\ninput: no input was kept"), "{killed}");
    }
}
