//! What may never happen, seen from outside: by the core's own checks, and by what only the world
//! knows. Knows the truth, the observation and the decision; nothing of how it was made. A check
//! never depends on flyball's memory.

use std::collections::BTreeMap;
use std::fmt;

use flyball_core::decision::Decision;
use flyball_core::invariants::{self, Broken};
use flyball_core::observation::{Observation, Phase, Route};
use flyball_core::plan::{Step, StopReason};
use flyball_core::policy::Policy;
use flyball_core::rollout::{Rollout, RolloutState};
use flyball_core::units::{ReplicaId, Timestamp};

use super::super::requests::World;
use super::super::requests::arrivals::MS;
use super::super::requests::replica::Replica;

/// Something that may never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// One of the core's invariants.
    Core(Broken),
    /// A replica is stopped with requests in flight before its drain limit.
    StopsAtWork(ReplicaId),
    /// A replica that has not passed its readiness probe is to get requests.
    RoutesUnready(ReplicaId),
    /// A replica is removed on readings that are stale or missing.
    RemovesBlind(ReplicaId),
    /// A replica is removed before the hold window is full after a restart.
    RemovesTooSoon(ReplicaId),
    /// The floor is not restored, and nothing is said that explains it.
    FloorNotRestored {
        /// Replicas that there are or that are asked for.
        have: u32,
    },
    /// More replicas than wanted are on their way.
    AsksTwice {
        /// Replicas wanted.
        desired: u32,
        /// Replicas that will be there.
        coming: usize,
    },
    /// A plan has more steps than there is to act on.
    PlanUnbounded(usize),
}

/// What is watched from look to look.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The first look of this life of flyball.
    since: Option<Timestamp>,
    /// When each drain was first ordered.
    drains: BTreeMap<ReplicaId, Timestamp>,
    /// When each start was ordered.
    starts: BTreeMap<ReplicaId, Timestamp>,
}

impl Watch {
    /// Flyball restarted.
    pub(super) fn restarted(&mut self) {
        *self = Self::default();
    }

    /// Checks one look before its plan is carried out.
    pub(super) fn check(
        &mut self,
        policy: &Policy,
        seen: &Observation,
        decision: &Decision,
        world: &World,
    ) -> Result<(), Breach> {
        self.since.get_or_insert(seen.at);
        if let Some(broken) = invariants::check(policy, seen, decision).into_iter().next() {
            return Err(Breach::Core(broken));
        }
        let unseen = self.unseen_starts(seen);
        self.note(seen.at, decision);
        let look = Look { policy, seen, decision, world };
        for step in &decision.plan {
            self.check_step(&look, step)?;
        }
        look.floor(unseen)?;
        look.plan_bounded()?;
        self.asks_once(&look)
    }

    /// Starts that were ordered after the engine's report was made.
    fn unseen_starts(&self, seen: &Observation) -> usize {
        let age_ms = seen.engine.age_ms(seen.at);
        let shown = |id: &ReplicaId| {
            seen.engine.value().is_some_and(|e| e.replicas.iter().any(|r| r.id == *id))
        };
        let unseen =
            |(id, at): &(&ReplicaId, &Timestamp)| seen.at.ms_since(**at) <= age_ms && !shown(id);
        self.starts.iter().filter(unseen).count()
    }

    fn note(&mut self, now: Timestamp, decision: &Decision) {
        for step in &decision.plan {
            match step {
                Step::Drain { replica } => {
                    self.drains.entry(replica.clone()).or_insert(now);
                }
                Step::Route { replica, .. } => {
                    self.drains.remove(replica);
                }
                Step::Start { replica, .. } => {
                    self.starts.insert(replica.clone(), now);
                }
                Step::Stop { .. } | Step::Scale { .. } => {}
            }
        }
    }

