//! The ordered, fully specified steps that bring a service to its count. A routed replica is
//! drained before it is stopped, and the same observation gives the same plan, so that carrying it
//! out twice changes nothing more.

mod rollout;
mod scale;
mod sick;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::generation::Generation;
use crate::memory::{Failures, Memory};
use crate::observation::{
    BalancerReport, EngineReport, Observation, Phase, Reading, ReplicaReport, Route, ServerReport,
};
use crate::policy::Policy;
use crate::rollout::Rollout;
use crate::trouble::FailedStarts;
use crate::units::{ReplicaId, Timestamp};
use rollout::Direction;

/// One action, to be tried once; whether it worked is seen on the next look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Start a replica of this name; nothing if it exists already.
    Start {
        /// Its name.
        replica: ReplicaId,
        /// What it is to be made as; `None` where the engine knows no generations.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<Generation>,
    },
    /// Send requests to a ready replica, also one that was draining.
    Route {
        /// Its name.
        replica: ReplicaId,
        /// Where it serves.
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        address: SocketAddr,
    },
    /// Send a replica no more requests and let it finish those it has. The balancer forgets it
    /// once the last one ended.
    Drain {
        /// Its name.
        replica: ReplicaId,
    },
    /// Ask a replica to end, then make it end.
    Stop {
        /// Its name.
        replica: ReplicaId,
        /// Why, for the log.
        why: StopReason,
    },
    /// Tell an engine that keeps a count of its own how many replicas to run.
    Scale {
        /// So many.
        to: u32,
        /// Who leaves, as far as that can be named or predicted; empty when the count rises. Fewer
        /// than the difference where the engine has not begun some of what it was told to run.
        leaving: Vec<ReplicaId>,
    },
}

/// Why a replica is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had not served yet and is not needed any more.
    NotNeeded,
    /// It finished its last request.
    Drained,
    /// It did not finish its requests within the drain limit.
    DrainLimit,
    /// It did not become ready within the start limit.
    NeverReady,
    /// It says that it cannot serve, and others serve in its place.
    Unhealthy,
}

/// Replicas that are wanted but not started yet, because the last ones kept failing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeldStarts {
    /// How many.
    pub count: u32,
    /// How many starts failed one after another.
    pub failures: u32,
    /// When the next one is tried.
    pub until: Timestamp,
    /// What the last failed one said.
    pub why: String,
}

impl From<&HeldStarts> for FailedStarts {
    fn from(held: &HeldStarts) -> Self {
        Self { count: held.failures, why: held.why.clone() }
    }
}

impl Step {
    /// The replica it acts on; `None` for a count, which is the whole service's.
    pub fn replica(&self) -> Option<&ReplicaId> {
        match self {
            Self::Start { replica, .. }
            | Self::Route { replica, .. }
            | Self::Drain { replica }
            | Self::Stop { replica, .. } => Some(replica),
            Self::Scale { .. } => None,
        }
    }

