//! How often to look: the governor at intervals from half a second to a minute. Same loads, start
//! lags of 1, 5, 20 and 60 s, and a table of the mean over traces. Only the interval differs within
//! a row.

use std::fmt::Write;

use flyball_core::policy::{Governor, Rule};
use flyball_sim::seed::Seed;
use flyball_sim::sweep::load::{Load, Span};
use flyball_sim::sweep::pool::PoolModel;
use flyball_sim::sweep::race::{Result as Raced, Runner, race_looking};

use super::Known;

/// The world moves by this.
const TICK_MS: u64 = 500;
/// How much of each trace is run, around its busiest time.
const LENGTH_MS: u64 = 3_600_000;
/// Look intervals, in ticks.
const LOOKS: [usize; 7] = [1, 2, 4, 10, 30, 60, 120];
/// Start lags, in seconds.
const LAGS_S: [u64; 4] = [1, 5, 20, 60];

/// The table.
pub(super) fn run(known: &[Known], seeds: u64) -> Result<String, String> {
    let mut text = String::from(
        "| start lag | 0.5 s | 1 s | 2 s | 5 s | 15 s | 30 s | 60 s |\n|---|---|---|---|---|---|---|---|\n",
    );
    for lag_s in LAGS_S {
        let cells: Vec<String> =
            LOOKS.iter().map(|look| cell(known, seeds, lag_s, *look)).collect();
        writeln!(text, "| {lag_s} s | {} |", cells.join(" | "))
            .map_err(|error| error.to_string())?;
    }
    Ok(text)
}

/// Cost over the ideal and share over the limit, the mean over traces and seeds.
fn cell(known: &[Known], seeds: u64, lag_s: u64, look_ticks: usize) -> String {
    let runner = Runner::Own(Rule::Governor(Governor::default()));
    let run = |(known, seed): (&Known, Seed)| -> Raced {
        let span = Span { middle_ms: known.hot_middle_ms, length_ms: LENGTH_MS, tick_ms: TICK_MS };
        let load = Load::draw(&known.trace, known.capacity, span, seed);
        race_looking(&runner, &load, PoolModel::plain(lag_s * 1_000), seed, look_ticks)
    };
    let pairs = known.iter().flat_map(|known| (1..=seeds).map(move |seed| (known, Seed(seed))));
    let raced: Vec<Raced> = pairs.map(run).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few runs")]
    let mean = |of: fn(&Raced) -> f64| raced.iter().map(of).sum::<f64>() / raced.len() as f64;
    format!("{:.2} @ {:.2} %", mean(|r| r.cost_ratio), mean(|r| r.over_limit_pct))
}