    fn check_step(&self, look: &Look<'_>, step: &Step) -> Result<(), Breach> {
        let Some(id) = step.replica() else { return Ok(()) };
        let Some(replica) = look.truth(id) else { return Ok(()) };
        match step {
            Step::Start { .. } | Step::Scale { .. } => Ok(()),
            Step::Route { .. } => match replica.phase {
                Some(Phase::Starting) => Err(Breach::RoutesUnready(id.clone())),
                _ => Ok(()),
            },
            Step::Drain { .. } => self.removal(look, replica),
            Step::Stop { why: StopReason::NotNeeded, .. } => {
                self.stop(look, replica, false)?;
                self.removal(look, replica)
            }
            Step::Stop { why, .. } => self.stop(look, replica, *why == StopReason::DrainLimit),
        }
    }

    /// Only without a balancer, or once the drain limit has passed, may there be requests.
    fn stop(&self, look: &Look<'_>, replica: &Replica, by_limit: bool) -> Result<(), Breach> {
        let working = replica.phase == Some(Phase::Ready) && replica.in_flight > 0;
        let limit_ms = look.policy.timing.drain_limit_ms;
        let begun = self.drains.get(&replica.id);
        let over = begun.is_none_or(|since| look.seen.at.ms_since(*since) >= limit_ms);
        if working && look.seen.balancer.is_some() && !(by_limit && over) {
            return Err(Breach::StopsAtWork(replica.id.clone()));
        }
        Ok(())
    }

    /// A removal that nobody asked for by hand, of a replica that could have stayed.
    fn removal(&self, look: &Look<'_>, replica: &Replica) -> Result<(), Breach> {
        if look.is_succeeded(&replica.id) {
            return Ok(());
        }
        let stays = matches!(replica.phase, Some(Phase::Starting | Phase::Ready));
        let excess = look.decision.signals.committed() > look.policy.bounds.max;
        if !stays || excess || look.seen.manual.is_some() {
            return Ok(());
        }
        let now = look.seen.at;
        let limit_ms = look.policy.timing.stale_after_ms;
        let balancer = look.seen.balancer.as_ref();
        if balancer.is_some_and(|balancer| balancer.fresh(now, limit_ms).is_none()) {
            return Err(Breach::RemovesBlind(replica.id.clone()));
        }
        let (Some(hold_ms), Some(since)) = (look.policy.rule.hold_ms(), self.since) else {
            return Ok(());
        };
        // One that an earlier life began to drain goes on draining.
        let adopted = replica.route == Some(Route::Draining);
        // A drain whose order was lost was checked when it was first ordered.
        let repeated = self.drains.get(&replica.id).is_some_and(|first| *first < now);
        if !adopted && !repeated && now.ms_since(since) < hold_ms {
            return Err(Breach::RemovesTooSoon(replica.id.clone()));
        }
        Ok(())
    }

    /// What is really on its way, and this plan's starts, are no more than is wanted.
    fn asks_once(&self, look: &Look<'_>) -> Result<(), Breach> {
        let stays = |replica: &&Replica| match replica.phase {
            // One that had its time and may not be stopped is none that is coming.
            Some(Phase::Starting) => !(replica.protected && look.is_late(replica)),
            Some(Phase::Ready) => !self.drains.contains_key(&replica.id),
            // No engine of this world checks health after readiness.
            Some(Phase::Unhealthy | Phase::Stopping) | None => false,
        };
        // What others start is known once it shows.
        let engine = look.seen.engine.value();
        let known = |replica: &&Replica| {
            let shown = engine.is_some_and(|e| e.replicas.iter().any(|r| r.id == replica.id));
            shown || self.starts.contains_key(&replica.id)
        };
        // One that is there already is not started again: the order is idempotent.
        let new = |step: &&Step| matches!(step, Step::Start { replica, .. } if look.truth(replica).is_none());
        let starts = look.decision.plan.iter().filter(new).count();
        let coming = look.world.replicas.iter().filter(stays).filter(known).count() + starts;
        let desired = look.decision.desired;
        // With a surplus that stays for now, the successors of the old ones come on top of it.
        let surge = look.surge();
        let kept = if surge > 0 { coming - starts } else { 0 };
        if starts > 0 && coming > kept.max(desired as usize) + surge {
            return Err(Breach::AsksTwice { desired, coming });
        }
        Ok(())
    }
}

struct Look<'a> {
    policy: &'a Policy,
    seen: &'a Observation,
    decision: &'a Decision,
    world: &'a World,
}

