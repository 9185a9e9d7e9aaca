//! The summary of many measurements of one thing.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One part of the benchmark.
pub(crate) struct Measured {
    pub(crate) name: String,
    /// What was not reached, in words; empty if everything was.
    pub(crate) missed: Vec<String>,
    pub(crate) table: String,
    pub(crate) json: Value,
}

/// Times in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn of(times: impl Iterator<Item = f64>) -> Self {
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(50)
    }

    /// The smallest one that `percent` of a hundred do not exceed: always one that was measured.
    fn quantile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    pub(crate) fn row(&self, name: &str) -> String {
        let (median, p99) = (self.median(), self.quantile(99));
        let (least, most) = (self.quantile(0), self.quantile(100));
        format!("{name:<22} {median:>8.1} {p99:>8.1} {least:>8.1} {most:>8.1}")
    }

    pub(crate) fn json(&self) -> Value {
        let round = |ms: f64| (ms * 10.0).round() / 10.0;
        json!({
            "median_ms": round(self.median()),
            "p99_ms": round(self.quantile(99)),
            "min_ms": round(self.quantile(0)),
            "max_ms": round(self.quantile(100)),
        })
    }
}

/// The median of the row of that name; more than any target without such a row.
pub(crate) fn median_of(rows: &[(&str, Times)], name: &str) -> f64 {
    let row = rows.iter().find(|(row, _)| *row == name);
    row.map_or(f64::INFINITY, |(_, times)| times.median())
}

/// A table of named times, each a row.
pub(crate) fn table(title: &str, rows: &[(&str, Times)], more: &[String]) -> String {
    let mut text =
        format!("{title}\n{:<22} {:>8} {:>8} {:>8} {:>8}", "ms", "median", "p99", "min", "max");
    for (name, times) in rows {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}", times.row(name));
    }
    for line in more {
        let _ = write!(text, "\n{line}");
    }
    text + "\n"
}

pub(crate) fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}
