//! How fast the fluid world runs: two weeks of a daily load in steps of a minute, one core. The
//! load is invented (a daily wave with noise, 10 to 45 replicas' worth), so it needs no file.
//! Prints one JSON object.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use flyball_sim::contender::Name;
use flyball_sim::run::{Settings, fluid};
use flyball_sim::seed::{Purpose, Seed};
use flyball_sim::trace::{Trace, Unit};
use flyball_sim::world::Physics;
use rand::RngExt as _;

const STEPS: u32 = 14 * 24 * 60;
const CAPACITY: f64 = 10.0;
const TIMES: usize = 5;

fn main() {
    let trace = load();
    let physics = Physics { replica_capacity: CAPACITY, ..Physics::default() };
    let settings = Settings { physics, interval_ms: Some(trace.step_ms), ..Settings::default() };
    let span_s = trace.duration_ms() as f64 / 1000.0;
    let measure = |name: &str| {
        let policy = Name::parse(name).unwrap();
        let mut seconds: Vec<f64> = (0..TIMES)
            .map(|_| {
                let begun_s = cpu_s();
                fluid(&policy, &trace, &settings).unwrap();
                cpu_s() - begun_s
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let (least, median) = (seconds[0], seconds[TIMES / 2]);
        serde_json::json!({
            "policy": name,
            "seconds": median,
            "seconds_least": least,
            "times_real_time": span_s / median,
            "us_per_look": median * 1e6 / f64::from(STEPS),
        })
    };
    let runs: Vec<_> = ["governor", "hpa:70", "static:peak"].map(measure).into();
    let object = serde_json::json!({
        "bench": "simulate",
        "steps": STEPS,
        "times_real_time": runs[0]["times_real_time"],
        "runs": runs,
        "conditions": format!("one thread, CPU time, median of {TIMES}"),
    });
    println!("{object}");
}

/// CPU time that this thread has used: what others do on the machine does not count.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_ascii_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// A daily wave with a tenth of noise.
fn load() -> Trace {
    let mut chance = Seed(1).stream(Purpose::Arrivals);
    let value = |step: u32| {
        let day = f64::from(step % 1_440) / 1_440.0;
        let wave = 225.0 - 175.0 * (day * std::f64::consts::TAU).cos();
        wave * chance.random_range(0.9..1.1)
    };
    let values = (0..STEPS).map(value).collect();
    let (name, unit) = ("wave".to_owned(), Unit::RequestsPerSecond);
    Trace { name, unit, step_ms: 60_000, values }
}
