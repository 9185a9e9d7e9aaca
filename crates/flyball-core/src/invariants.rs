//! What a decision must never be, checked from outside: by tests, by the simulator after every
//! look, and by the daemon, which does not carry out a decision that violates one of these. A check
//! never depends on the code that it checks.

mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::decision::Decision;
use crate::observation::{
    BalancerReport, EngineCount, EngineReport, Leaving, Observation, Phase, Reading, ReplicaReport,
    Route,
};
use crate::plan::{Step, StopReason};
use crate::policy::Policy;
use crate::rollout::RolloutState;
use crate::units::{ReplicaId, Timestamp};

/// An invariant that a decision breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// `desired` is outside `min..=max`.
    OutOfBounds(u32),
    /// A recommendation's terms are not what was seen and set, or do not give its count, or the
    /// guards do not lead from the largest recommendation to `desired`.
    DoesNotAddUp(String),
    /// Something is to be done although the engine's report is stale or missing.
    ActsBlind(Step),
    /// A replica that is or was ready is drained or stopped although the balancer's report is stale
    /// or missing.
    RemovesUnseen(ReplicaId),
    /// More replicas are asked for than are missing.
    AsksTwice {
        /// Replicas to start.
        starts: usize,
        /// Replicas missing.
        missing: usize,
    },
    /// A replica gets requests before it is ready.
    RoutesUnready(ReplicaId),
    /// A ready replica is stopped while it gets or works on requests.
    StopsUndrained(ReplicaId),
    /// A step acts on something that is not flyball's.
    TouchesForeign(ReplicaId),
    /// A protected replica is drained or stopped.
    RemovesProtected(ReplicaId),
    /// Replicas are started or stopped where the engine keeps a count of its own, or it is told a
    /// count where it keeps none.
    WrongWay(Step),
    /// Replicas are started, stopped or counted again while the engine is busy with its own.
    DisturbsBusy(Step),
    /// The engine is told another count than its own and the wanted one allow, or one below those
    /// who are named or predicted to leave.
    WrongCount {
        /// What it was told before.
        from: u32,
        /// What it is told now.
        to: u32,
        /// What is wanted.
        desired: u32,
    },
    /// Steps are out of order or there are two for one replica.
    Disordered,
}

/// Everything that `decision` breaks; empty if nothing.
pub fn check(policy: &Policy, observation: &Observation, decision: &Decision) -> Vec<Broken> {
    let mut broken = Vec::new();
    let bounds = policy.bounds;
    if !(bounds.min..=bounds.max).contains(&decision.desired) {
        broken.push(Broken::OutOfBounds(decision.desired));
    }
    broken.extend(adds_up(policy, observation, decision));
    let limit_ms = policy.timing.stale_after_ms;
    match fresh(&observation.engine, observation.at, limit_ms) {
        None => broken.extend(decision.plan.iter().cloned().map(Broken::ActsBlind)),
        Some(engine) => {
            broken.extend(starts(policy, engine, decision));
            let there = if decision.plan.is_empty() { There::new() } else { there(engine) };
            for step in &decision.plan {
                broken.extend(way(engine, step));
                broken.extend(match step {
                    Step::Scale { to, leaving } => {
                        let desired = decision.desired;
                        wrong_count(engine, desired, *to, leaving)
                            .or_else(|| check_leaving(policy, observation, &there, leaving))
                    }
                    _ => check_step(policy, observation, &there, step, decision.desired == 0),
                });
            }
        }
    }
    let sorted = decision.plan.is_sorted_by_key(rank);
    // One count at most, and one step for each replica.
    let replicas: BTreeSet<_> = decision.plan.iter().map(Step::replica).collect();
    if !sorted || replicas.len() != decision.plan.len() {
        broken.push(Broken::Disordered);
    }
    broken
}

/// The engine's replicas by name, so that a plan of thousands of steps is checked in one go.
type There<'a> = BTreeMap<&'a ReplicaId, &'a ReplicaReport>;

fn there(engine: &EngineReport) -> There<'_> {
    // Of two with one name the first counts.
    engine.replicas.iter().rev().map(|replica| (&replica.id, replica)).collect()
}

/// What a reading says, if it is recent enough.
fn fresh<T>(reading: &Reading<T>, now: Timestamp, limit_ms: u64) -> Option<&T> {
    match reading {
        Reading::Taken { at, value } if now.as_ms().saturating_sub(at.as_ms()) <= limit_ms => {
            Some(value)
        }
        Reading::Taken { .. } | Reading::Missing { .. } => None,
    }
}

