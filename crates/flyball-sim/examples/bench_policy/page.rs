//! The page of the policy benchmark, in Markdown.
//!
//! Decides what is shown. Invariant: what is in-sample is said to be.

use std::fmt::Write;

use flyball_sim::sweep::field::Family;
use flyball_sim::sweep::verdict::{Entry, Table, interval, largest, median, median_kept, ratios};

/// Limits of late requests, in percent, at which costs are compared.
const LIMITS: [f64; 2] = [0.1, 1.0];

/// The page.
pub(super) fn write(
    command: &str,
    entries: &[Entry],
    field: &[Family],
    seeds: u64,
    traces: usize,
) -> String {
    let mut page = head(command, seeds, traces);
    let mut lags: Vec<u64> = entries.iter().map(|e| e.start_lag_s).collect();
    lags.sort_unstable();
    lags.dedup();
    let broken: u32 = entries.iter().map(|e| e.result.broken).sum();
    let _ = writeln!(page, "Decisions of the governor that broke an invariant: {broken}.\n");
    for lag in lags {
        let of_lag = entries.iter().filter(|e| e.start_lag_s == lag).cloned().collect();
        let table = Table::new(of_lag);
        let _ = writeln!(page, "## Start lag {lag} s\n");
        for limit in LIMITS {
            best(&mut page, &table, field, limit);
        }
        judged(&mut page, &table, field);
        by_trace(&mut page, &table, field);
        fronts(&mut page, &table, field);
    }
    page
}

fn head(command: &str, seeds: u64, traces: usize) -> String {
    format!(
        "# Policy benchmark

Made by `cargo xtask bench policy -- {command}` (FOLDER: `stats.json` and `open/*.csv`); without options all traces of the folder and two seeds are run, which takes about 10 minutes on two cores. `--with FILE` takes figures
that an earlier run of the same program printed with `--json`: the same as from one run. Not edited by hand.

Traces: {traces}; seeds: {seeds}. Every load is scaled so that a replica serves 20 requests/s (4 at once, 0.2 s each). The world is a fluid with a queue: what finds no replica
waits, CPU saturates, and a request is over the limit if it waits longer than 0.25 s (by the queue, or by Erlang's formula where nothing waits). Start lag 10 s: 3 hours at ticks of
2 s; 60 s: 12 hours at 5 s; 300 s: 2 days at 20 s, each around the trace's busiest time. The first hour (at most a tenth) is not scored. Cost is replica-seconds over the least that serve each minute's mean. Each rival has its
own metrics' age: 15-s scrapes for hpa, 60-s datapoints one late for aws, 10 s for nomad, 60-s samples for marathon-lb, 300 s for amest. `kpa` counts waiting requests, as shipped.

\"Best setting\" is chosen for each trace with its own result: in-sample, for everybody alike. Four of the governor's constants (the margin of its hold, how soon halves of a surplus go, how soon a backlog is worked off) were
chosen on these traces with seed 1, so its figures are in-sample beyond the setting; \"judged\" below chooses a setting on one half and reports the other. Where a policy keeps a limit on few traces, its median is of those alone: read it beside \"kept on\". Fixed counts and the oracle bound the table and do not compete.

"
    )
}

fn cost(value: Option<f64>) -> String {
    value.map_or("not kept".to_owned(), |value| format!("{value:.2}"))
}

fn best(page: &mut String, table: &Table, field: &[Family], limit: f64) {
    let competing: Vec<&Family> = field.iter().filter(|f| f.competes).collect();
    let lowest = table.best_of(&competing, limit);
    let governor = field.iter().find(|f| f.name == "governor").map(|f| table.best(f, limit));
    let _ = writeln!(
        page,
        "Cost over the ideal at no more than {limit} % of requests over the limit, at the best setting for each trace:\n"
    );
    page.push_str("| policy | median | worst | kept on | over the best: median | worst | governor over it (95 %) |\n|---|---|---|---|---|---|---|\n");
    for family in field {
        let costs = table.best(family, limit);
        let kept: Vec<f64> = costs.iter().copied().flatten().collect();
        let over = ratios(&costs, &lowest);
        let paired = governor.as_ref().map(|g| ratios(g, &costs)).unwrap_or_default();
        let against = interval(&paired)
            .zip(median(paired))
            .map_or(String::new(), |((low, high), m)| format!("{m:.2} ({low:.2}..{high:.2})"));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} of {} | {} | {} | {against} |",
            family.name,
            cost(median_kept(&costs)),
            if kept.is_empty() { "-".to_owned() } else { format!("{:.2}", largest(&kept)) },
            kept.len(),
            costs.len(),
            cost(median(over.clone())),
            if over.is_empty() { "-".to_owned() } else { format!("{:.2}", largest(&over)) },
        );
    }
    page.push('\n');
}

fn judged(page: &mut String, table: &Table, field: &[Family]) {
    page.push_str("One setting chosen on half of the traces (mean share within the limit, lowest median cost) and judged on the other half, both ways:\n\n");
    page.push_str("| policy | limit | chosen on even, judged on odd | chosen on odd, judged on even |\n|---|---|---|---|\n");
    for family in field.iter().filter(|f| f.competes) {
        for limit in LIMITS {
            let words = |first: bool| {
                table.judge(family, limit, first).map_or("no setting keeps it".to_owned(), |j| {
                    format!("`{}` {:.2} at {:.2} %", j.setting, j.cost_ratio, j.over_limit_pct)
                })
            };
            let _ = writeln!(
                page,
                "| {} | {limit} % | {} | {} |",
                family.name,
                words(true),
                words(false)
            );
        }
    }
    page.push('\n');
}

fn by_trace(page: &mut String, table: &Table, field: &[Family]) {
    let Some(governor) = field.iter().find(|f| f.name == "governor") else { return };
    let rivals: Vec<&Family> =
        field.iter().filter(|f| f.competes && f.name != "governor").collect();
    page.push_str("The governor beside the best rival on each trace (at 0.1 % and at 1 %):\n\n| trace | governor | best rival | governor | best rival |\n|---|---|---|---|---|\n");
    let columns: Vec<_> =
        LIMITS.iter().map(|l| (table.best(governor, *l), table.best_of(&rivals, *l))).collect();
    for (index, trace) in table.traces().iter().enumerate() {
        let cells: Vec<String> = columns
            .iter()
            .map(|(ours, theirs)| format!("{} | {}", cost(ours[index]), cost(theirs[index])))
            .collect();
        let _ = writeln!(page, "| {trace} | {} |", cells.join(" | "));
    }
    page.push('\n');
}

fn fronts(page: &mut String, table: &Table, field: &[Family]) {
    page.push_str("Fronts: each setting's cost and share over the limit, median and worst over traces:\n\n| setting | cost | worst | over limit % | worst |\n|---|---|---|---|---|\n");
    for setting in field.iter().flat_map(|f| &f.settings) {
        if let Some([cost, worst, late, latest]) = table.setting(setting) {
            let _ = writeln!(
                page,
                "| `{setting}` | {cost:.2} | {worst:.2} | {late:.2} | {latest:.2} |"
            );
        }
    }
    page.push('\n');
}
