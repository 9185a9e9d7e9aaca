//! `flyball decide` reads observations and prints decisions, one per line; the policy's memory
//! carries over. The first invalid line ends it, after the decisions before it were written.

use std::io::{self, BufRead};
use std::process::ExitCode;

use flyball_core::decision::Decision;
use flyball_core::observation::Observation;
use flyball_core::policy::{Policy, RolloutPolicy, Rule, Timing};
use flyball_core::units::Timestamp;
use flyball_sim::contender::{Contender, Foresight};
use serde::Serialize;

use crate::cli::Decide;
use crate::failure::Failure;
use crate::output::print;

/// A longer line is refused: some ten thousand replicas.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    /// The line of input it answers, from 1.
    line: usize,
    /// The policy's name, as it was given.
    policy: &'a str,
    /// What changes, in words.
    headline: String,
    /// What decided, in words.
    reason: String,
    #[serde(flatten)]
    decision: &'a Decision,
}

pub(crate) fn decide(options: &Decide) -> Result<ExitCode, Failure> {
    let contender = contender(options)?;
    decide_lines(contender, io::stdin().lock(), print)?;
    Ok(ExitCode::SUCCESS)
}

fn contender(options: &Decide) -> Result<Contender, Failure> {
    let bounds = options.bounds.bounds();
    if bounds.min > bounds.max || bounds.max == 0 {
        return Err(Failure::new(format!("bounds {}..{} allow no count", bounds.min, bounds.max))
            .hint("--min at most --max, and --max at least 1"));
    }
    if options.policy.needs_foresight() {
        let what = format!("{} needs to know the future load", options.policy.as_str());
        return Err(Failure::new(what).hint(
            "flyball simulate can run it; choose another policy \
                                            here",
        ));
    }
    let timing = Timing {
        start_lag_prior_ms: options.start_lag,
        stale_after_ms: options.stale_after,
        ..Timing::default()
    };
    let service = options.service.clone();
    let policy = Policy {
        service,
        bounds,
        rule: Rule::External,
        timing,
        rollout: RolloutPolicy::default(),
        sleep: None,
    };
    Ok(options.policy.contender(&policy, Foresight::default()))
}

/// Answers each line of `input` through `write`.
fn decide_lines(
    mut contender: Contender,
    mut input: impl BufRead,
    mut write: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut before = Timestamp::default();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let wrong = |why: String| {
            Failure::new(format!("line {line}: {why}"))
                .hint("write one observation per line, as docs/reference/decide.md shows")
        };
        let limit = LINE_BYTES_MAX + 1;
        io::Read::take(&mut input, limit)
            .read_until(b'\n', &mut text)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        if text.is_empty() {
            break;
        }
        if text.len() as u64 > LINE_BYTES_MAX {
            return Err(wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let mut seen: Observation =
            serde_json::from_slice(&text).map_err(|error| wrong(column(&error)))?;
        check(&seen, before).map_err(wrong)?;
        before = seen.at;
        let decision = contender.decide(&mut seen);
        let (headline, reason) = (decision.headline(), decision.reason());
        let policy = contender.name();
        let answer = Line { line, policy, headline, reason, decision: &decision };
        write(&serde_json::to_string(&answer).map_err(Failure::new)?)?;
    }
    Ok(())
}

/// What JSON can say and no observation may.
fn check(seen: &Observation, before: Timestamp) -> Result<(), String> {
    if seen.at < before {
        return Err(format!("at {} is before {}", seen.at.as_ms(), before.as_ms()));
    }
    let replicas = seen.engine.value().map(|engine| engine.replicas.as_slice());
    for replica in replicas.unwrap_or_default() {
        let limit = replica.cpu_limit_cores;
        if !(limit.is_finite() && limit > 0.0) {
            return Err(format!("cpu_limit_cores of {} is {limit}, not above 0", replica.id));
        }
    }
    Ok(())
}

/// An error of JSON without its line, which is always the first.
fn column(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::simulate::BoundsArgs;
    use flyball_sim::contender::Name;

    const DOCUMENT: &str = include_str!("../../../../docs/reference/decide.md");

    fn options(policy: &str) -> Decide {
        Decide {
            policy: Name::parse(policy).unwrap(),
            service: "web".to_owned(),
            bounds: BoundsArgs { min: 1, max: 10 },
            start_lag: 20_000,
            stale_after: 120_000,
        }
    }

    fn answers(policy: &str, input: &str) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        let contender = contender(&options(policy)).unwrap();
        let write = |line: &str| {
            lines.push(line.to_owned());
            Ok(())
        };
        match decide_lines(contender, input.as_bytes(), write) {
            Ok(()) => Ok(lines),
            Err(failure) => Err(format!("after {}: {failure}", lines.len())),
        }
    }

    /// The text of the fenced block behind `heading`.
    fn block(heading: &str) -> &'static str {
        let rest = DOCUMENT.split_once(heading).expect(heading).1;
        rest.split("```").nth(1).unwrap().split_once('\n').unwrap().1
    }

    #[test]
    fn the_documents_example_is_answered_as_it_says() {
        let got = answers("target:50", block("### observations.jsonl")).unwrap();
        assert_eq!(got.join("\n"), block("### decisions.jsonl").trim_end());
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_column() {
        let good = block("### observations.jsonl").lines().next().unwrap();
        let error = answers("governor", &format!("{good}\n\n{{\"at\": 1}}\n")).unwrap_err();
        assert!(error.starts_with("after 1: error: line 3: missing field"), "{error}");
        assert!(error.contains("(column ") && error.contains("\nhint: "), "{error}");
        let late = good.replacen("\"at\":", "\"at\":9", 1);
        let error = answers("governor", &format!("{late}\n{good}")).unwrap_err();
        assert!(error.starts_with("after 1: error: line 2: at "), "{error}");
        let limit = good.replacen("\"cpu_limit_cores\":0.5", "\"cpu_limit_cores\":0", 1);
        let error = answers("governor", &limit).unwrap_err();
        assert!(error.contains("cpu_limit_cores of web-1 is 0, not above 0"), "{error}");
    }

    #[test]
    fn whoever_must_know_the_load_to_come_is_refused() {
        let refused = contender(&options("static:mean")).unwrap_err();
        assert!(refused.to_string().contains("needs to know the future load"));
    }
}