/// The place of a step: what adds capacity comes before what takes it away.
fn rank(step: &Step) -> (u8, Option<&ReplicaId>) {
    let kind = match step {
        Step::Start { .. } => 0,
        Step::Route { .. } => 1,
        Step::Drain { .. } => 2,
        Step::Stop { .. } => 3,
        Step::Scale { .. } => 4,
    };
    (kind, step.replica())
}

fn adds_up(policy: &Policy, observation: &Observation, decision: &Decision) -> Option<Broken> {
    for recommendation in &decision.recommendations {
        let terms = terms::hold(policy, observation, &decision.signals, &recommendation.arithmetic);
        if !terms || recommendation.count != terms::count(&recommendation.arithmetic) {
            return Some(Broken::DoesNotAddUp(recommendation.line().to_string()));
        }
    }
    let largest = decision.recommendations.iter().map(|r| r.count).max();
    let mut count = largest.unwrap_or(decision.signals.current);
    for step in &decision.adjustments {
        if step.before != count {
            return Some(Broken::DoesNotAddUp(step.line(decision.at).to_string()));
        }
        count = step.after;
    }
    (count != decision.desired)
        .then(|| Broken::DoesNotAddUp(format!("{count} is not {}", decision.desired)))
}

fn starts(policy: &Policy, engine: &EngineReport, decision: &Decision) -> Option<Broken> {
    let starts = decision.plan.iter().filter(|s| matches!(s, Step::Start { .. })).count();
    // What had its time and may not be stopped does not keep others from starting.
    let late = |r: &ReplicaReport| {
        r.protected && decision.at.ms_since(r.asked_at) > policy.timing.start_limit_ms
    };
    let comes = |r: &&ReplicaReport| r.phase == Phase::Starting && !late(r);
    let coming = engine.replicas.iter().filter(comes).count();
    let there = decision.signals.ready as usize + coming;
    let missing = (decision.desired as usize).saturating_sub(there);
    let missing = missing + surge(policy, engine, decision);
    (starts > missing).then_some(Broken::AsksTwice { starts, missing })
}

/// How many may start beyond the count to replace others: where there are others to replace.
fn surge(policy: &Policy, engine: &EngineReport, decision: &Decision) -> usize {
    let Some(rollout) = decision.rollout.as_ref() else { return 0 };
    let old = |r: &ReplicaReport| !r.protected && r.generation.is_some_and(|g| g != rollout.to);
    let rolls = rollout.state == RolloutState::Rolling && engine.replicas.iter().any(old);
    let count = decision.desired.max(decision.signals.committed());
    if rolls { policy.rollout.surge.of(count) as usize } else { 0 }
}

/// Whether this engine is to be told such a thing, now.
fn way(engine: &EngineReport, step: &Step) -> Option<Broken> {
    let counts = match step {
        Step::Route { .. } | Step::Drain { .. } => return None,
        Step::Start { .. } | Step::Stop { .. } => false,
        Step::Scale { .. } => true,
    };
    if counts != engine.count.is_some() {
        return Some(Broken::WrongWay(step.clone()));
    }
    engine.busy.is_some().then(|| Broken::DisturbsBusy(step.clone()))
}

/// A count between the engine's last one and the desired one, and those who leave are as many as
/// are missing then, and who the engine says.
fn wrong_count(
    engine: &EngineReport,
    desired: u32,
    to: u32,
    leaving: &[ReplicaId],
) -> Option<Broken> {
    let EngineCount { wanted, leaving: who } = engine.count.as_ref()?;
    let wanted = *wanted;
    let is_unique = leaving.iter().collect::<BTreeSet<_>>().len() == leaving.len();
    let is_predicted = match who {
        Leaving::Predicted(ids) => ids.starts_with(leaving),
        Leaving::Chosen => true,
    };
    let is_right = if to > wanted {
        to <= desired && leaving.is_empty()
    } else {
        // What the engine has not begun yet leaves without a name.
        let present = engine.replicas.iter().filter(|r| r.phase != Phase::Stopping).count();
        let unbegun = (wanted as usize).saturating_sub(present);
        let unnamed = unbegun.min(wanted.saturating_sub(desired) as usize);
        let fewer = wanted.saturating_sub(to) as usize;
        to < wanted && to >= desired && fewer == leaving.len() + unnamed
    };
    let wrong = Broken::WrongCount { from: wanted, to, desired };
    (!(is_right && is_unique && is_predicted)).then_some(wrong)
}