impl<'a> Look<'a> {
    fn truth(&self, id: &ReplicaId) -> Option<&'a Replica> {
        self.world.replicas.iter().find(|replica| replica.exists() && replica.id == *id)
    }

    fn is_late(&self, replica: &Replica) -> bool {
        let asked_at = Timestamp::from_ms(replica.asked_ns / MS);
        self.seen.at.ms_since(asked_at) > self.policy.timing.start_limit_ms
    }

    fn rolls(&self) -> Option<&Rollout> {
        self.decision.rollout.as_ref().filter(|rollout| rollout.state == RolloutState::Rolling)
    }

    /// How many may be on their way beyond the count, to replace others.
    fn surge(&self) -> usize {
        let count = self.decision.desired.max(self.decision.signals.committed());
        self.rolls().map_or(0, |_| self.policy.rollout.surge.of(count) as usize)
    }

    /// Whether `id` is of an old generation and more than enough others are ready; for one that has
    /// not served yet, whether more than enough others are there.
    fn is_succeeded(&self, id: &ReplicaId) -> bool {
        let Some(rollout) = self.rolls() else { return false };
        let engine = self.seen.engine.value();
        let shown = engine.and_then(|e| e.replicas.iter().find(|r| r.id == *id));
        let old = shown.filter(|r| r.generation.is_some_and(|g| g != rollout.to));
        let signals = &self.decision.signals;
        old.is_some_and(|replica| match replica.phase {
            Phase::Starting => signals.committed() > self.decision.desired,
            _ => signals.ready > self.decision.desired,
        })
    }

    fn starts(&self) -> usize {
        self.decision.plan.iter().filter(|step| matches!(step, Step::Start { .. })).count()
    }

    fn floor(&self, unseen: usize) -> Result<(), Breach> {
        let engine = self.seen.engine.fresh(self.seen.at, self.policy.timing.stale_after_ms);
        let Some(engine) = engine.filter(|engine| engine.busy.is_none()) else { return Ok(()) };
        let held = self.decision.held_starts.as_ref().map_or(0, |held| held.count);
        let leaving = |replica: &ReplicaId| {
            self.decision.plan.iter().any(|step| {
                let leaves = matches!(step, Step::Drain { .. } | Step::Stop { .. });
                leaves && step.replica() == Some(replica)
            })
        };
        let stays = engine
            .replicas
            .iter()
            .filter(|replica| replica.phase != Phase::Stopping && !leaving(&replica.id))
            .count();
        let have = u32::try_from(stays + self.starts() + unseen).unwrap_or(u32::MAX);
        let late = self
            .decision
            .plan
            .iter()
            .any(|step| matches!(step, Step::Stop { why: StopReason::NeverReady, .. }));
        if have.saturating_add(held) < self.policy.bounds.min && !late {
            return Err(Breach::FloorNotRestored { have });
        }
        Ok(())
    }

    fn plan_bounded(&self) -> Result<(), Breach> {
        let replicas = self.seen.engine.value().map_or(0, |engine| engine.replicas.len());
        let balancer = self.seen.balancer.as_ref().and_then(|balancer| balancer.value());
        let servers = balancer.map_or(0, |balancer| balancer.servers.len());
        let steps = self.decision.plan.len();
        if steps > replicas + servers + self.policy.bounds.max as usize {
            return Err(Breach::PlanUnbounded(steps));
        }
        Ok(())
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(broken) => broken.fmt(f),
            Self::StopsAtWork(id) => write!(f, "stops {id} with requests in flight"),
            Self::RoutesUnready(id) => write!(f, "routes {id} before it is ready"),
            Self::RemovesBlind(id) => write!(f, "removes {id} on stale or missing readings"),
            Self::RemovesTooSoon(id) => write!(f, "removes {id} too soon after a restart"),
            Self::FloorNotRestored { have } => write!(f, "{have} replicas are below the minimum"),
            Self::AsksTwice { desired, coming } => {
                write!(f, "{coming} replicas are coming, but {desired} are wanted")
            }
            Self::PlanUnbounded(steps) => write!(f, "a plan of {steps} steps"),
        }
    }
}
