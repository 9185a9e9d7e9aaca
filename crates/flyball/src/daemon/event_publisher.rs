//! Publishes the events of each look. It never waits for a reader; see [`Feed::publish`].

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::decision::Decision;
use flyball_core::observation::{BalancerReport, EngineReport, ReplicaReport};
use flyball_core::record::Sample;
use flyball_core::units::ReplicaId;
use flyball_web::{Event, Feed, ReplicaChange, ReplicaState};

use super::service_state::{sick_one, state_of};

/// The teller of one service's looks.
pub(crate) struct EventPublisher {
    feed: Feed,
    service: String,
    known: BTreeMap<ReplicaId, ReplicaState>,
}

impl EventPublisher {
    pub(crate) fn new(feed: Feed, service: &str) -> Self {
        Self { feed, service: service.to_owned(), known: BTreeMap::new() }
    }

    pub(crate) fn sample(&self, sample: &Sample) {
        let (service, sample) = (self.service.clone(), sample.clone());
        self.feed.publish(Event::Sample { service, sample });
    }

    pub(crate) fn decision(&self, decision: &Decision) {
        self.feed.publish(Event::Decision(Box::new(decision.clone())));
    }

    /// Tells every replica that came, went or changed since the last look at which the engine
    /// spoke: while it is silent nobody knows, and nothing is told.
    pub(crate) fn replicas(
        &mut self,
        engine: Option<&EngineReport>,
        balancer: Option<&BalancerReport>,
        draining: &BTreeSet<ReplicaId>,
        decision: &Decision,
    ) {
        let Some(engine) = engine else { return };
        let state = |r: &ReplicaReport| {
            let server = balancer.and_then(|b| b.servers.get(&r.id));
            (r.id.clone(), state_of(r, server, draining, sick_one(decision, &r.id)))
        };
        let now: BTreeMap<ReplicaId, ReplicaState> = engine.replicas.iter().map(state).collect();
        let wall_ms = decision.wall_ms;
        for (replica, from, to) in changes(&self.known, &now) {
            let (service, replica) = (self.service.clone(), replica.to_string());
            let change = ReplicaChange { service, replica, from, to, wall_ms };
            self.feed.publish(Event::Replica(change));
        }
        self.known = now;
    }
}

type Change<'a> = (&'a ReplicaId, Option<ReplicaState>, Option<ReplicaState>);

fn changes<'a>(
    before: &'a BTreeMap<ReplicaId, ReplicaState>,
    now: &'a BTreeMap<ReplicaId, ReplicaState>,
) -> Vec<Change<'a>> {
    let gone = before.iter().filter(|(id, _)| !now.contains_key(*id));
    let gone = gone.map(|(id, from)| (id, Some(*from), None));
    let there = now.iter().map(|(id, to)| (id, before.get(id).copied(), Some(*to)));
    there.filter(|(_, from, to)| from != to).chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_come_change_or_go_are_told_and_others_are_not() {
        use ReplicaState::{Draining, Ready, Starting};
        let of = |all: &[(&str, ReplicaState)]| {
            all.iter().map(|(name, state)| (ReplicaId::new(*name), *state)).collect()
        };
        let before = of(&[("a-1", Ready), ("a-2", Ready), ("a-3", Starting)]);
        let now = of(&[("a-1", Ready), ("a-2", Draining), ("a-4", Starting)]);
        let told: Vec<_> = changes(&before, &now)
            .into_iter()
            .map(|(id, from, to)| (id.as_str(), from, to))
            .collect();
        let expected = [
            ("a-2", Some(Ready), Some(Draining)),
            ("a-4", None, Some(Starting)),
            ("a-3", Some(Starting), None),
        ];
        assert_eq!(told, expected);
    }
}
