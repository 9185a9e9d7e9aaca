//! Simulates the live run request by request: the same arrivals, with the start time and the work
//! per request that the run measured. A request takes its 5 ms and what HTTP and waking up cost.

use std::time::Duration;

use flyball_core::policy::Policy;
use flyball_core::units::seconds;
use flyball_sim::contender::Contender;
use flyball_sim::seed::Seed;
use flyball_sim::world::requests::arrivals::Arrivals;
use flyball_sim::world::requests::run::run;
use flyball_sim::world::requests::service::Times;
use flyball_sim::world::requests::{Cold, Setup};

use super::SHARE;
use crate::load::{ANSWER_WITHIN, SLOW};

/// Time for the floor to be up before the load begins.
const LEAD_MS: u64 = 2_000;
/// A sample service that has nothing left to do ends within so long.
const STOP_MS: u64 = 20;

/// What the live run measured of its service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// From asking for a replica until it is ready, on average.
    pub(super) start_ms: f64,
    /// What one request costs, in replica-seconds.
    pub(super) work_s: f64,
}

/// What the simulator says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Simulated {
    /// Replica-seconds paid for.
    pub(super) replica_s: f64,
    /// Percent of the requests that take longer than [`SLOW`] or are not answered.
    pub(super) slow_pct: f64,
}

/// `policy` over `arrivals`, which end after `span`, with replicas as they were `measured`; none if
/// a decision was refused, which the live run would have logged.
pub(super) fn simulate(
    policy: &Policy,
    arrivals: &[Duration],
    span: Duration,
    measured: Measured,
) -> Option<Simulated> {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let lead_ns = LEAD_MS * 1_000_000;
    let moments = arrivals.iter().map(|at| ns(*at) + lead_ns).collect();
    let arrivals = Arrivals::listed(moments, ns(span) + lead_ns);
    let mut contender = Contender::own("governor", policy.clone());
    let outcome = run(&mut contender, &setup(measured), arrivals, Seed(1));
    let lead_replica_s = f64::from(policy.bounds.min) * seconds(LEAD_MS);
    outcome.broken.is_none().then(|| Simulated {
        replica_s: outcome.replica_s - lead_replica_s,
        slow_pct: outcome.requests.over_limit_pct(),
    })
}

/// The sample service behind the embedded balancer: one request after another, two given at once.
fn setup(measured: Measured) -> Setup {
    let work_ms = measured.work_s * 1000.0;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Setup {
        work: Times::same(work_ms),
        workers: 1,
        slots: Some(super::SLOTS),
        waiting_max: usize::MAX,
        patience_ms: ms(ANSWER_WITHIN),
        limit_ms: ms(SLOW),
        start_lag: Times::same(measured.start_ms),
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
    use flyball_core::policy::{Bounds, Governor, RolloutPolicy, Rule, Timing};

    use super::*;
    use crate::demo::trace::Shape;

    #[test]
    fn the_demo_in_the_simulator_answers_most_in_time_for_less_than_the_peak_pool() {
        let shape = Shape::of_excerpt(Duration::from_secs(60), 120.0).unwrap();
        let rule = Governor { slots: Some(2), hold_ms: Some(3_000), ..Governor::default() };
        let policy = Policy {
            service: "demo".to_owned(),
            bounds: Bounds { min: 1, max: 12 },
            rule: Rule::Governor(rule),
            timing: Timing { start_lag_prior_ms: 1_000, ..Timing::default() },
            rollout: RolloutPolicy::default(),
            sleep: None,
        };
        let measured = Measured { start_ms: 50.0, work_s: 0.055 };
        let told = simulate(&policy, &shape.arrivals(1), shape.run(), measured).unwrap();
        // A trace of twenty minutes within one: a live run of it has a tenth over the limit, too.
        assert!(told.slow_pct < 15.0, "{told:?}");
        // Eight replicas would be enough for the peak; one is always there.
        assert!((60.0..480.0).contains(&told.replica_s), "{told:?}");
    }
}
