//! What one service remembers of its containers and pending orders.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::ContainerSummary;
use flyball_core::observation::{EngineReport, Phase, ReplicaReport};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::Exits;
use tokio::time::Instant;

use super::Action;
use crate::container::{Container, Ending};
use crate::external_stops::ExternalStops;
use crate::facts::{Facts, State as ContainerState};
use crate::labels::name_of;
use crate::owner::Owner;

#[derive(Debug, Default)]
pub(super) struct State {
    /// Whether `containers` is all there is.
    pub(super) whole: bool,
    pub(super) closed: bool,
    /// By their ids.
    pub(super) containers: BTreeMap<String, Container>,
    /// Starts under way.
    pub(super) orders: BTreeMap<ReplicaId, Order>,
    /// Numbers within the Compose service whose names other containers have.
    pub(super) numbers_refused: BTreeSet<u64>,
    pub(super) exits: Exits,
    /// Why the latest start or stop failed, until one succeeds.
    pub(super) pending: Option<String>,
    pub(super) told: ExternalStops,
    /// Whom the container belongs to that is copied, where more than one owner may be a replica.
    pub(super) original: Option<Owner>,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) asked_at: Timestamp,
    pub(super) cancelled: bool,
    /// Its number within the Compose service, once it has one.
    pub(super) number: Option<u64>,
}

impl State {
    pub(super) fn report(&mut self, clock: fn() -> Timestamp) -> EngineReport {
        let mut replicas: BTreeMap<ReplicaId, ReplicaReport> = BTreeMap::new();
        for container in self.containers.values_mut() {
            let order = self.orders.get(&container.facts.replica);
            if let Some(mut report) = container.report(order.is_some(), clock) {
                if let Some(order) = order {
                    report.asked_at = order.asked_at;
                    report.phase = if order.cancelled { Phase::Stopping } else { report.phase };
                }
                replicas.insert(report.id.clone(), report);
            }
        }
        for (id, order) in &self.orders {
            replicas.entry(id.clone()).or_insert_with(|| order.report(id));
        }
        EngineReport {
            replicas: replicas.into_values().collect(),
            exits: self.exits.to_vec(),
            busy: self.told.hold(Instant::now()).map(str::to_owned),
            pending: self.pending.clone(),
            ..EngineReport::default()
        }
    }

    /// A number within the Compose service that no container and no order has: the replica's own
    /// where it is free, or one above all others.
    pub(super) fn free_number(&self, replica: &ReplicaId) -> Option<u64> {
        let of_containers = self.containers.values().filter_map(|c| c.facts.compose_number);
        let of_orders = self.orders.iter().filter(|(id, _)| *id != replica);
        let reserved = of_orders.filter_map(|(_, order)| order.number);
        let refused = self.numbers_refused.iter().copied();
        let taken: BTreeSet<u64> = of_containers.chain(reserved).chain(refused).collect();
        let own = replica.number()?;
        if !taken.contains(&own) {
            return Some(own);
        }
        taken.last().map(|highest| highest.saturating_add(1))
    }

    /// What flyball started and what ended by itself is cleared away; while its start is still under
    /// way (`ordered`), that sees to it.
    pub(super) fn end_if_dead(&mut self, id: &str, ordered: bool) -> Option<Action> {
        let container = self.containers.get_mut(id).filter(|_| !ordered)?;
        let dead = matches!(container.facts.state, ContainerState::Exited { .. });
        (dead && container.facts.managed && container.ending == Ending::None).then(|| {
            container.ending = Ending::Died;
            Action::RecordExitAndRemove(id.to_owned())
        })
    }

    /// No two replicas have one name: of two, the later known is called by its container's id.
    pub(super) fn keep_apart(&self, facts: &mut Facts) {
        if self.containers.values().any(|c| c.facts.replica == facts.replica) {
            let short = facts.id.get(..12).unwrap_or(&facts.id);
            facts.replica = ReplicaId::new(format!("{}.{short}", facts.name));
        }
    }
}

impl Order {
    fn report(&self, id: &ReplicaId) -> ReplicaReport {
        ReplicaReport {
            id: id.clone(),
            phase: if self.cancelled { Phase::Stopping } else { Phase::Starting },
            asked_at: self.asked_at,
            ready_at: None,
            address: None,
            cpu: None,
            throttled: None,
            cpu_limit_cores: 1.0,
            protected: false,
            generation: None,
        }
    }
}

/// Whether a line of a listing says what is known already.
pub(super) fn agrees(known: &Container, summary: &ContainerSummary) -> bool {
    let listed = summary.state.map(|state| state.to_string()).unwrap_or_default();
    let health = summary.status.as_deref().unwrap_or_default();
    known.facts.state.word() == ContainerState::word_of_listing(&listed)
        && known.facts.name == name_of(summary)
        && known.is_healthy() == health.contains("(healthy)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(number: Option<u64>) -> Order {
        Order { asked_at: Timestamp::from_ms(0), cancelled: false, number }
    }

    #[test]
    fn orders_at_the_same_time_get_numbers_of_their_own() {
        // Compose's own container has number 1.
        let mut state = State { numbers_refused: BTreeSet::from([1]), ..State::default() };
        let ids = [1, 2, 3].map(|number| ReplicaId::numbered("web", number));
        state.orders.extend(ids.iter().map(|id| (id.clone(), order(None))));
        let mut numbers = Vec::new();
        for id in &ids {
            let number = state.free_number(id).unwrap();
            state.orders.insert(id.clone(), order(Some(number)));
            numbers.push(number);
        }
        assert_eq!(numbers, [2, 3, 4]);
        assert_eq!(state.free_number(&ids[1]), Some(5), "its own is taken by now");
    }
}
