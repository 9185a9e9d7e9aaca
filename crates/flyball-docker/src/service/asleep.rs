//! What a service knows of its containers that sleep.

use flyball_core::generation::Generation;
use flyball_core::observation::Exit;
use flyball_core::units::ReplicaId;

use super::Service;
use crate::container::{Container, Ending};
use crate::facts::State as ContainerState;

impl Service {
    /// Takes in an order to start `replica`, where a container of `generation` sleeps: gives the one
    /// to wake. The lowest number of its Compose service comes first, then the oldest.
    pub(crate) fn order_wake(
        &self,
        replica: &ReplicaId,
        generation: Option<Generation>,
    ) -> Option<String> {
        let now = self.client.now();
        let mut state = self.state();
        if state.closed || state.orders.contains_key(replica) {
            return None;
        }
        let may = |container: &&mut Container| {
            let alike = generation.is_none() || container.make.generation == generation;
            alike && container.is_asleep()
        };
        let rank = |container: &&mut Container| {
            let facts = &container.facts;
            // Whatever sleeps already is there first.
            let is_leaving = container.ending == Ending::Ordered;
            let number = facts.compose_number.unwrap_or(u64::MAX);
            (is_leaving, number, facts.created_wall_ms, facts.id.clone())
        };
        let container = state.containers.values_mut().filter(may).min_by_key(rank)?;
        container.wake(replica, now);
        let id = container.facts.id.clone();
        drop(state);
        self.changed.notify_one();
        Some(id)
    }

    /// Whether a container is on its way to sleep.
    pub(crate) fn is_leaving(&self, id: &str) -> bool {
        self.of(id, |container| container.ending == Ending::Ordered)
    }

    /// Whether a container is being woken.
    pub(crate) fn is_waking(&self, id: &str) -> bool {
        self.of(id, |container| container.waking && container.ending == Ending::None)
    }

    /// Whether a container is frozen.
    pub(crate) fn is_paused(&self, id: &str) -> bool {
        self.of(id, |container| container.facts.state == ContainerState::Paused)
    }

    /// A container was put to sleep.
    pub(crate) fn slept(&self, id: &str) {
        self.change(id, Container::slept);
    }

    /// A container was woken: it starts, or serves already.
    pub(crate) fn woken(&self, id: &str) {
        self.state().pending = None;
        self.change(id, |container| container.waking = false);
    }

    /// A container could not be woken as `replica`.
    pub(crate) fn wake_failed(&self, id: &str, replica: &ReplicaId, reason: String) {
        let at = self.client.now();
        let mut state = self.state();
        state.pending = Some(reason.clone());
        state.exits.push(Exit { replica: replica.clone(), at, ready_ms: None, reason });
        drop(state);
        self.change(id, |container| {
            container.waking = false;
            container.woken_as = None;
        });
    }

    fn of(&self, id: &str, is_so: impl Fn(&Container) -> bool) -> bool {
        self.state().containers.get(id).is_some_and(is_so)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Container)) {
        if let Some(container) = self.state().containers.get_mut(id) {
            change(container);
        }
        self.changed.notify_one();
    }
}