/// No working replica leaves.
fn check_leaving(
    policy: &Policy,
    observation: &Observation,
    there: &There<'_>,
    leaving: &[ReplicaId],
) -> Option<Broken> {
    let balancer = observation.balancer.as_ref();
    let report = balancer.and_then(|b| fresh(b, observation.at, policy.timing.stale_after_ms));
    leaving.iter().find_map(|id| match there.get(id) {
        None => Some(Broken::TouchesForeign(id.clone())),
        Some(replica) => leaves_badly(replica, balancer.is_some(), report),
    })
}

fn leaves_badly(
    replica: &ReplicaReport,
    balanced: bool,
    report: Option<&BalancerReport>,
) -> Option<Broken> {
    let id = replica.id.clone();
    if replica.protected {
        return Some(Broken::RemovesProtected(id));
    }
    let served = matches!(replica.phase, Phase::Ready | Phase::Unhealthy);
    if !served || !balanced {
        return None;
    }
    let Some(report) = report else { return Some(Broken::RemovesUnseen(id)) };
    let routed = report.servers.get(&id).is_some_and(|s| s.route == Route::Routed);
    routed.then_some(Broken::StopsUndrained(id))
}

fn check_step(
    policy: &Policy,
    observation: &Observation,
    there: &There<'_>,
    step: &Step,
    is_none_wanted: bool,
) -> Option<Broken> {
    let id = step.replica()?.clone();
    let replica = there.get(&id).copied();
    let balancer = observation.balancer.as_ref();
    let report = balancer.and_then(|b| fresh(b, observation.at, policy.timing.stale_after_ms));
    let server = report.and_then(|r| r.servers.get(&id));
    let ready = |r: &ReplicaReport| r.phase == Phase::Ready;
    // One that says that it cannot serve may still have requests.
    let served = |r: &ReplicaReport| matches!(r.phase, Phase::Ready | Phase::Unhealthy);
    // Its owner keeps it from a smaller count, and lets it sleep.
    let sleeps = |r: &ReplicaReport| is_none_wanted && policy.sleep.is_some() && r.may_sleep;
    match step {
        Step::Start { .. } => replica.is_some().then_some(Broken::TouchesForeign(id)),
        Step::Route { .. } => (!replica.is_some_and(ready)).then_some(Broken::RoutesUnready(id)),
        // Out of rotation is not removed.
        Step::Drain { .. }
            if replica.is_some_and(|r| r.phase == Phase::Unhealthy)
                || observation.failing.contains_key(&id) =>
        {
            report.is_none().then_some(Broken::RemovesUnseen(id))
        }
        _ if replica.is_some_and(|r| r.protected && !sleeps(r) && r.phase != Phase::Stopping) => {
            Some(Broken::RemovesProtected(id))
        }
        _ if replica.is_none() && server.is_none() => Some(Broken::TouchesForeign(id)),
        _ if replica.is_some_and(served) && balancer.is_some() && report.is_none() => {
            Some(Broken::RemovesUnseen(id))
        }
        Step::Stop { why: StopReason::DrainLimit, .. }
        | Step::Drain { .. }
        | Step::Scale { .. } => None,
        Step::Stop { .. } => {
            let working = server.is_some_and(|s| s.route == Route::Routed || s.in_flight > 0);
            (replica.is_some_and(served) && working).then_some(Broken::StopsUndrained(id))
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds(count) => write!(f, "{count} is outside the bounds"),
            Self::DoesNotAddUp(what) => write!(f, "does not add up: {what}"),
            Self::ActsBlind(step) => write!(f, "acts without a reading from the engine: {step}"),
            Self::RemovesUnseen(id) => {
                write!(f, "removes {id} without a reading from the balancer")
            }
            Self::AsksTwice { starts, missing } => {
                write!(f, "starts {starts}, but {missing} are missing")
            }
            Self::RoutesUnready(id) => write!(f, "routes {id} before it is ready"),
            Self::StopsUndrained(id) => write!(f, "stops {id} before it was drained"),
            Self::TouchesForeign(id) => {
                write!(f, "touches {id}, which is not a replica of flyball's to touch")
            }
            Self::RemovesProtected(id) => write!(f, "removes {id}, which is protected"),
            Self::WrongWay(step) => write!(f, "this engine does not take such a step: {step}"),
            Self::DisturbsBusy(step) => write!(f, "disturbs a busy engine: {step}"),
            Self::WrongCount { from, to, desired } => {
                write!(f, "scales the engine to {to} after {from}, but {desired} are wanted")
            }
            Self::Disordered => f.write_str("steps are out of order"),
        }
    }
}
