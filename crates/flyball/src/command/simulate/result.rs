//! The scores as JSON and as a table. JSON names are a contract, and a value that was not measured
//! is null.

use flyball_sim::run::Outcome;
use flyball_sim::score::Score;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::table;

/// The policy that knows the load to come.
const ORACLE: &str = "oracle";

/// The column that only requests followed one by one have.
const LATENCY: &str = "99 % within";
const HEAD: [&str; 9] = [
    "policy",
    "cost/ideal",
    "over limit",
    "unserved",
    LATENCY,
    "time short",
    "actions",
    "reversals",
    "front",
];

/// One line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    policy: &'a str,
    trace: &'a str,
    seed: u64,
    start_lag_s: f64,
    start_lag_p99_s: Option<f64>,
    settled: bool,
    #[serde(flatten)]
    score: &'a Score,
}

pub(super) fn json(outcome: &Outcome) -> Result<String, Failure> {
    let line = Line {
        policy: &outcome.policy,
        trace: &outcome.trace,
        seed: outcome.seed,
        start_lag_s: flyball_core::units::seconds(outcome.start_lag_ms),
        start_lag_p99_s: outcome.start_lag_p99_ms.map(flyball_core::units::seconds),
        settled: outcome.settled,
        score: &outcome.score,
    };
    serde_json::to_string(&line).map_err(Failure::new)
}

/// A table for each trace, the cheapest policy first.
pub(super) fn text(outcomes: &[Outcome]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for outcomes in outcomes.chunk_by(|a, b| a.trace == b.trace) {
        let front = front(outcomes);
        let mut rows: Vec<(&Outcome, bool)> = outcomes.iter().zip(front).collect();
        rows.sort_by(|(a, _), (b, _)| a.score.cost_ratio.total_cmp(&b.score.cost_ratio));
        let followed = rows.iter().any(|(outcome, _)| outcome.score.p99_ms.is_some());
        let head = HEAD.iter().filter(|name| followed || **name != LATENCY);
        let mut cells = vec![head.map(|name| (*name).to_owned()).collect()];
        cells.extend(rows.iter().map(|(outcome, front)| row(outcome, *front, followed)));
        texts.push(format!("{}\n{}", outcomes[0].trace, table(&cells)));
    }
    texts.join("\n\n")
}

/// `followed`: whether requests were followed one by one, so that there are latencies.
fn row(outcome: &Outcome, front: bool, followed: bool) -> Vec<String> {
    let score = &outcome.score;
    let percent = |share: f64| format!("{share:>8.3} %");
    let latency = score.p99_ms.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
    let mut cells = vec![
        outcome.policy.clone(),
        format!("{:>10.3}", score.cost_ratio),
        percent(score.over_limit_pct),
        format!("{:>6.3} %", score.unserved_pct),
    ];
    cells.extend(followed.then(|| format!("{latency:>11}")));
    cells.extend([
        percent(score.tau_u),
        format!("{:>7}", score.actions),
        format!("{:>9}", score.reversals),
        if front { "yes".to_owned() } else { String::new() },
    ]);
    cells
}

/// Whether no other outcome is at least as good in cost and in quality, and better in one. The
/// oracle, which nobody can have, is neither on the front nor beats anybody.
pub(super) fn front(outcomes: &[Outcome]) -> Vec<bool> {
    let figures = |o: &Outcome| (o.score.cost_ratio, o.score.over_limit_pct);
    let real = || outcomes.iter().filter(|o| o.policy != ORACLE);
    let beaten = |mine: (f64, f64)| {
        real()
            .map(figures)
            .any(|(cost, over)| cost <= mine.0 && over <= mine.1 && (cost, over) != mine)
    };
    outcomes.iter().map(|o| o.policy != ORACLE && !beaten(figures(o))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(policy: &str, cost_ratio: f64, over_limit_pct: f64) -> Outcome {
        Outcome {
            policy: policy.to_owned(),
            trace: "t".to_owned(),
            seed: 1,
            start_lag_ms: 60_000,
            start_lag_p99_ms: None,
            score: Score { cost_ratio, over_limit_pct, ..Score::default() },
            supply: Vec::new(),
            changes: Vec::new(),
            changes_dropped: 0,
            settled: true,
            turned_away: 0,
        }
    }

    #[test]
    fn on_the_front_is_whom_nobody_beats_in_both() {
        let outcomes = [outcome("a", 1.0, 2.0), outcome("b", 1.2, 1.0), outcome("c", 1.3, 1.0)];
        assert_eq!(front(&outcomes), [true, true, false]);
        let twins = [outcome("a", 1.0, 2.0), outcome("b", 1.0, 2.0)];
        assert_eq!(front(&twins), [true, true]);
        assert_eq!(front(&[outcome("oracle", 1.0, 0.0), outcome("a", 1.1, 0.0)]), [false, true]);
    }

    #[test]
    fn a_line_of_json_has_every_field_of_the_contract() {
        let line = json(&outcome("hpa:70", 1.5, 0.25)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        for field in [
            "policy",
            "trace",
            "seed",
            "start_lag_s",
            "cost_ratio",
            "over_limit_pct",
            "unserved_pct",
            "theta_u",
            "theta_o",
            "tau_u",
            "tau_o",
            "actions",
            "reversals",
            "p99_ms",
        ] {
            assert!(value.get(field).is_some(), "{field} is missing in {line}");
        }
        assert_eq!(value["start_lag_s"], 60.0);
        assert!(value["p99_ms"].is_null());
    }

    #[test]
    fn the_table_names_each_trace_and_begins_with_the_cheapest() {
        let text = text(&[outcome("dear", 2.0, 0.0), outcome("cheap", 1.0, 5.0)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "t");
        assert!(lines[2].starts_with("cheap") && lines[3].starts_with("dear"), "{text}");
        assert!(!text.contains(LATENCY), "{text}");
    }

    #[test]
    fn latencies_stand_in_the_table_where_there_are_any() {
        let mut slow = outcome("slow", 1.0, 5.0);
        slow.score.p99_ms = Some(412.4);
        let text = text(&[slow, outcome("silent", 2.0, 0.0)]);
        let cell = |line: &str| {
            line.split("  ").filter(|cell| !cell.is_empty()).nth(4).unwrap().trim().to_owned()
        };
        let lines: Vec<String> = text.lines().skip(1).map(cell).collect();
        assert_eq!(lines, [LATENCY, "412 ms", "-"], "{text}");
    }
}
