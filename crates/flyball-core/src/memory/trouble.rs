//! What goes wrong in a look, for people to read. No stage that decides reads it.

use super::Memory;
use crate::observation::{EngineReport, Observation, Phase, Reading, ReplicaReport, Source};
use crate::timing::Timing;
use crate::trouble::{FailedStarts, NotReady, Silence, Trouble};
use crate::units::Timestamp;

/// A start is reported after this time: most are over by then.
const STARTING_MS: u64 = 3_000;
/// After a failed start it is sooner. What crashes at once has ended by then, though a container takes
/// a second to start on a busy machine.
const STARTING_AGAIN_MS: u64 = 2_000;

impl Memory {
    /// What goes wrong at this look. `engine` is its report, if that is fresh.
    pub(super) fn trouble(
        &self,
        timing: &Timing,
        observation: &Observation,
        engine: Option<&EngineReport>,
    ) -> Trouble {
        let not_ready = engine.and_then(|engine| self.not_ready(observation.at, engine));
        let starting = engine.is_some_and(|e| e.replicas.iter().any(is_starting));
        let failed_starts = (self.plan.failures.shows() && starting).then(|| FailedStarts {
            count: self.plan.failures.count,
            why: self.plan.failures.why.clone(),
        });
        Trouble { not_ready, failed_starts, silent: silent(timing, observation) }
    }

    /// The replica that has been starting for the longest, with what its check is answered.
    fn not_ready(&self, now: Timestamp, engine: &EngineReport) -> Option<NotReady> {
        let wait_ms = if self.plan.failures.shows() { STARTING_AGAIN_MS } else { STARTING_MS };
        let late = |r: &&ReplicaReport| is_starting(r) && now.ms_since(r.asked_at) >= wait_ms;
        let told = |r: &&ReplicaReport| engine.not_ready.contains_key(&r.id);
        let late = || engine.replicas.iter().filter(late).filter(told);
        let oldest = late().min_by_key(|replica| replica.asked_at)?;
        Some(NotReady {
            replica: oldest.id.clone(),
            since: oldest.asked_at,
            why: engine.not_ready.get(&oldest.id)?.clone(),
            more: u32::try_from(late().count() - 1).unwrap_or(u32::MAX),
        })
    }
}

fn is_starting(replica: &ReplicaReport) -> bool {
    replica.phase == Phase::Starting
}

fn silent(timing: &Timing, observation: &Observation) -> Vec<Silence> {
    let now = observation.at;
    let limit_ms = timing.stale_after_ms;
    let engine = silence(Source::Engine, &observation.engine, now, limit_ms);
    let balancer = observation.balancer.as_ref();
    let balancer = balancer.and_then(|b| silence(Source::Balancer, b, now, limit_ms));
    engine.into_iter().chain(balancer).collect()
}

/// A source that has said nothing for longer than `limit_ms`, or never anything.
fn silence<T>(
    source: Source,
    reading: &Reading<T>,
    now: Timestamp,
    limit_ms: u64,
) -> Option<Silence> {
    if reading.fresh(now, limit_ms).is_some() {
        return None;
    }
    let (since, why) = match reading {
        Reading::Taken { at, .. } => (*at, String::new()),
        Reading::Missing { since, why } => (*since, why.clone()),
    };
    Some(Silence { source, since, why })
}
