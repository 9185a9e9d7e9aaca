//! Which replicas became sick since the last look, and which recovered or are gone. A replica that
//! stays sick counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use flyball_core::observation::{Phase, ReplicaReport};
use flyball_core::sick::Sick;
use flyball_core::units::{ReplicaId, Timestamp};

/// Replicas that were sick at the last look, and those that have been stopping since.
#[derive(Default)]
pub(crate) struct SickTurns {
    sick: BTreeSet<ReplicaId>,
}

/// What became of one replica since the last look.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// It fell sick, when `others` were sick already.
    Fell { sick: Sick, others: usize },
    /// It serves again.
    Well(ReplicaId),
    /// It was sick, and has been removed or has ended.
    Gone(ReplicaId),
}

impl SickTurns {
    /// What has changed since the last look, at which `sick` are sick, `replicas` exist, and
    /// `draining` are on their way out.
    pub(crate) fn turn(
        &mut self,
        sick: &[Sick],
        replicas: &[ReplicaReport],
        draining: &BTreeMap<ReplicaId, Timestamp>,
    ) -> Vec<Turn> {
        let before = std::mem::take(&mut self.sick);
        self.sick = sick.iter().map(|one| one.replica.clone()).collect();
        let lasting = before.intersection(&self.sick).count();
        let new = sick.iter().filter(|one| !before.contains(&one.replica));
        let fell =
            |(i, sick): (usize, &Sick)| Turn::Fell { sick: sick.clone(), others: lasting + i };
        let mut turns: Vec<Turn> = new.enumerate().map(fell).collect();
        for id in before {
            if self.sick.contains(&id) {
                continue;
            }
            let serves = |replica: &ReplicaReport| {
                replica.phase == Phase::Ready && !draining.contains_key(&id)
            };
            match replicas.iter().find(|replica| replica.id == id) {
                None => turns.push(Turn::Gone(id)),
                Some(replica) if serves(replica) => turns.push(Turn::Well(id)),
                // It is on its way out. It is not checked any more, which is not a recovery.
                Some(_) => drop(self.sick.insert(id)),
            }
        }
        turns
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fell { sick, .. } => write!(f, "{sick}"),
            Self::Well(replica) => write!(f, "{replica} recovered"),
            Self::Gone(replica) => write!(f, "{replica} was sick and is gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use flyball_core::sick::{Cause, SickTreatment};

    use super::*;

    fn id(number: u64) -> ReplicaId {
        ReplicaId::numbered("web", number)
    }

    fn sick(number: u64) -> Sick {
        Sick {
            replica: id(number),
            since: Timestamp::from_ms(0),
            cause: Cause::Balancer,
            why: "10 errors in a row".to_owned(),
            standing: SickTreatment::Out,
        }
    }

    fn replica(number: u64, phase: Phase) -> ReplicaReport {
        ReplicaReport::new(id(number), phase, Timestamp::from_ms(0))
    }

    #[test]
    fn a_replica_that_is_drained_or_stopped_has_not_recovered() {
        let ready = [replica(1, Phase::Ready), replica(2, Phase::Ready)];
        let none = BTreeMap::new();
        let mut turns = SickTurns::default();
        let fell = |number, others| Turn::Fell { sick: sick(number), others };
        assert_eq!(turns.turn(&[sick(1), sick(2)], &ready, &none), [fell(1, 0), fell(2, 1)]);
        assert_eq!(turns.turn(&[sick(1), sick(2)], &ready, &none), []);
        // HAProxy does not check a server that drains.
        let draining = BTreeMap::from([(id(1), Timestamp::from_ms(0))]);
        assert_eq!(turns.turn(&[], &ready, &draining), [Turn::Well(id(2))]);
        let stopping = [replica(1, Phase::Stopping), replica(2, Phase::Ready)];
        assert_eq!(turns.turn(&[], &stopping, &none), []);
        assert_eq!(turns.turn(&[], &stopping[1..], &none), [Turn::Gone(id(1))]);
    }
}