    /// What it does, in one word.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Route { .. } => "route",
            Self::Drain { .. } => "drain",
            Self::Stop { .. } => "stop",
            Self::Scale { .. } => "scale",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { replica, .. } => write!(f, "start {replica}"),
            Self::Route { replica, address } => write!(f, "route {replica} at {address}"),
            Self::Drain { replica } => write!(f, "drain {replica}"),
            Self::Stop { replica, why } => write!(f, "stop {replica} ({why})"),
            Self::Scale { to, leaving } if leaving.is_empty() => write!(f, "scale to {to}"),
            Self::Scale { to, leaving } => {
                let names: Vec<&str> = leaving.iter().map(ReplicaId::as_str).collect();
                write!(f, "scale to {to} without {}", names.join(", "))
            }
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNeeded => "not needed",
            Self::Drained => "drained",
            Self::DrainLimit => "drain limit passed",
            Self::NeverReady => "never became ready",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// What to do, and what is not done yet.
pub(crate) struct Planned {
    pub(crate) steps: Vec<Step>,
    pub(crate) held_starts: Option<HeldStarts>,
    pub(crate) rollout: Option<Rollout>,
}

/// The steps towards `desired`, and which starts are put off. Of what there is beyond `desired`,
/// nothing is taken away down to `kept`.
///
/// Empty while the engine's report is stale: what cannot be seen is not touched.
pub(crate) fn plan(
    policy: &Policy,
    memory: &mut Memory,
    observation: &Observation,
    desired: u32,
    kept: u32,
) -> Planned {
    let Some(view) = View::of(policy, observation) else {
        return Planned { steps: Vec::new(), held_starts: None, rollout: None };
    };
    let direction = Direction::of(&view, memory, observation.rollout, size(desired), size(kept));
    let rollout = rollout::report(&view, memory, &direction);
    let mut steps = BTreeSet::new();
    // While the engine changes replicas itself, only the balancer is kept in step with it.
    let held_starts = match (&view.engine.busy, &view.engine.count) {
        (Some(_), _) => None,
        (None, None) => resize(&view, memory, size(desired), &direction, &mut steps),
        (None, Some(count)) => {
            let asked = scale::Asked { desired, kept: kept.max(desired) };
            scale::scale(&view, memory, count, asked, &mut steps)
        }
    };
    route(&view, memory, &mut steps);
    sick::drain_strays(&view, memory, &mut steps);
    Planned { steps: steps.into_iter().collect(), held_starts, rollout }
}

/// Starts what is missing, takes away what is too much, ends what has drained.
fn resize(
    view: &View<'_>,
    memory: &mut Memory,
    desired: usize,
    direction: &Direction,
    steps: &mut BTreeSet<Step>,
) -> Option<HeldStarts> {
    give_up_late_starts(view, memory, steps);
    let there = view.committed(memory).len() + unseen_starts(view, memory);
    let leaving = memory.plan.draining.len();
    let missing = desired.saturating_sub(there);
    let missing = missing - take_back(view, memory, missing);
    let extra = direction.extra(there, leaving);
    let starts = missing.min(view.room(memory, missing)) + extra;
    let held = start(view, memory, starts, direction.generation, steps);
    if held.is_none() {
        memory.rollout.successors += extra;
    }
    remove(view, memory, direction, steps);
    sick::retire(view, memory, desired, steps);
    finish_drains(view, memory, steps);
    held
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What the plan may act on: a fresh engine report, and a balancer's if that is fresh too.
struct View<'a> {
    policy: &'a Policy,
    now: Timestamp,
    /// When the engine's report was made.
    at: Timestamp,
    engine: &'a EngineReport,
    /// The same in the order of their names.
    replicas: Vec<&'a ReplicaReport>,
    balancer: BalancerView<'a>,
}

enum BalancerView<'a> {
    /// The service has none: replicas are reached some other way.
    None,
    /// It has one that says nothing: its servers are unknown.
    Unknown,
    /// Its servers as they were at that time.
    Known(Timestamp, &'a BalancerReport),
}

impl<'a> View<'a> {
    fn of(policy: &'a Policy, observation: &'a Observation) -> Option<Self> {
        let now = observation.at;
        let limit_ms = policy.timing.stale_after_ms;
        let balancer = match &observation.balancer {
            None => BalancerView::None,
            Some(Reading::Taken { at, value }) if now.ms_since(*at) <= limit_ms => {
                BalancerView::Known(*at, value)
            }
            Some(_) => BalancerView::Unknown,
        };
        let Reading::Taken { at, value: engine } = &observation.engine else { return None };
        if now.ms_since(*at) > limit_ms {
            return None;
        }
        let mut replicas: Vec<&ReplicaReport> = engine.replicas.iter().collect();
        replicas.sort_by(|a, b| a.id.cmp(&b.id));
        Some(Self { policy, now, at: *at, engine, replicas, balancer })
    }

    /// Replicas that count as capacity: ready or starting, and not draining. One that has had its
    /// time and may not be stopped is none: another takes its place.
    fn committed(&self, memory: &Memory) -> Vec<&'a ReplicaReport> {
        let counts = |r: &&ReplicaReport| match r.phase {
            Phase::Starting => !(r.protected && self.is_overdue(memory, r)),
            Phase::Ready => !memory.plan.draining.contains_key(&r.id),
            Phase::Unhealthy | Phase::Stopping => false,
        };
        self.engine.replicas.iter().filter(counts).collect()
    }

    fn is_overdue(&self, memory: &Memory, replica: &ReplicaReport) -> bool {
        memory.is_overdue(&self.policy.timing, self.now, replica)
    }

    /// How many of `missing` replicas may start beside those that exist and do not serve: all
    /// of them as long as no more than `max` exist, and one beyond that, so that a service at its
    /// ceiling gets a replacement, too. Whatever ails them all (a database that is away, a wrong
    /// port) would otherwise double the service.
    fn room(&self, memory: &Memory, missing: usize) -> usize {
        let there = self.engine.replicas.iter().filter(|r| r.phase != Phase::Stopping).count();
        let stuck = |r: &ReplicaReport| r.protected && self.is_overdue(memory, r);
        if self.unhealthy().next().is_none() && !self.engine.replicas.iter().any(stuck) {
            return missing;
        }
        size(self.policy.bounds.max).saturating_add(1).saturating_sub(there)
    }

