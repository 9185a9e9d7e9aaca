//! Replaces replicas of other generations: starts new ones first, and never serves with fewer than
//! before. What starts and what leaves stays the plan's; this says only how many and of which kind.

use super::View;
use crate::generation::Generation;
use crate::memory::{Memory, most_common};
use crate::observation::{Phase, ReplicaReport};
use crate::rollout::{Rollout, RolloutOrder, RolloutState};

/// What a rollout asks of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Direction {
    /// What new replicas are made as; `None` where the engine knows no generations.
    pub(super) generation: Option<Generation>,
    /// How many replicas there are to be: the desired count, and those beyond it that stay for now.
    /// Those that are there to replace others are none of them: they would be kept beside the old
    /// ones, and ask for new ones in turn.
    pub(super) count: usize,
    /// How many replicas may exist beyond the count, while replicas are being replaced.
    pub(super) surge: usize,
    /// Those that are to be replaced and still count as capacity.
    old: usize,
    state: Option<RolloutState>,
}

impl Direction {
    /// For a service that wants `desired` replicas and keeps `kept` of those that there are.
    pub(super) fn of(
        view: &View<'_>,
        memory: &Memory,
        order: RolloutOrder,
        desired: usize,
        kept: usize,
    ) -> Self {
        let there = view.committed(memory).len();
        let (Some(target), Some(offered)) = (&memory.rollout.target, view.engine.generation) else {
            return Self { count: desired.max(kept.min(there)), ..Self::default() };
        };
        let to = target.generation;
        let old = view.committed(memory).into_iter().filter(|r| is_old(r, to)).count();
        let state = match () {
            () if target.aborted_at.is_some() => Some(RolloutState::Aborted),
            () if offered != to && order.back_to.is_none() => Some(RolloutState::Waiting),
            () if old == 0 => None,
            () if order.paused => Some(RolloutState::Paused),
            () => Some(RolloutState::Rolling),
        };
        let rolls = state == Some(RolloutState::Rolling);
        // One that has nobody left to replace is a replica like any other.
        let successors = if rolls { memory.rollout.successors.min(old) } else { 0 };
        let count = desired.max(kept.min(there - successors));
        let many = u32::try_from(count).unwrap_or(u32::MAX);
        let surge = if rolls { super::size(view.policy.rollout.surge.of(many)) } else { 0 };
        // What is doubted or not wanted yet is started only where nothing else could be.
        let others = matches!(state, Some(RolloutState::Aborted | RolloutState::Paused));
        let instead = others.then(|| most_common(view.engine, |g| g != to)).flatten();
        Self { generation: Some(instead.unwrap_or(to)), count, surge, old, state }
    }

    /// How many to start for the rollout alone. `there`: those that are capacity or will be;
    /// `leaving`: those that drain. Both take up the surge, so that no more than that exist.
    pub(super) fn extra(&self, there: usize, leaving: usize) -> usize {
        let replaced_soon = there.saturating_sub(self.count);
        let room = (self.count + self.surge).saturating_sub(there.max(self.count) + leaving);
        room.min(self.old.saturating_sub(replaced_soon))
    }

    /// Whether `replica` is what new replicas are made as. All are, where nobody knows.
    pub(super) fn is_current(&self, replica: &ReplicaReport) -> bool {
        self.generation.is_none()
            || replica.generation.is_none()
            || replica.generation == self.generation
    }

    /// Takes those out of `victims` that start to replace others: none of the others leaves before
    /// its successor is ready.
    pub(super) fn spare_new(&self, victims: &mut Vec<&ReplicaReport>) {
        if self.surge == 0 {
            return;
        }
        let comes =
            |r: &&ReplicaReport| r.phase == Phase::Starting && r.generation == self.generation;
        let mut coming: Vec<&ReplicaReport> = victims.iter().copied().filter(comes).collect();
        coming.sort_by_key(|r| (r.asked_at, r.id.clone()));
        coming.truncate(self.surge);
        victims.retain(|r| !coming.iter().any(|spared| spared.id == r.id));
    }
}

/// A replica that a rollout to `to` replaces. One whose owner protects it is its owner's to replace.
fn is_old(replica: &ReplicaReport, to: Generation) -> bool {
    !replica.protected && replica.generation.is_some_and(|generation| generation != to)
}

/// How far the rollout has come, while there is one.
pub(super) fn report(view: &View<'_>, memory: &Memory, direction: &Direction) -> Option<Rollout> {
    let target = memory.rollout.target.as_ref()?;
    let state = direction.state?;
    let waits = state == RolloutState::Waiting;
    let to = if waits { view.engine.generation? } else { target.generation };
    let committed = view.committed(memory);
    let of = |is: &dyn Fn(&ReplicaReport) -> bool| {
        u32::try_from(committed.iter().filter(|r| is(r)).count()).unwrap_or(u32::MAX)
    };
    let surplus =
        if direction.surge > 0 { committed.len().saturating_sub(direction.count) } else { 0 };
    Some(Rollout {
        to,
        state,
        since: target.since,
        old: of(&|r| is_old(r, to)),
        new: of(&|r| r.phase == Phase::Ready && r.generation == Some(to)),
        surplus: u32::try_from(surplus.min(direction.surge)).unwrap_or(u32::MAX),
        failed: u32::try_from(target.failed.len()).unwrap_or(u32::MAX),
        why: (!target.why.is_empty()).then(|| target.why.clone()),
    })
}
