//! Requests per CPU second of the simulated world of single requests, looks included.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a benchmark"
)]

use flyball_core::policy::{Bounds, Governor, Policy, RolloutPolicy, Rule, Timing};
use flyball_sim::contender::Contender;
use flyball_sim::seed::Seed;
use flyball_sim::world::requests::Setup;
use flyball_sim::world::requests::arrivals::Arrivals;
use flyball_sim::world::requests::run::run;
use flyball_sim::world::requests::service::{Spread, Times};

/// The load's name, requests per second, replicas' slots, look interval in milliseconds.
const CASES: [(&str, f64, u64); 4] = [
    ("100 replicas, a look each 2 s", 2_000.0, 2_000),
    ("10 replicas, a look each 2 s", 200.0, 2_000),
    ("100 replicas, a look each 200 ms", 2_000.0, 200),
    ("10 replicas, a look each 200 ms", 200.0, 200),
];

fn main() {
    let json = std::env::args().any(|word| word == "--json");
    let mut all = serde_json::Map::new();
    for spread in [Spread::Same, Spread::Exponential, Spread::Lognormal { cv: 2.0 }] {
        for (name, per_s, interval_ms) in CASES {
            let requests_per_s = measure(spread, per_s, interval_ms);
            let name = format!("{spread:?}, {name}");
            if !json {
                println!("{requests_per_s:>12.0} requests/s  {name}");
            }
            all.insert(name, requests_per_s.into());
        }
    }
    if json {
        println!("{}", serde_json::Value::Object(all));
    }
}

fn measure(spread: Spread, per_s: f64, interval_ms: u64) -> f64 {
    let steps = (2_000_000.0 / per_s / 10.0) as usize;
    let arrivals = Arrivals::of_rates(vec![per_s; steps], 10_000, u64::MAX / 1_000_000, Seed(1));
    let work = Times { mean_ms: 50.0, spread };
    let setup = Setup { work, ..Setup::default() };
    let timing =
        Timing { interval_ms: Some(interval_ms), start_lag_prior_ms: 1_000, ..Timing::default() };
    let rule = Rule::Governor(Governor::default());
    let bounds = Bounds { min: 1, max: 500 };
    let policy = Policy {
        service: "web".to_owned(),
        bounds,
        rule,
        timing,
        rollout: RolloutPolicy::default(),
        sleep: None,
    };
    let mut contender = Contender::own("governor", policy);
    let begun_s = cpu_s();
    let outcome = run(&mut contender, &setup, arrivals, Seed(1));
    assert_eq!(outcome.broken, None);
    outcome.requests.arrived as f64 / (cpu_s() - begun_s)
}

/// CPU time that this thread has used: what others do on the machine does not count.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_ascii_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}
