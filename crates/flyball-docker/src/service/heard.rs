//! Applies events and answers of the Docker host to the containers of one service. An event counts
//! from its own time: an inspection or listing that was requested earlier is outdated.

use std::collections::BTreeSet;

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use flyball_core::generation::Generation;
use flyball_core::units::ReplicaId;
use tokio::time::Instant;

use super::state::{State, agrees};
use super::{Action, Service};
use crate::container::{CRASHES_SHOWN, Container, Ending, Make};
use crate::facts::{Facts, State as ContainerState, Way};
use crate::images::shown;
use crate::labels::GENERATION;
use crate::standing::Standing;
use crate::{copy, generation, signals};

/// Whether an inspection brought something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// What is to be done, if anything.
    Yes(Option<Action>),
    /// The container has changed since it was asked for.
    Overtaken,
}

impl Service {
    /// Everything there was when `asked`; gives those of which more must be known.
    pub(crate) fn listed(&self, all: &[&ContainerSummary], asked: Instant) -> Vec<String> {
        let mut state = self.state();
        let ids: BTreeSet<&str> = all.iter().filter_map(|c| c.id.as_deref()).collect();
        let before = state.containers.len();
        state.containers.retain(|id, c| ids.contains(id.as_str()) || c.as_of > asked);
        let unclear = all.iter().filter_map(|summary| {
            let id = summary.id.as_deref()?;
            let same = |c: &Container| c.as_of > asked || (!c.stale && agrees(c, summary));
            (!state.containers.get(id).is_some_and(same)).then(|| id.to_owned())
        });
        let unclear = unclear.collect();
        if state.containers.len() != before {
            self.changed.notify_one();
        }
        unclear
    }

    /// Everything that was listed is known. Gives what is to be done.
    pub(crate) fn complete(&self) -> Vec<Action> {
        let mut state = self.state();
        let first = !std::mem::replace(&mut state.whole, true);
        // Left by a flyball that died between creating and starting them, or not removed so far.
        let orders: BTreeSet<ReplicaId> = state.orders.keys().cloned().collect();
        let orphan = |c: &mut Container| {
            let left = match c.facts.state {
                ContainerState::Created => !orders.contains(&c.facts.replica),
                ContainerState::Exited { .. } => c.ending == Ending::Failed,
                _ => false,
            };
            (c.facts.managed && left && c.end()).then(|| c.facts.id.clone())
        };
        let orphans = state.containers.values_mut().filter_map(orphan);
        let actions = orphans.map(Action::Remove).collect();
        drop(state);
        if first {
            self.changed.notify_one();
        }
        actions
    }

    /// What an inspection said that began at `asked`.
    pub(crate) fn take(
        &self,
        answer: &ContainerInspectResponse,
        standing: &Standing,
        asked: Instant,
    ) -> Taken {
        let (settings, balancer) = (self.settings(), &self.balancer());
        let (publish, port) = (&settings.publish, settings.port);
        let way = Way { publish, port, machine: self.client.machine, balancer };
        let make = self.make_of(answer, standing);
        let Some(facts) = Facts::of(answer, standing, way) else { return Taken::Yes(None) };
        let id = facts.id.clone();
        let mut state = self.state();
        let ordered = state.orders.contains_key(&facts.replica);
        let container = match state.containers.remove(&id) {
            Some(known) if known.as_of > asked => {
                state.containers.insert(id, known);
                return Taken::Overtaken;
            }
            Some(mut known) => {
                known.learn(facts, asked, &self.client);
                known
            }
            None => {
                let replica = facts.replica.clone();
                let asked_at = state.orders.get(&replica).map(|order| order.asked_at);
                let mut facts = facts;
                state.keep_apart(&mut facts);
                Container::new(facts, asked, asked_at, &self.client)
            }
        };
        let mut container = container;
        container.make = make;
        let may_sleep = !container.facts.managed && !container.facts.stays;
        container.sleep = self.settings().sleep.filter(|_| may_sleep);
        if !container.facts.managed && container.facts.state == ContainerState::Running {
            state.told.serves(&id);
        }
        state.containers.insert(id.clone(), container);
        let action = state.end_if_dead(&id, ordered);
        drop(state);
        self.changed.notify_one();
        Taken::Yes(action)
    }

