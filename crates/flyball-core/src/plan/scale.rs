//! Steps for an engine that keeps a count of its own: which count to set, and whom to drain first.
//! The count is never lowered past a replica that still gets requests, nor before the engine shows
//! what the last reduction removed. The same observation gives the same count.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{BalancerView, HeldStarts, Step, View, allowed_starts, size};
use crate::memory::Memory;
use crate::observation::{EngineCount, Leaving, Phase, ReplicaReport, Route};

/// What is asked of an engine's count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) desired: u32,
    /// It is not lowered beyond this; at least `desired`.
    pub(super) kept: u32,
}

/// Raises the count to what is desired at once; lowers it as far as those who will leave have
/// drained.
pub(super) fn scale(
    view: &View<'_>,
    memory: &mut Memory,
    count: &EngineCount,
    Asked { desired, kept }: Asked,
    steps: &mut BTreeSet<Step>,
) -> Option<HeldStarts> {
    let wanted = count.wanted;
    // What the engine has not started yet goes first, and is not missed.
    let unbegun = size(wanted).saturating_sub(present(view).count());
    let surplus = size(wanted.saturating_sub(kept));
    let idle = surplus.min(unbegun);
    // What it was told to take away may still be there: who left it no request keeps none.
    let told = present(view).count().saturating_sub(size(wanted));
    let victims = victims(view, memory, &count.leaving, told + surplus - idle);
    memory.plan.draining.retain(|id, _| victims.iter().any(|victim| victim.id == *id));
    if desired > wanted {
        let missing = size(desired - wanted);
        let (allowed, held) = allowed_starts(view, &memory.plan.failures, missing);
        if allowed > 0 {
            steps.insert(Step::Scale { to: wanted + number(allowed), leaving: Vec::new() });
        }
        return held;
    }
    for victim in &victims {
        drain(view, memory, victim, steps);
    }
    // Told a second count before the first one shows, it might take away twice.
    if told > 0 {
        return None;
    }
    let gone = |victim: &&&ReplicaReport| may_leave(view, memory, victim);
    let leaving: Vec<_> = match count.leaving {
        Leaving::Chosen => victims.iter().filter(gone).map(|victim| victim.id.clone()).collect(),
        Leaving::Predicted(_) => {
            victims.iter().take_while(gone).map(|victim| victim.id.clone()).collect()
        }
    };
    let fewer = idle + leaving.len();
    if fewer > 0 {
        memory.plan.removed_at = Some(view.now);
        steps.insert(Step::Scale { to: wanted - number(fewer), leaving });
    }
    None
}

/// Who the engine runs or is about to.
fn present<'a>(view: &View<'a>) -> impl Iterator<Item = &'a ReplicaReport> {
    view.engine.replicas.iter().filter(|replica| replica.phase != Phase::Stopping)
}

/// The first `surplus` to leave. Where they can be chosen: first who cannot serve, then who does
/// not yet, then who drains already, then who has the fewest requests; of equals the youngest.
fn victims<'a>(
    view: &View<'a>,
    memory: &Memory,
    leaving: &Leaving,
    surplus: usize,
) -> Vec<&'a ReplicaReport> {
    if let Leaving::Predicted(ids) = leaving {
        let stays = |r: &&ReplicaReport| r.phase != Phase::Stopping && !r.protected;
        let mut named = BTreeSet::new();
        // Past one that may not leave or is not known, nothing can be predicted.
        return ids
            .iter()
            .map_while(|id| view.replica(id).filter(stays).filter(|_| named.insert(id)))
            .take(surplus)
            .collect();
    }
    let mut victims: Vec<_> = present(view).filter(|replica| !replica.protected).collect();
    victims.sort_by_key(|replica| {
        let use_now = match replica.phase {
            Phase::Unhealthy => 0,
            Phase::Starting => 1,
            Phase::Ready | Phase::Stopping => 2,
        };
        let stays = !memory.plan.draining.contains_key(&replica.id);
        let in_flight = view.server(&replica.id).map_or(0, |server| server.in_flight);
        (use_now, stays, in_flight, Reverse(replica.asked_at), replica.id.clone())
    });
    victims.truncate(surplus);
    victims
}

/// Begins to drain a victim, or repeats a drain that did not take.
fn drain(view: &View<'_>, memory: &mut Memory, victim: &ReplicaReport, steps: &mut BTreeSet<Step>) {
    let served = matches!(victim.phase, Phase::Ready | Phase::Unhealthy);
    if !served || !matches!(view.balancer, BalancerView::Known(..)) {
        return;
    }
    let replica = victim.id.clone();
    let begins = !memory.plan.draining.contains_key(&replica);
    if begins {
        memory.plan.draining.insert(replica.clone(), view.now);
        memory.plan.removed_at = Some(view.now);
    }
    let routed = view.server(&replica).is_some_and(|server| server.route == Route::Routed);
    if routed || begins && victim.phase == Phase::Ready {
        steps.insert(Step::Drain { replica });
    }
}

/// Whether a victim is not missed. One that still gets requests stays, also past the drain limit:
/// its balancer does not take the order, and every one of its requests would fail.
fn may_leave(view: &View<'_>, memory: &Memory, victim: &ReplicaReport) -> bool {
    if victim.phase == Phase::Starting {
        return true;
    }
    match view.balancer {
        BalancerView::None => true,
        BalancerView::Unknown => false,
        BalancerView::Known(..) => memory.plan.draining.get(&victim.id).is_some_and(|since| {
            let routed = view.server(&victim.id).is_some_and(|s| s.route == Route::Routed);
            let drained = view.has_drained(&victim.id, *since);
            *since < view.now && !routed && (drained || view.drain_is_over(*since))
        }),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
