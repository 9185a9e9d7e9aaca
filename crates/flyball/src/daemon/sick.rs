//! Which replicas became sick since the last look, and which recovered or are gone. A replica that
//! stays sick counts once.

use std::collections::BTreeSet;
use std::fmt;

use flyball_core::decision::Decision;
use flyball_core::health::Sick;
use flyball_core::observation::{EngineReport, Phase};
use flyball_core::units::ReplicaId;

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
    /// What has changed since the last look. Empty without the engine: it is unknown who is gone.
    pub(crate) fn turn(&mut self, decision: &Decision, engine: Option<&EngineReport>) -> Vec<Turn> {
        let Some(engine) = engine else { return Vec::new() };
        let before = std::mem::take(&mut self.sick);
        self.sick = decision.sick.iter().map(|one| one.replica.clone()).collect();
        let lasting = before.intersection(&self.sick).count();
        let new = decision.sick.iter().filter(|one| !before.contains(&one.replica));
        let fell =
            |(i, sick): (usize, &Sick)| Turn::Fell { sick: sick.clone(), others: lasting + i };
        let mut turns: Vec<Turn> = new.enumerate().map(fell).collect();
        for id in before {
            if self.sick.contains(&id) {
                continue;
            }
            match engine.replicas.iter().find(|replica| replica.id == id) {
                None => turns.push(Turn::Gone(id)),
                Some(replica) if replica.phase == Phase::Ready => turns.push(Turn::Well(id)),
                // It is stopping. It is not probed any more, which is not a recovery.
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
