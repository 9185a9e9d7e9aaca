//! What the 2014 rule would have done with the same load, work per request and start lag. The
//! simulator calculates it, and the output says so.

use std::time::Duration;

use flyball_core::policy::{Bounds, Rule, StepRule};
use flyball_core::units::seconds;
use flyball_sim::run::{Settings, fluid_by_rule};
use flyball_sim::trace::{Trace, Unit};
use flyball_sim::world::{Overload, Physics};

use super::trace::EXCERPT_S;
use crate::failure::Failure;

const LOOK_MS: u64 = 200;

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rival {
    pub(super) replica_s: f64,
    pub(super) longest_wait_s: f64,
    interval_s: f64,
}

impl Rival {
    pub(super) fn in_words(&self) -> String {
        format!(
            "calculated: 30 %/15 % of CPU, one at a time each {:.1} s; longest wait {:.1} s",
            self.interval_s, self.longest_wait_s
        )
    }
}

/// Runs the step rule over `arrivals` per second, with requests of `work_s` replica-seconds and
/// replicas that take `lag_ms` to start.
pub(super) fn step(
    arrivals: &[u64],
    work_s: f64,
    lag_ms: u64,
    run: Duration,
    bounds: Bounds,
) -> Result<Rival, Failure> {
    let interval_ms = interval_ms(run);
    // Stopped before its first second was over: there is nothing to compare.
    if arrivals.is_empty() {
        return Ok(Rival { interval_s: seconds(interval_ms), ..Rival::default() });
    }
    let rule =
        StepRule { cooldown_ms: interval_ms, cpu_window_ms: interval_ms, ..StepRule::default() };
    #[expect(clippy::cast_precision_loss, reason = "arrivals of a second")]
    let values = arrivals.iter().map(|arrivals| *arrivals as f64).collect();
    let unit = Unit::RequestsPerSecond;
    let trace = Trace { name: "demo".to_owned(), unit, step_ms: 1_000, values };
    let physics = Physics {
        replica_capacity: 1.0 / work_s,
        start_lag_ms: lag_ms,
        drain_ms: LOOK_MS,
        // No request gives up: the output shows the longest wait.
        overload: Overload::Waits { patience_s: run.as_secs_f64() },
        ..Physics::default()
    };
    // The rule needs room for its low utilization: three times the governor's count.
    let bounds = Bounds { min: bounds.min, max: bounds.max.saturating_mul(4) };
    let settings = Settings { physics, bounds, interval_ms: Some(LOOK_MS), ..Settings::default() };
    let outcome = fluid_by_rule("step", Rule::Step(rule), &trace, &settings);
    let score = outcome.map_err(Failure::new)?.score;
    Ok(Rival {
        replica_s: score.paid_hours * 3600.0,
        longest_wait_s: score.longest_wait_s,
        interval_s: seconds(interval_ms),
    })
}

/// The rule's minute, squeezed as the trace is.
fn interval_ms(run: Duration) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive time of seconds; the cast saturates"
    )]
    let ms = (60_000.0 * run.as_secs_f64() / EXCERPT_S) as u64;
    ms.max(LOOK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_load_ends_between_the_thresholds() {
        // 30 requests/s of 50 ms are 1.5 busy; between 15 % and 30 % busy are 5 to 10 replicas.
        let bounds = Bounds { min: 1, max: 12 };
        let rival = step(&[30; 120], 0.05, 100, Duration::from_secs(120), bounds).unwrap();
        let mean = rival.replica_s / 120.0;
        assert!((4.0..=10.0).contains(&mean), "{mean}");
        assert!(rival.longest_wait_s < 10.0);
    }
}
