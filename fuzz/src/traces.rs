//! Recorded loads. Parsing never panics and respects its memory limit. A trace is finite, ordered,
//! has one step, survives a round trip and can be simulated.

use std::fmt::Write as _;

use flyball_sim::contender::Name;
use flyball_sim::run::{self, RunError, Settings};
use flyball_sim::trace::{DURATION_MAX_MS, Trace, Unit, read};
use flyball_sim::world::Physics;

/// Longer traces are not simulated: a run is to take microseconds.
const SIMULATED_MAX: usize = 16;

/// Bytes as a file with a trace.
pub fn traces(data: &[u8]) {
    let trace = match read("t.csv", data) {
        Ok(trace) => trace,
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with("t.csv:") && message.len() < 1_024, "{message}");
            return;
        }
    };
    assert!(trace.values.len() >= 2 && trace.step_ms > 0);
    assert!(trace.values.iter().all(|value| value.is_finite() && *value >= 0.0));
    assert!(trace.duration_ms() <= DURATION_MAX_MS);
    assert_eq!(read("t.csv", written(&trace).as_bytes()).unwrap(), trace);
    resampled(&trace);
    if trace.values.len() <= SIMULATED_MAX {
        simulated(&trace.by_minute());
    }
}

fn written(trace: &Trace) -> String {
    let mut text = match trace.unit {
        Unit::RequestsPerSecond => "seconds,requests_per_second\n".to_owned(),
        Unit::Cores => "seconds,cores\n".to_owned(),
    };
    for (step, value) in (0_u64..).zip(trace.values.iter()) {
        let ms = step * trace.step_ms;
        writeln!(text, "{}.{:03},{value}", ms / 1_000, ms % 1_000).unwrap();
    }
    text
}

fn resampled(trace: &Trace) {
    let half = trace.resample(trace.step_ms * 2).unwrap();
    assert_eq!((half.step_ms, half.values.len()), (2 * trace.step_ms, trace.values.len() / 2));
    for (pair, mean) in trace.values.chunks_exact(2).zip(half.values.iter()) {
        let between = pair[0].min(pair[1])..=pair[0].max(pair[1]);
        assert!(between.contains(mean) || close(*mean, pair[0]), "{pair:?} {mean}");
    }
    let minutes = trace.by_minute();
    assert!(!minutes.values.is_empty() && minutes.step_ms >= trace.step_ms);
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn simulated(trace: &Trace) {
    let most = trace.values.iter().copied().fold(1e-300, f64::max);
    let physics = Physics { replica_capacity: most / 10.0, ..Physics::default() };
    let interval_ms = Some(trace.step_ms.max(60_000));
    let mut settings = Settings { physics, interval_ms, ..Settings::default() };
    settings.bounds.max = 50;
    let outcome = run::fluid(&Name::parse("governor").unwrap(), trace, &settings);
    match outcome {
        Ok(outcome) => assert!(outcome.score.cost_ratio.is_finite(), "{:?}", outcome.score),
        Err(RunError::Impossible { .. }) => {}
        Err(error @ RunError::Broken(_)) => panic!("{error}"),
    }
}
