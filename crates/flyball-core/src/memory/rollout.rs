//! Which generation replicas are to have, and how many of it have failed.

use std::collections::BTreeSet;

use crate::generation::Generation;
use crate::observation::{EngineReport, Exit, Phase, ReplicaReport};
use crate::rollout::{RolloutOrder, RolloutPolicy, Update};
use crate::units::{ReplicaId, Timestamp};

/// A new replica that has served for so long has not failed; the same time as in `failures`.
const STEADY_MS: u64 = 10_000;
/// New replicas whose end counts against their generation. Far above any surge; the oldest names
/// go first.
const TRIED_MAX: usize = 256;

/// What the plan remembers of rollouts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RolloutMemory {
    /// What is being rolled out, or was last; `None` where the engine knows no generations.
    pub(crate) target: Option<Target>,
    newest_exit: Option<Timestamp>,
    /// Replicas that were started to replace others which have not left yet.
    pub(crate) successors: usize,
    /// What the run before a restart was at, until the first look.
    recalled: Option<Recalled>,
}

/// A rollout that went on when flyball ended.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Recalled {
    to: Generation,
    /// How many replicas were wanted.
    desired: u32,
}

/// The generation that replicas are to have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) generation: Generation,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Its replicas that failed since one of them served for [`STEADY_MS`].
    pub(crate) failed: BTreeSet<ReplicaId>,
    /// What the last of them said; empty if none failed.
    pub(crate) why: String,
    /// When so many had failed that it was given up.
    pub(crate) aborted_at: Option<Timestamp>,
    /// Its replicas that were started by the plan or seen to start.
    tried: BTreeSet<ReplicaId>,
}

/// One look, as far as rollouts depend on it.
pub(crate) struct RolloutLook<'a> {
    pub(crate) now: Timestamp,
    pub(crate) policy: RolloutPolicy,
    pub(crate) order: RolloutOrder,
    pub(crate) engine: &'a EngineReport,
    /// Replicas that count as capacity.
    pub(crate) committed: usize,
}

impl RolloutMemory {
    /// Takes in one look. True if the rollout was given up by it.
    pub(super) fn follow(&mut self, look: &RolloutLook<'_>) -> bool {
        let newest = self.newest_exit;
        self.newest_exit = look.engine.exits.iter().map(|exit| exit.at).max().max(newest);
        self.forget_lost(look.engine);
        let Some(offered) = look.engine.generation else {
            self.target = None;
            return false;
        };
        let wanted = wanted(look, offered);
        let known = self.target.take().filter(|target| target.generation == wanted);
        let target = self.target.insert(known.unwrap_or_else(|| Target::new(wanted, look.now)));
        target.retry(look.order);
        let recalled = self.recalled.take().filter(|recalled| recalled.to == wanted);
        if let Some(recalled) = recalled {
            self.successors = successors(look, recalled);
        }
        let exits = look.engine.exits.iter();
        target.follow(look, exits.filter(|exit| newest.is_none_or(|newest| exit.at > newest)))
    }

    pub(super) fn recall(&mut self, to: Generation, desired: u32) {
        self.recalled = Some(Recalled { to, desired });
    }

    /// Successors that ended, or were never started, replace nobody. Engines show what was asked for
    /// at the next look.
    fn forget_lost(&mut self, engine: &EngineReport) {
        let to = self.target.as_ref().map(|target| target.generation);
        let comes = |r: &&ReplicaReport| matches!(r.phase, Phase::Starting | Phase::Ready);
        let new = engine.replicas.iter().filter(comes).filter(|r| r.generation == to).count();
        self.successors = self.successors.min(new);
    }

    /// The plan starts `replica`, of `generation`.
    pub(crate) fn start(&mut self, replica: &ReplicaId, generation: Generation) {
        if let Some(target) = self.target.as_mut().filter(|t| t.generation == generation) {
            target.try_one(replica);
        }
    }

    /// `replica` was given up, because it did not become ready.
    pub(crate) fn give_up(&mut self, replica: &ReplicaId, why: &str) {
        if let Some(target) = self.target.as_mut().filter(|t| t.tried.contains(replica)) {
            target.fail(replica, why);
        }
    }
}

