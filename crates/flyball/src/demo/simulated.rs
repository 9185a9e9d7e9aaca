//! The same load once more, request by request, in the simulator: what a live run should come to.
//!
//! Decides nothing: it describes the demo's service to the simulator, with the start lag that the
//! live run measured. Invariant: the arrivals are the live run's own, to the nanosecond.

use std::time::Duration;

use flyball_core::policy::Policy;
use flyball_core::units::seconds;
use flyball_sim::contender::Contender;
use flyball_sim::seed::Seed;
use flyball_sim::world::requests::arrivals::Arrivals;
use flyball_sim::world::requests::run::run;
use flyball_sim::world::requests::service::Times;
use flyball_sim::world::requests::{Cold, Setup};

use super::{SHARE, WORK_MS};
use crate::load::{ANSWER_WITHIN, SLOW};

/// Time for the floor to be up before the load begins.
const LEAD_MS: u64 = 2_000;
/// A sample service that has nothing left to do ends within so long.
const STOP_MS: u64 = 20;

/// What the simulator says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Simulated {
    /// Replica-seconds paid for.
    pub(super) replica_s: f64,
    /// Percent of the requests that take longer than [`SLOW`] or are not answered.
    pub(super) slow_pct: f64,
}

/// `policy` over `arrivals`, which end after `span`, with replicas that take `lag_ms` to start.
pub(super) fn simulate(
    policy: &Policy,
    arrivals: &[Duration],
    span: Duration,
    lag_ms: u64,
) -> Simulated {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let lead_ns = LEAD_MS * 1_000_000;
    let moments = arrivals.iter().map(|at| ns(*at) + lead_ns).collect();
    let arrivals = Arrivals::listed(moments, ns(span) + lead_ns);
    let mut contender = Contender::own("governor", policy.clone());
    let outcome = run(&mut contender, &setup(lag_ms), arrivals, Seed(1), |_, _| {});
    let lead_replica_s = f64::from(policy.bounds.min) * seconds(LEAD_MS);
    Simulated {
        replica_s: outcome.replica_s - lead_replica_s,
        slow_pct: outcome.requests.over_limit_pct(),
    }
}

/// The sample service behind the embedded balancer: one request after another, two given at once.
fn setup(lag_ms: u64) -> Setup {
    let work_ms = f64::from(WORK_MS) / SHARE;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Setup {
        work: Times::same(work_ms),
        workers: 1,
        slots: Some(super::SLOTS),
        waiting_max: usize::MAX,
        patience_ms: ms(ANSWER_WITHIN),
        limit_ms: ms(SLOW),
        // A measured start ends with the first answer, which takes the work of one request.
        start_lag: Times::same((seconds(lag_ms) * 1_000.0 - work_ms).max(1.0)),
        cold: Cold { factor: 1.0, ms: 0, start_share: 0.0 },
        imbalance_cv: 0.0,
        stop_ms: STOP_MS,
        grace_ms: 5_000,
        metric_lag_ms: 0,
        cpu_limit_cores: SHARE,
        balanced: true,
        wakes: true,
    }
}

#[cfg(test)]
mod tests {
    use flyball_core::policy::{Bounds, Governor, Rule, Timing};

    use super::*;
    use crate::demo::trace::Shape;

    #[test]
    fn the_demo_in_the_simulator_serves_nearly_all_in_time_for_less_than_the_peak_pool() {
        let shape = Shape::of_excerpt(Duration::from_secs(60), 120.0).unwrap();
        let rule = Governor { slots: Some(2), hold_ms: Some(3_000), ..Governor::default() };
        let policy = Policy {
            service: "demo".to_owned(),
            bounds: Bounds { min: 1, max: 12 },
            rule: Rule::Governor(rule),
            timing: Timing { start_lag_prior_ms: 1_000, ..Timing::default() },
        };
        let told = simulate(&policy, &shape.arrivals(1), shape.run(), 120);
        assert!(told.slow_pct < 5.0, "{told:?}");
        assert!((60.0..480.0).contains(&told.replica_s), "{told:?}");
    }
}
