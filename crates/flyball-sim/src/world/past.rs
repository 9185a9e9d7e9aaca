//! What meters said earlier, for worlds whose meters lag. Kept are all readings that may still be
//! seen, and fewer of them where they would take too much memory. The oldest one kept is the newest
//! that is a lag old, once there is one; nothing newer is shown in its place.

use std::collections::{BTreeMap, VecDeque};

use flyball_core::observation::{BalancerReport, CpuCounter, Observation, Reading};
use flyball_core::units::{ReplicaId, Timestamp};

/// Readings of single replicas that are kept: 200 MB. Of more, only every second look is kept, or
/// every fourth and so on: counters are then seen up to that much later than the lag.
const REPLICAS_MAX: usize = 1_000_000;

/// What all meters said at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) at: Timestamp,
    pub(crate) balancer: BalancerReport,
    pub(crate) cpu: BTreeMap<ReplicaId, CpuCounter>,
}

/// The same at several, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Pasts {
    kept: VecDeque<Past>,
    /// Readings of single replicas in them.
    replicas: usize,
    replicas_max: usize,
    /// Of so many looks one is kept.
    every: u64,
    looks: u64,
}

impl Default for Pasts {
    fn default() -> Self {
        Self::of_at_most(REPLICAS_MAX)
    }
}

impl Pasts {
    fn of_at_most(replicas_max: usize) -> Self {
        Self { kept: VecDeque::new(), replicas: 0, replicas_max, every: 1, looks: 0 }
    }

    /// Keeps what `seen` says, which is the present, and forgets what is older than the newest that
    /// is `lag_ms` old. Nothing without both reports.
    pub(crate) fn keep(&mut self, seen: &Observation, lag_ms: u64) {
        let balancer = seen.balancer.as_ref().and_then(Reading::value);
        let (Some(engine), Some(balancer)) = (seen.engine.value(), balancer) else { return };
        if self.looks.is_multiple_of(self.every) {
            let cpu = engine.replicas.iter().filter_map(|r| Some((r.id.clone(), r.cpu?)));
            let past = Past { at: seen.at, balancer: balancer.clone(), cpu: cpu.collect() };
            self.replicas += past.cpu.len();
            self.kept.push_back(past);
        }
        self.looks += 1;
        while self.kept.get(1).is_some_and(|past| seen.at.ms_since(past.at) >= lag_ms) {
            self.replicas -= self.kept.pop_front().map_or(0, |past| past.cpu.len());
        }
        if self.replicas > self.replicas_max {
            self.thin();
        }
    }

    /// The oldest that is kept.
    pub(crate) fn oldest(&self) -> Option<&Past> {
        self.kept.front()
    }

    /// Every second one, but the oldest, which may be seen now.
    fn thin(&mut self) {
        let mut number = 0;
        self.kept.retain(|_| {
            number += 1;
            number % 2 == 1
        });
        self.replicas = self.kept.iter().map(|past| past.cpu.len()).sum();
        self.every = self.every.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use flyball_core::observation::{EngineReport, Phase, ReplicaReport};

    use super::*;

    fn seen(at_s: u64, replicas: u64) -> Observation {
        let at = Timestamp::from_ms(at_s * 1_000);
        let replica = |number| ReplicaReport {
            ready_at: Some(at),
            cpu: Some(CpuCounter { at, used_ns: 0 }),
            ..ReplicaReport::new(ReplicaId::numbered("web", number), Phase::Ready, at)
        };
        let replicas = (0..replicas).map(replica).collect();
        let engine = Reading::Taken { at, value: EngineReport { replicas, ..Default::default() } };
        let balancer = Some(Reading::Taken { at, value: BalancerReport::default() });
        Observation { balancer, ..Observation::new(at, engine) }
    }

    #[test]
    fn the_oldest_is_the_newest_that_is_a_lag_old() {
        let mut pasts = Pasts::default();
        let oldest = |pasts: &Pasts| pasts.oldest().map(|past| past.at.as_ms() / 1_000);
        for (at_s, expected) in [(0, 0), (5, 0), (12, 0), (15, 5), (16, 5), (40, 16)] {
            pasts.keep(&seen(at_s, 1), 10_000);
            assert_eq!(oldest(&pasts), Some(expected), "{at_s}");
        }
    }

    #[test]
    fn memory_is_bounded_whatever_the_lag() {
        let mut pasts = Pasts::of_at_most(1_000);
        for at_s in 0..10_000 {
            pasts.keep(&seen(at_s, 10), 3_600_000);
            assert!(pasts.replicas <= 1_010);
            let age_s = at_s - pasts.oldest().unwrap().at.as_ms() / 1_000;
            assert!((3_600..=3_700).contains(&age_s) || at_s < 3_700, "{age_s}");
        }
        assert!(pasts.kept.len() > 50, "{}", pasts.kept.len());
    }
}
