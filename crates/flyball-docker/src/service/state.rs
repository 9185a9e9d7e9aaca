//! What one service remembers of its containers and pending orders.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::ContainerSummary;
use flyball_core::generation::Generation;
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
    /// What its own containers were made as when there was one last.
    last: Option<Generation>,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) asked_at: Timestamp,
    pub(super) cancelled: bool,
    /// Its number within the Compose service, once it has one.
    pub(super) number: Option<u64>,
    /// What it is to be made as.
    pub(super) generation: Option<Generation>,
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

    /// Whose container is copied: the one that was first, among `owners`, the oldest first, as long
    /// as it is there.
    pub(super) fn original_of(&mut self, owners: &[Owner]) -> Option<Owner> {
        let kept = self.original.take().filter(|owner| owners.contains(owner));
        self.original = kept.or_else(|| owners.first().cloned());
        self.original.clone()
    }

    /// What copies are made as now: as the newest container that flyball did not start, first of
    /// those that run; while there is none, as the last one was, or else the newest copy.
    pub(super) fn generation(&mut self) -> Option<Generation> {
        let mut own: Vec<&Container> =
            self.containers.values().filter(|c| !c.facts.managed).collect();
        own.sort_by_key(|c| (c.facts.created_wall_ms, c.facts.id.clone()));
        let owners: Vec<Owner> = own.iter().filter_map(|c| c.make.owner.clone()).collect();
        let kept = self.original.clone().filter(|owner| owners.contains(owner));
        let owner = kept.or_else(|| owners.first().cloned());
        let of_owner = own.iter().filter(|c| c.make.owner == owner);
        match of_owner.max_by_key(|c| newest(c)) {
            Some(newest) => self.last = newest.make.generation,
            None if self.last.is_none() => {
                let newest = self.containers.values().max_by_key(|c| newest(c));
                self.last = newest.and_then(|copy| copy.make.generation);
            }
            None => {}
        }
        self.last
    }

    /// The container that a replica of `generation` is best copied from: one that runs and stays,
    /// flyball's own after those of others, the newest. One of others' also where it has ended.
    pub(super) fn model_of(&self, generation: Generation) -> Option<String> {
        let runs = |c: &Container| c.facts.state == ContainerState::Running;
        let has =
            |c: &&Container| c.make.generation == Some(generation) && (runs(c) || !c.facts.managed);
        let rank = |c: &&Container| {
            let stays = runs(c) && c.leaving_since.is_none() && c.ending == Ending::None;
            (stays, runs(c), !c.facts.managed, newest(c))
        };
        let found = self.containers.values().filter(has).max_by_key(rank);
        found.map(|container| container.facts.id.clone())
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

/// By this the newest container is the greatest; one that runs before one that does not.
fn newest(container: &Container) -> (bool, Option<i64>, String) {
    let Facts { state, created_wall_ms, id, .. } = &container.facts;
    (*state == ContainerState::Running, *created_wall_ms, id.clone())
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
            may_sleep: false,
            generation: self.generation,
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
        Order { asked_at: Timestamp::from_ms(0), cancelled: false, number, generation: None }
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
