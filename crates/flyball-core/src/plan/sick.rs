//! What happens to replicas that cannot serve, and to servers without such a replica; `health`
//! judges them. None is retired before enough others are ready, nor while it may still recover.

use std::collections::BTreeSet;

use super::{BalancerView, Step, StopReason, View};
use crate::memory::Memory;
use crate::observation::{Phase, ReplicaReport, Route};
use crate::sick::SickTreatment;
use crate::units::ReplicaId;

/// Takes away those that have been sick for long enough, once enough others are ready. Until then
/// they may come back sooner than a replacement does.
pub(super) fn retire(
    view: &View<'_>,
    memory: &mut Memory,
    desired: usize,
    steps: &mut BTreeSet<Step>,
) {
    if view.unhealthy().next().is_none() {
        return;
    }
    let ready = view.committed(memory).iter().filter(|r| r.phase == Phase::Ready).count();
    for replica in view.unhealthy().filter(|r| !r.protected && ready >= desired) {
        let lasting = |id| {
            memory
                .health
                .sick
                .get(id)
                .is_none_or(|one| one.is_lasting(view.now, &view.policy.timing))
        };
        match view.balancer {
            _ if !lasting(&replica.id) => {}
            BalancerView::None => {
                let why = StopReason::Unhealthy;
                steps.insert(Step::Stop { replica: replica.id.clone(), why });
            }
            BalancerView::Known(..) => {
                memory.plan.draining.entry(replica.id.clone()).or_insert(view.now);
            }
            BalancerView::Unknown => {}
        }
    }
}

/// Servers whose replica is gone, going or cannot serve get nothing more. A balancer that has taken
/// out a server itself is left to try whether it has recovered.
pub(super) fn drain_strays(view: &View<'_>, memory: &Memory, steps: &mut BTreeSet<Step>) {
    let BalancerView::Known(_, report) = view.balancer else { return };
    let planned: BTreeSet<ReplicaId> = steps.iter().filter_map(Step::replica).cloned().collect();
    for (id, server) in report.servers.iter().filter(|(id, _)| !planned.contains(*id)) {
        let stays = view.replica(id).is_some_and(|r| match r.phase {
            Phase::Starting | Phase::Ready => true,
            Phase::Unhealthy => memory.health.sick.get(id).is_some_and(|one| one.stays_routed()),
            Phase::Stopping => false,
        });
        if !stays && server.route == Route::Routed {
            steps.insert(Step::Drain { replica: id.clone() });
        }
    }
}

/// Sick replicas that get requests for want of others.
pub(super) fn last<'a>(view: &View<'a>, memory: &Memory) -> Vec<&'a ReplicaReport> {
    let sick = memory.health.sick.values().filter(|one| one.standing == SickTreatment::Last);
    let staying = sick.filter(|one| !memory.plan.draining.contains_key(&one.replica));
    staying.filter_map(|one| view.replica(&one.replica)).collect()
}