    /// Whether a replica that drains since then has no request left. A report of the balancer from
    /// before the drain says nothing about it.
    fn has_drained(&self, id: &ReplicaId, since: Timestamp) -> bool {
        let BalancerView::Known(at, report) = self.balancer else { return false };
        let idle = |server: &ServerReport| server.route == Route::Draining && server.in_flight == 0;
        at > since && report.servers.get(id).is_none_or(idle)
    }

    fn drain_is_over(&self, since: Timestamp) -> bool {
        self.now.ms_since(since) >= self.policy.timing.drain_limit_ms
    }

    fn unhealthy(&self) -> impl Iterator<Item = &'a ReplicaReport> {
        self.engine.replicas.iter().filter(|r| r.phase == Phase::Unhealthy)
    }

    fn replica(&self, id: &ReplicaId) -> Option<&'a ReplicaReport> {
        let place = self.replicas.binary_search_by(|replica| replica.id.cmp(id)).ok()?;
        self.replicas.get(place).copied()
    }

    fn server(&self, id: &ReplicaId) -> Option<&'a ServerReport> {
        match self.balancer {
            BalancerView::Known(_, report) => report.servers.get(id),
            BalancerView::None | BalancerView::Unknown => None,
        }
    }
}

/// A replica that did not become ready in time is a failed start, and ended. One that is protected
/// stays: its owner started it, and only its owner may end it.
fn give_up_late_starts(view: &View<'_>, memory: &mut Memory, steps: &mut BTreeSet<Step>) {
    for replica in &view.engine.replicas {
        if replica.protected || !view.is_overdue(memory, replica) {
            continue;
        }
        let why = StopReason::NeverReady;
        if steps.insert(Step::Stop { replica: replica.id.clone(), why }) {
            let answered = view.engine.not_ready.get(&replica.id);
            if let Some(why) = memory.plan.give_up(view.now, replica, answered) {
                memory.rollout.give_up(&replica.id, &why);
            }
        }
    }
}

/// Replicas that were asked for after the engine's report was made: it cannot show them yet, and
/// they are on their way. A later report without them says that the order was lost.
fn unseen_starts(view: &View<'_>, memory: &mut Memory) -> usize {
    memory.plan.asked.retain(|_, asked_at| view.at <= *asked_at);
    memory.plan.asked.keys().filter(|id| view.replica(id).is_none()).count()
}

/// Draining replicas that are needed again are the quickest capacity there is; the one that began
/// last comes back first. Returns how many came back; `route` sends them requests again.
fn take_back(view: &View<'_>, memory: &mut Memory, missing: usize) -> usize {
    let mut draining: Vec<(Timestamp, ReplicaId)> = memory
        .plan
        .draining
        .iter()
        .filter(|(id, _)| view.replica(id).is_some_and(|r| r.phase == Phase::Ready))
        .map(|(id, since)| (*since, id.clone()))
        .collect();
    draining.sort();
    let back: Vec<_> = draining.into_iter().rev().take(missing).collect();
    for (_, id) in &back {
        memory.plan.draining.remove(id);
    }
    back.len()
}

/// Names the missing replicas. While starts keep failing only one is tried, at its time.
fn start(
    view: &View<'_>,
    memory: &mut Memory,
    missing: usize,
    generation: Option<Generation>,
    steps: &mut BTreeSet<Step>,
) -> Option<HeldStarts> {
    let (allowed, held) = allowed_starts(view, &memory.plan.failures, missing);
    for _ in 0..allowed {
        let replica = free_name(view, memory);
        memory.plan.asked.insert(replica.clone(), view.now);
        if let Some(generation) = generation {
            memory.rollout.start(&replica, generation);
        }
        steps.insert(Step::Start { replica, generation });
    }
    held
}

/// The next name that is free.
fn free_name(view: &View<'_>, memory: &mut Memory) -> ReplicaId {
    loop {
        let name = ReplicaId::numbered(&view.policy.service, memory.plan.next_number);
        memory.plan.next_number += 1;
        if view.replica(&name).is_none() && view.server(&name).is_none() {
            return name;
        }
    }
}

/// How many of `missing` replicas may start now, and what is held back.
fn allowed_starts(
    view: &View<'_>,
    failures: &Failures,
    missing: usize,
) -> (usize, Option<HeldStarts>) {
    let allowed = match failures.count {
        _ if view.now < failures.retry_at => 0,
        0..Failures::FREE => missing,
        _ if !view.starting() => missing.min(1),
        _ => 0,
    };
    let held = (missing > allowed).then(|| HeldStarts {
        count: u32::try_from(missing - allowed).unwrap_or(u32::MAX),
        failures: failures.count,
        until: failures.retry_at,
        why: failures.why.clone(),
    });
    (allowed, held)
}

impl View<'_> {
    fn starting(&self) -> bool {
        self.engine.replicas.iter().any(|r| r.phase == Phase::Starting)
    }
}