    /// How a container was made: as its mark says if flyball started it, otherwise as its copies
    /// would be.
    fn make_of(&self, answer: &ContainerInspectResponse, standing: &Standing) -> Make {
        let image = answer.config.as_ref().and_then(|config| config.image.as_deref());
        let (image, id) = (image.unwrap_or_default(), answer.image.as_deref().unwrap_or_default());
        let settings = self.settings();
        let refusal = match settings.image {
            None => copy::refuse(answer, &settings, &self.balancer()).err(),
            Some(_) => None,
        };
        Make {
            generation: self.generation_of(answer, standing),
            image: shown(image, id),
            owner: standing.owner(),
            refusal,
        }
    }

    /// What a container was made as. Only what flyball signed says so itself.
    pub(crate) fn generation_of(
        &self,
        answer: &ContainerInspectResponse,
        standing: &Standing,
    ) -> Option<Generation> {
        let labels = answer.config.as_ref().and_then(|config| config.labels.as_ref());
        let settings = self.settings();
        match (standing, &settings.image) {
            (Standing::Started(_), _) => Generation::parse(labels?.get(GENERATION)?),
            (Standing::Declared(_), None) => {
                generation::of_template(&settings, answer, &self.client.settings.signer)
            }
            (Standing::Declared(_), Some(_)) | (Standing::Nothing(_), _) => None,
        }
    }

    /// A container's process has ended; why is asked for next. Gives what is to be done.
    pub(crate) fn died(&self, id: &str, code: Option<i64>) -> Vec<Action> {
        let now = self.client.now();
        let mut state = self.state();
        let Some(container) = state.containers.get_mut(id) else { return Vec::new() };
        container.died(now, code);
        let loops = container.crashes == CRASHES_SHOWN;
        let replica = container.facts.replica.clone();
        // A start that failed, though flyball did not make what it started.
        let failed = container.exit_of_woken(now);
        let ordered = state.orders.contains_key(&replica);
        let ended = state.end_if_dead(id, ordered);
        failed.into_iter().for_each(|exit| state.exits.push(exit));
        drop(state);
        self.changed.notify_one();
        let tail = loops.then(|| Action::ReadLogTail(id.to_owned()));
        ended.into_iter().chain(tail).collect()
    }

    /// A signal was sent to a container externally. If that is to end it, it gets no more requests
    /// from now on: many programs stop listening at once and take a while to end.
    pub(crate) fn signalled(&self, id: &str, signal: &str) {
        let now = self.client.now();
        let mut state = self.state();
        let Some(container) = state.containers.get_mut(id) else { return };
        if container.ending != Ending::None {
            return;
        }
        if signals::ends(signal, container.facts.stop_signal) {
            tracing::debug!(container = id, signal, "a container is being stopped externally");
            container.leaving_since = Some(now);
        }
        self.record_signal(&mut state, id, signal);
        drop(state);
        self.changed.notify_one();
    }

    /// What stops the containers that replicas are copied from may be about to stop them all, and
    /// takes what is started meanwhile amiss.
    fn record_signal(&self, state: &mut State, id: &str, signal: &str) {
        if self.settings().image.is_some() {
            return;
        }
        let State { containers, told, orders, .. } = state;
        let lives = |c: &&Container| {
            let ordered = orders.contains_key(&c.facts.replica);
            c.facts.state == ContainerState::Running && c.ending == Ending::None && !ordered
        };
        let living = containers.values().filter(lives).map(|c| &c.facts.id);
        if told.record_signal(id, signal, living, Instant::now()) {
            orders.values_mut().for_each(|order| order.cancelled = true);
            tracing::info!(
                "{}: all its containers were stopped externally: flyball starts none until a \
                 container runs that it did not start",
                self.name()
            );
        }
    }

    /// A container was started.
    pub(crate) fn started(&self, id: &str) {
        let now = self.client.now();
        let mut state = self.state();
        state.told.started(id);
        if let Some(container) = state.containers.get_mut(id) {
            container.started(now);
        }
    }

    /// A container is no more.
    pub(crate) fn gone(&self, id: &str) {
        if self.state().containers.remove(id).is_some() {
            self.changed.notify_one();
        }
    }

    /// The host cannot be reached: what happens there is not seen.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.whole = false;
        state.told.forget();
        drop(state);
        self.changed.notify_one();
    }
}
