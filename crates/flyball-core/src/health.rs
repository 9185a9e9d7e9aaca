//! Which replicas are sick: they are no capacity, and get no requests as far as others can serve. A
//! failed probe never takes out the last replica, nor one where all fail. `plan` replaces replicas.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::memory::Memory;
use crate::observation::{
    BalancerReport, EngineReport, Observation, Phase, ProbeFailure, Reading, ReplicaReport,
    ServerHealth,
};
use crate::sick::{Cause, Sick, SickTreatment};
use crate::timing::Timing;
use crate::units::ReplicaId;

/// A replica that answered a request within this time is busy, not dead, when it does not answer
/// its probe: longer than the limit of two probes.
const BUSY_MS: u64 = 10_000;

/// Notes who is sick, and gives back what was seen with them as [`Phase::Unhealthy`].
///
/// Nothing changes while the engine does not respond: sick replicas are still considered sick.
pub(crate) fn judge<'a>(
    timing: &Timing,
    memory: &mut Memory,
    observation: &'a Observation,
) -> Cow<'a, Observation> {
    let stale_ms = timing.stale_after_ms;
    let Some(engine) = observation.engine.fresh(observation.at, stale_ms) else {
        return Cow::Borrowed(observation);
    };
    let balancer = observation.balancer.as_ref().and_then(|b| b.fresh(observation.at, stale_ms));
    let mut sick = failing(memory, observation, engine, balancer);
    // Who leaves decides nothing about those that stay.
    let stays = |id: &ReplicaId| !memory.plan.draining.contains_key(id);
    let all = engine.replicas.iter().filter(|r| served(r) && stays(&r.id)).count();
    let mut staying: Vec<&mut Sick> = sick.values_mut().filter(|one| stays(&one.replica)).collect();
    let shared = if staying.len() == all && all > 1 {
        keep_all(&mut staying)
    } else {
        limit(timing, &mut staying, all);
        None
    };
    memory.health.shared_fault = shared;
    memory.health.sick = sick;
    mark(memory, observation)
}

/// Whoever fails, and for want of a better judgement is out.
fn failing(
    memory: &Memory,
    observation: &Observation,
    engine: &EngineReport,
    balancer: Option<&BalancerReport>,
) -> BTreeMap<ReplicaId, Sick> {
    let fault = |replica: &ReplicaReport| {
        let health = balancer.and_then(|b| Some(&b.servers.get(&replica.id)?.health));
        match (replica.phase, health, observation.failing.get(&replica.id)) {
            (Phase::Unhealthy, _, _) => Some((Cause::Engine, UNHEALTHY.to_owned())),
            (Phase::Ready, Some(ServerHealth::Down { why }), _) => {
                Some((Cause::Balancer, why.clone()))
            }
            (Phase::Ready, _, Some(ProbeFailure { silent, why }))
                if !silent
                    || !memory.readings.answered_within(observation.at, BUSY_MS, &replica.id) =>
            {
                Some((Cause::Probe, why.clone()))
            }
            _ => None,
        }
    };
    let sick = |replica: &ReplicaReport| {
        let (cause, why) = fault(replica)?;
        let id = replica.id.clone();
        let since = memory.health.sick.get(&id).map_or(observation.at, |before| before.since);
        Some((id.clone(), Sick { replica: id, since, cause, why, standing: SickTreatment::Out }))
    };
    engine.replicas.iter().filter_map(sick).collect()
}

const UNHEALTHY: &str = "its engine reports that it cannot serve";

fn served(replica: &ReplicaReport) -> bool {
    matches!(replica.phase, Phase::Ready | Phase::Unhealthy)
}

/// All fail: whatever it is, other replicas would not cure it. What the engine itself says counts.
fn keep_all(sick: &mut [&mut Sick]) -> Option<String> {
    let all = sick.len();
    let mut doubted = sick.iter_mut().filter(|one| one.cause != Cause::Engine).peekable();
    let first = doubted.peek()?;
    let text = format!(
        "all {all} replicas fail, so none is taken out or replaced; {}: {}",
        first.replica, first.why
    );
    doubted.for_each(|one| one.standing = SickTreatment::Kept);
    Some(text)
}

/// Takes out those that have failed their probe for longest, up to a share of `all`.
fn limit(timing: &Timing, sick: &mut [&mut Sick], all: usize) {
    if all == 1 {
        let last = sick.iter_mut().filter(|one| one.cause != Cause::Engine);
        return last.for_each(|one| one.standing = SickTreatment::Last);
    }
    let out = sick.iter().filter(|one| one.cause != Cause::Probe).count();
    let places = share_of(all, timing.eject_max).saturating_sub(out);
    let mut probed: Vec<_> = sick.iter_mut().filter(|one| one.cause == Cause::Probe).collect();
    probed.sort_by(|a, b| (a.since, &a.replica).cmp(&(b.since, &b.replica)));
    probed.into_iter().skip(places).for_each(|one| one.standing = SickTreatment::Kept);
}

/// So many of `all` may be out where `share` of them may: rounded down, but at least one unless the
/// share is 0, and never all.
pub fn share_of(all: usize, share: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and a count of replicas"
    )]
    let part = (all as f64 * share.clamp(0.0, 1.0)).floor() as usize;
    part.max(usize::from(share > 0.0)).min(all.saturating_sub(1))
}

fn mark<'a>(memory: &Memory, observation: &'a Observation) -> Cow<'a, Observation> {
    let marked = |id: &ReplicaId| {
        memory.health.sick.get(id).is_some_and(|one| one.standing != SickTreatment::Kept)
    };
    if !memory.health.sick.keys().any(marked) {
        return Cow::Borrowed(observation);
    }
    let mut observation = observation.clone();
    if let Reading::Taken { value, .. } = &mut observation.engine {
        for replica in value.replicas.iter_mut().filter(|r| r.phase == Phase::Ready) {
            if marked(&replica.id) {
                replica.phase = Phase::Unhealthy;
            }
        }
    }
    Cow::Owned(observation)
}
