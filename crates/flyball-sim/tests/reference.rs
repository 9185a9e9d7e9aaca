//! Fluid mode compared with figures that another program calculated for the same rules: every
//! column, to every digit that was printed. Two traces with a stated licence are here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flyball_sim::contender::Name;
use flyball_sim::run::{Settings, all, fluid};
use flyball_sim::score::Score;
use flyball_sim::trace::{self, Trace};
use flyball_sim::world::Physics;

const GRID_MS: u64 = 60_000;

/// The published row's policy, its name here, and the start lag it was calculated with.
const POLICIES: [(&str, &str, u64); 6] = [
    ("ideal", "oracle", 0),
    ("static_peak", "static:peak", 60_000),
    ("static_mean", "static:mean", 60_000),
    ("hpa70", "hpa:70", 60_000),
    ("hpa90", "hpa:90", 60_000),
    ("hpa70_nostab", "hpa:70:0s", 60_000),
];

fn columns(score: &Score) -> Vec<(&'static str, f64)> {
    vec![
        ("a_U", score.a_u),
        ("a_O", score.a_o),
        ("theta_U", score.theta_u),
        ("theta_O", score.theta_o),
        ("tau_U", score.tau_u),
        ("tau_O", score.tau_o),
        ("upsilon", score.upsilon),
        ("k", score.k),
        ("k2", score.k2),
        ("jitter_per_min", score.jitter_per_min),
        ("scale_events", f64::from(score.scale_events)),
        ("unserved_pct", score.unserved_pct),
        ("overload_time_pct", score.overload_time_pct),
        ("replica_hours", score.replica_hours),
        ("cost_vs_ideal", score.serving_ratio),
        ("mean_util_pct", score.mean_util_pct),
        ("sigma", score.sigma),
    ]
}

/// As it was printed: five significant digits.
fn printed(value: f64) -> String {
    format!("{value:.4e}")
}

struct Reference {
    folder: PathBuf,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    capacities: BTreeMap<String, f64>,
}

impl Reference {
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("ref_baselines.csv")).unwrap();
        let mut lines =
            text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let stats = std::fs::read_to_string(folder.join("stats.json")).unwrap();
        let stats: Vec<serde_json::Value> = serde_json::from_str(&stats).unwrap();
        let capacity = |entry: &serde_json::Value| {
            let capacity = entry["stats"]["capacity_per_replica"].as_f64().unwrap();
            (entry["name"].as_str().unwrap().to_owned(), capacity)
        };
        let capacities = stats.iter().map(capacity).collect();
        Self { folder: folder.to_owned(), header, rows: lines.collect(), capacities }
    }

    fn trace(&self, name: &str) -> Trace {
        let path = self.folder.join("open").join(format!("{name}.csv"));
        trace::open(&path).unwrap().resample(GRID_MS).unwrap()
    }

    /// Every column of one row that comes out differently.
    fn differences(&self, row: &[String]) -> Vec<String> {
        let (trace, policy) = (&row[0], &row[1]);
        let (_, name, start_lag_ms) = *POLICIES.iter().find(|(p, ..)| p == policy).unwrap();
        let physics = Physics {
            replica_capacity: self.capacities[trace],
            start_lag_ms,
            ..Physics::default()
        };
        let settings = Settings { physics, interval_ms: Some(GRID_MS), ..Settings::default() };
        let outcome = fluid(&Name::parse(name).unwrap(), &self.trace(trace), &settings).unwrap();
        let got: BTreeMap<_, _> = columns(&outcome.score).into_iter().collect();
        let compared = self.header.iter().zip(row).skip(2);
        compared
            .filter_map(|(column, want)| {
                let got = got[column.as_str()];
                let same = printed(got) == printed(want.parse().unwrap());
                (!same).then(|| format!("{trace} {policy} {column}: {got} is not {want}"))
            })
            .collect()
    }

    fn check(&self) {
        assert!(!self.rows.is_empty());
        let differences = all(self.rows.len(), |row| self.differences(&self.rows[row]));
        let differences: Vec<_> = differences.into_iter().flatten().collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

#[test]
fn fluid_mode_gives_the_published_figures_to_every_digit() {
    Reference::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")).check();
}

/// `FLYBALL_TRACES=FOLDER cargo test --release -p flyball-sim --test reference -- --ignored`
#[test]
#[ignore = "a minute or more, and FLYBALL_TRACES must name a folder of traces"]
fn fluid_mode_gives_the_published_figures_for_a_whole_folder() {
    let folder = std::env::var_os("FLYBALL_TRACES");
    let folder = folder.unwrap_or_else(|| panic!("FLYBALL_TRACES names no folder with traces"));
    Reference::read(Path::new(&folder)).check();
}
