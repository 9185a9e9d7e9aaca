//! What the governor's objective is worth where requests are not as its cap assumes: with one,
//! without one, and with lower caps instead. Prints a table of the mean over seeds.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use flyball_core::policy::{
    BUSY_CAP, Bounds, Governor, Objective, Policy, RolloutPolicy, Rule, Timing,
};
use flyball_sim::contender::Contender;
use flyball_sim::seed::Seed;
use flyball_sim::world::requests::arrivals::Arrivals;
use flyball_sim::world::requests::run::{drive, work_off};
use flyball_sim::world::requests::service::{Spread, Times};
use flyball_sim::world::requests::{Setup, World};

/// Replicas serve 50 requests/s each, one after another; a request is late after this.
const LIMIT_MS: u64 = 250;
const OBJECTIVE: Objective = Objective { late: 0.01, within_ms: LIMIT_MS };
const MEAN_MS: f64 = 20.0;
const SEEDS: u64 = 3;
/// An hour from least to least, of which six are run.
const WAVE: [f64; 6] = [150.0, 250.0, 400.0, 500.0, 400.0, 250.0];
const HOURS: usize = 6;

struct Case {
    name: &'static str,
    spread: Spread,
    imbalance_cv: f64,
    doubles: bool,
}

const CASES: [Case; 6] = [
    Case { name: "as modelled", spread: Spread::Same, imbalance_cv: 0.0, doubles: false },
    Case {
        name: "exponential work",
        spread: Spread::Exponential,
        imbalance_cv: 0.0,
        doubles: false,
    },
    Case {
        name: "heavy tail (cv 2)",
        spread: Spread::Lognormal { cv: 2.0 },
        imbalance_cv: 0.0,
        doubles: false,
    },
    Case {
        name: "uneven replicas (cv 0.4)",
        spread: Spread::Same,
        imbalance_cv: 0.4,
        doubles: false,
    },
    Case { name: "work doubles", spread: Spread::Exponential, imbalance_cv: 0.0, doubles: true },
    Case {
        name: "heavy tail, uneven, doubles",
        spread: Spread::Lognormal { cv: 2.0 },
        imbalance_cv: 0.4,
        doubles: true,
    },
];

/// The same waves of single requests go through replicas that are as modelled, that vary in work or
/// in speed, and whose work doubles half way. Within a row the load and its chance are the same.
fn main() {
    let rules =
        [(0.85, None), (BUSY_CAP, Some(OBJECTIVE)), (0.75, None), (0.65, None), (0.55, None)];
    println!("| replicas | 85 % | 1 % later than {LIMIT_MS} ms | 75 % | 65 % | 55 % |");
    println!("|---|---|---|---|---|---|");
    for case in &CASES {
        let cell = |(busy_cap, objective)| {
            let rule = Governor { busy_cap, objective, ..Governor::default() };
            let runs: Vec<(f64, f64)> =
                (1..=SEEDS).map(|seed| run(case, rule, Seed(seed))).collect();
            let mean = |of: fn(&(f64, f64)) -> f64| runs.iter().map(of).sum::<f64>() / SEEDS as f64;
            format!("{:.2} @ {:.2} %", mean(|run| run.0), mean(|run| run.1))
        };
        println!("| {} | {} |", case.name, rules.map(cell).join(" | "));
    }
}

/// Replica-seconds over the work that arrived, and requests late or not served in percent.
fn run(case: &Case, rule: Governor, seed: Seed) -> (f64, f64) {
    let setup = Setup {
        work: Times { mean_ms: MEAN_MS, spread: case.spread },
        limit_ms: LIMIT_MS,
        start_lag: Times::same(10_000.0),
        imbalance_cv: case.imbalance_cv,
        ..Setup::default()
    };
    let steps = WAVE.repeat(HOURS);
    let arrivals = Arrivals::of_rates(steps, 600_000, u64::MAX / 1_000_000, seed);
    let policy = Policy {
        service: "web".to_owned(),
        bounds: Bounds { min: 1, max: 100 },
        rule: Rule::Governor(rule),
        timing: Timing { start_lag_prior_ms: 10_000, ..Timing::default() },
        rollout: RolloutPolicy::default(),
        sleep: None,
    };
    let mut contender = Contender::own("governor", policy);
    let mut world = World::running(setup, arrivals, seed, "web", 4);
    let (begun_ns, end_ns) = (world.now_ns(), world.end_ns());
    drive(&mut contender, &mut world, begun_ns.midpoint(end_ns), |_, _| ()).unwrap();
    let before = world.latencies().arrived as f64;
    let factor = if case.doubles { 2.0 } else { 1.0 };
    world.change_work(factor);
    drive(&mut contender, &mut world, end_ns, |_, _| ()).unwrap();
    work_off(&mut contender, &mut world, |_, _| ()).unwrap();
    let replica_s = world.replica_ns() as f64 / 1e9;
    let sum = world.sum_up();
    let work_s = (before + (sum.arrived as f64 - before) * factor) * MEAN_MS / 1_000.0;
    (replica_s / work_s, 100.0 * (sum.late + sum.unserved) as f64 / sum.arrived as f64)
}