/// Of those that there are after a restart, how many came to replace others: what is there beyond the
/// count, as far as a rollout starts it.
fn successors(look: &RolloutLook<'_>, recalled: Recalled) -> usize {
    let comes = |r: &&ReplicaReport| matches!(r.phase, Phase::Starting | Phase::Ready);
    let is_new = |r: &&ReplicaReport| r.generation == Some(recalled.to) && !r.protected;
    let new = look.engine.replicas.iter().filter(comes).filter(is_new).count();
    let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let beyond = look.committed.saturating_sub(size(recalled.desired));
    beyond.min(new).min(size(look.policy.surge.of(recalled.desired)))
}

/// The generation that counts: what was rolled back to; what the engine offers, as far as that may
/// be rolled out; else what serves.
fn wanted(look: &RolloutLook<'_>, offered: Generation) -> Generation {
    let RolloutOrder { deployed, back_to, .. } = look.order;
    let may_roll = look.policy.update == Update::Auto
        || deployed.is_some_and(|deployed| deployed.generation == offered);
    match back_to {
        Some(back_to) => back_to,
        None if may_roll => offered,
        None => most_common(look.engine, |_| true).unwrap_or(offered),
    }
}

/// The generation that most replicas have of those that serve, or else start, and that `counts`; of
/// equals the one whose digest is larger, so that the answer does not depend on an order.
pub(crate) fn most_common(
    engine: &EngineReport,
    counts: impl Fn(Generation) -> bool,
) -> Option<Generation> {
    let with = |phase: Phase| {
        let there = engine.replicas.iter().filter(move |r| r.phase == phase);
        let mut all: Vec<Generation> =
            there.filter_map(|r| r.generation).filter(|g| counts(*g)).collect();
        all.sort_unstable();
        all.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).map(|same| same[0])
    };
    with(Phase::Ready).or_else(|| with(Phase::Starting))
}

impl Target {
    fn new(generation: Generation, now: Timestamp) -> Self {
        Self {
            generation,
            since: now,
            failed: BTreeSet::new(),
            why: String::new(),
            aborted_at: None,
            tried: BTreeSet::new(),
        }
    }

    /// An operator who deploys it again has mended what kept it from serving.
    fn retry(&mut self, order: RolloutOrder) {
        let again = order.deployed.filter(|deployed| deployed.generation == self.generation);
        if self.aborted_at.is_some_and(|aborted| again.is_some_and(|again| again.at > aborted)) {
            self.aborted_at = None;
            self.forgive();
        }
    }

    fn forgive(&mut self) {
        self.failed.clear();
        self.why.clear();
    }

    fn follow<'a>(
        &mut self,
        look: &RolloutLook<'_>,
        exits: impl Iterator<Item = &'a Exit>,
    ) -> bool {
        if self.aborted_at.is_some() {
            return false;
        }
        let own = |r: &&ReplicaReport| r.generation == Some(self.generation) && !r.protected;
        let mine: Vec<&ReplicaReport> = look.engine.replicas.iter().filter(own).collect();
        mine.iter().for_each(|replica| self.try_one(&replica.id));
        let steady = |r: &&&ReplicaReport| {
            r.phase == Phase::Ready
                && r.ready_at.is_some_and(|at| look.now.ms_since(at) >= STEADY_MS)
        };
        if mine.iter().any(|r| steady(&r) && r.asked_at >= self.since) {
            self.forgive();
        }
        for exit in exits.filter(|exit| self.tried.contains(&exit.replica)).collect::<Vec<_>>() {
            self.fail(&exit.replica, &format!("{}: {}", exit.replica, exit.reason));
        }
        // Without a replica of another generation there is nothing that could go on instead.
        let others = |r: &ReplicaReport| r.generation.is_some_and(|g| g != self.generation);
        let is_rollout = look.engine.replicas.iter().any(others);
        let failed = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
        let over = is_rollout && failed >= look.policy.abort_after.max(1);
        self.aborted_at = over.then_some(look.now);
        over
    }

    fn try_one(&mut self, replica: &ReplicaId) {
        if !self.tried.contains(replica) {
            if self.tried.len() >= TRIED_MAX {
                self.tried.pop_first();
            }
            self.tried.insert(replica.clone());
        }
    }

    fn fail(&mut self, replica: &ReplicaId, why: &str) {
        self.failed.insert(replica.clone());
        self.why = why.to_owned();
    }
}