/// Takes away what is beyond the count: first what is not made as new replicas are, then what is still
/// starting, then what has the fewest requests; of equals the youngest. One that serves goes only for one that serves: what starts and
/// may not be taken away (somebody else's container) may never get that far.
fn remove(view: &View<'_>, memory: &mut Memory, direction: &Direction, steps: &mut BTreeSet<Step>) {
    let kept = direction.count;
    let mut victims = view.committed(memory);
    direction.spare_new(&mut victims);
    let mut surplus = victims.len().saturating_sub(kept);
    if surplus == 0 {
        return;
    }
    let ready = victims.iter().filter(|r| r.phase == Phase::Ready).count();
    let mut ready_surplus = ready.saturating_sub(kept);
    let given_up: BTreeSet<ReplicaId> = steps.iter().filter_map(Step::replica).cloned().collect();
    victims.retain(|r| !r.protected && !given_up.contains(&r.id));
    victims.sort_by_key(|r| {
        let in_flight = view.server(&r.id).map_or(0, |s| s.in_flight);
        let is_current = direction.is_current(r);
        (is_current, r.phase, in_flight, std::cmp::Reverse(r.asked_at), r.id.clone())
    });
    for victim in victims {
        let replica = victim.id.clone();
        let routed = victim.phase == Phase::Ready;
        if surplus == 0 || routed && ready_surplus == 0 {
            return;
        }
        surplus -= 1;
        ready_surplus -= usize::from(routed);
        match view.balancer {
            // Whether it has requests cannot be known: it stays.
            BalancerView::Unknown if routed => continue,
            BalancerView::Known(..) if routed => {
                memory.plan.draining.insert(replica.clone(), view.now);
                note_removal(view, memory, direction);
                steps.insert(Step::Drain { replica });
            }
            _ => {
                note_removal(view, memory, direction);
                steps.insert(Step::Stop { replica, why: StopReason::NotNeeded });
            }
        }
    }
}

/// One that makes room for its successor says nothing of how many are needed.
fn note_removal(view: &View<'_>, memory: &mut Memory, direction: &Direction) {
    if direction.surge == 0 {
        memory.plan.removed_at = Some(view.now);
    } else {
        memory.rollout.successors = memory.rollout.successors.saturating_sub(1);
    }
}

/// Every ready replica that is not draining gets requests. One that the balancer had from an
/// earlier run is routed once more: its server may stand for an address of the past.
fn route(view: &View<'_>, memory: &mut Memory, steps: &mut BTreeSet<Step>) {
    let BalancerView::Known(_, report) = view.balancer else { return };
    forget_routes(view, memory);
    let last = sick::last(view, memory);
    for replica in view.committed(memory).into_iter().chain(last) {
        let Some(address) = replica.address.filter(|_| replica.phase != Phase::Starting) else {
            continue;
        };
        let routed = report.servers.get(&replica.id).is_some_and(|s| s.route == Route::Routed);
        let ordered = memory.plan.routed.get(&replica.id) == Some(&address);
        if !ordered {
            memory.plan.routed.insert(replica.id.clone(), address);
        }
        if !(routed && ordered) {
            steps.insert(Step::Route { replica: replica.id.clone(), address });
        }
    }
}

/// Both are in the order of names, so that one walk along them is enough.
fn forget_routes(view: &View<'_>, memory: &mut Memory) {
    let mut there = view.replicas.iter().map(|replica| &replica.id).peekable();
    memory.plan.routed.retain(|id, _| {
        while there.next_if(|there| *there < id).is_some() {}
        there.peek() == Some(&id)
    });
}

/// Stops what has drained; repeats a drain that did not take.
fn finish_drains(view: &View<'_>, memory: &Memory, steps: &mut BTreeSet<Step>) {
    let BalancerView::Known(_, report) = view.balancer else { return };
    let served = |r: &ReplicaReport| matches!(r.phase, Phase::Ready | Phase::Unhealthy);
    let there = |id: &ReplicaId| view.replica(id).is_some_and(served);
    let begun = memory.plan.draining.iter().filter(|(_, since)| **since < view.now);
    for (id, since) in begun.filter(|(id, _)| there(id)) {
        let server = report.servers.get(id);
        let idle = view.has_drained(id, *since);
        let over = view.drain_is_over(*since);
        if idle {
            steps.insert(Step::Stop { replica: id.clone(), why: StopReason::Drained });
        } else if over {
            steps.insert(Step::Stop { replica: id.clone(), why: StopReason::DrainLimit });
        } else if server.is_some_and(|s| s.route == Route::Routed) {
            steps.insert(Step::Drain { replica: id.clone() });
        }
    }
}
