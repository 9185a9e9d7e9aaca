//! What the 2014 rule would have done with the same load: the live decision code in a small world.
//!
//! Decides nothing: it moves replicas and requests as fluids, once a look, and calls
//! `flyball_core::decide`. Not measured, so always said to be worked out. Invariant: requests are
//! neither lost nor made; what is not served waits.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use flyball_core::decide::decide;
use flyball_core::memory::Memory;
use flyball_core::observation::{
    CpuCounter, EngineReport, Observation, Phase, Reading, ReplicaReport,
};
use flyball_core::plan::Step;
use flyball_core::policy::{Bounds, Policy, Rule, StepRule, Timing};
use flyball_core::units::{ReplicaId, Timestamp, seconds};

use super::trace::EXCERPT_S;

const LOOK_MS: u64 = 200;
/// Time for the rule to settle at the load's beginning before it is counted.
const SETTLE_MS: u64 = 10_000;

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
            "worked out: 30 %/15 % of CPU, one at a time each {:.1} s; longest wait {:.1} s",
            self.interval_s, self.longest_wait_s
        )
    }
}

struct Replica {
    asked_at: Timestamp,
    used_ns: f64,
}

struct World {
    work_s: f64,
    lag_ms: u64,
    now: Timestamp,
    waiting: f64,
    replicas: BTreeMap<ReplicaId, Replica>,
}

/// Runs the step rule over `arrivals` per second, with requests of `work_s` replica-seconds and
/// replicas that take `lag_ms` to start.
pub(super) fn step(
    arrivals: &[u64],
    work_s: f64,
    lag_ms: u64,
    run: Duration,
    bounds: Bounds,
) -> Rival {
    let interval_ms = interval_ms(run);
    let rule =
        StepRule { cooldown_ms: interval_ms, cpu_window_ms: interval_ms, ..StepRule::default() };
    let timing = Timing { look_ms: Some(LOOK_MS), ..Timing::default() };
    // The rule needs room for its low utilization: three times the governor's count.
    let bounds = Bounds { min: bounds.min, max: bounds.max * 4 };
    let policy = Policy { service: "step".to_owned(), bounds, rule: Rule::Step(rule), timing };
    let mut world = World {
        work_s,
        lag_ms,
        now: Timestamp::from_ms(0),
        waiting: 0.0,
        replicas: BTreeMap::new(),
    };
    let mut memory = Memory::default();
    let mut rival = Rival { interval_s: seconds(interval_ms), ..Rival::default() };
    let end_ms = SETTLE_MS + arrivals.len() as u64 * 1000;
    while world.now.as_ms() < end_ms {
        let second = world.now.as_ms().saturating_sub(SETTLE_MS) / 1000;
        let per_s =
            usize::try_from(second).ok().and_then(|s| arrivals.get(s)).copied().unwrap_or(0);
        world.pass(per_s);
        let decision = decide(&policy, &mut memory, &world.observe());
        for step in &decision.plan {
            world.carry_out(step);
        }
        if world.now.as_ms() > SETTLE_MS {
            rival.replica_s += f64::from(decision.seen.committed()) * seconds(LOOK_MS);
            let ready = f64::from(decision.seen.ready.max(1));
            rival.longest_wait_s = rival.longest_wait_s.max(world.waiting * work_s / ready);
        }
    }
    rival
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

impl World {
    fn is_ready(&self, replica: &Replica) -> bool {
        self.now.ms_since(replica.asked_at) >= self.lag_ms
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn pass(&mut self, arrivals_per_s: u64) {
        self.now = self.now.plus_ms(LOOK_MS);
        self.waiting += arrivals_per_s as f64 * seconds(LOOK_MS);
        let ready = self.replicas.values().filter(|r| self.is_ready(r)).count() as f64;
        let served = self.waiting.min(ready * seconds(LOOK_MS) / self.work_s);
        self.waiting -= served;
        let (now, lag_ms) = (self.now, self.lag_ms);
        for replica in self.replicas.values_mut() {
            if now.ms_since(replica.asked_at) >= lag_ms {
                replica.used_ns += served / ready * self.work_s * 1e9;
            }
        }
    }

    fn observe(&self) -> Observation {
        let report = |(id, replica): (&ReplicaId, &Replica)| ReplicaReport {
            id: id.clone(),
            phase: if self.is_ready(replica) { Phase::Ready } else { Phase::Starting },
            asked_at: replica.asked_at,
            ready_at: self.is_ready(replica).then(|| replica.asked_at.plus_ms(self.lag_ms)),
            address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))),
            cpu: Some(counter(self.now, replica.used_ns)),
            cpu_limit_cores: 1.0,
            protected: false,
        };
        let replicas = self.replicas.iter().map(report).collect();
        let engine = EngineReport { replicas, ..EngineReport::default() };
        let engine = Reading::Taken { at: self.now, value: engine };
        Observation { at: self.now, wall_ms: 0, engine, balancer: None, manual: None, advice: None }
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Start { replica } => {
                let new = Replica { asked_at: self.now, used_ns: 0.0 };
                self.replicas.insert(replica.clone(), new);
            }
            Step::Stop { replica, .. } => {
                self.replicas.remove(replica);
            }
            Step::Route { .. } | Step::Drain { .. } => {}
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number of nanoseconds; the cast saturates"
)]
fn counter(at: Timestamp, used_ns: f64) -> CpuCounter {
    CpuCounter { at, used_ns: used_ns as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_load_ends_between_the_thresholds() {
        // 30 requests/s of 50 ms are 1.5 busy; between 15 % and 30 % busy are 5 to 10 replicas.
        let bounds = Bounds { min: 1, max: 12 };
        let rival = step(&[30; 120], 0.05, 100, Duration::from_secs(120), bounds);
        let mean = rival.replica_s / 120.0;
        assert!((4.0..=10.0).contains(&mean), "{mean}");
        assert!(rival.longest_wait_s < 10.0);
    }
}
